//! Regions, services and endpoints, and the catalog that tokens carry.

use updraft_model::id::new_keystone_id;
use updraft_model::identity::{Endpoint, Interface, Region, Service};
use updraft_store::identity::catalog;

use super::checks;
use crate::policy::require_admin;
use crate::{Caller, Core, Error, Result};

/// One service with its endpoints, URLs filled in.
#[derive(Clone, Debug)]
pub struct CatalogService {
    pub service: Service,
    pub endpoints: Vec<Endpoint>,
}

/// What clients find: enabled services with their enabled endpoints. An endpoint whose URL needs a project is
/// left out of a token without one.
pub async fn of_project(
    core: &Core,
    public_endpoint: &str,
    project_id: Option<&str>,
) -> Result<Vec<CatalogService>> {
    let mut conn = core.read().await?;
    let services = catalog::list_services(&mut conn, None, None).await?;
    let all = catalog::list_endpoints(&mut conn, None, None, None).await?;
    let filled = services.into_iter().filter(|service| service.enabled).map(|service| {
        let of_service = all.iter().filter(|endpoint| endpoint.service_id == service.id && endpoint.enabled);
        let endpoints = of_service.filter_map(|endpoint| {
            let url = filled_in(&endpoint.url, public_endpoint, project_id)?;
            Some(Endpoint { url, ..endpoint.clone() })
        });
        let endpoints = endpoints.collect();
        CatalogService { service, endpoints }
    });
    Ok(filled.collect())
}

/// A URL with what stands for the project and for our own address filled in, in both of Keystone's spellings.
/// `None` when it needs a project and there is none.
pub fn filled_in(template: &str, public_endpoint: &str, project_id: Option<&str>) -> Option<String> {
    let mut url = template.to_owned();
    for name in ["project_id", "tenant_id"] {
        for spelling in [format!("$({name})s"), format!("%({name})s")] {
            if url.contains(&spelling) {
                url = url.replace(&spelling, project_id?);
            }
        }
    }
    Some(url.replace("$(public_endpoint)s", public_endpoint))
}

pub async fn create_region(core: &Core, caller: &Caller, region: Region) -> Result<Region> {
    require_admin(caller)?;
    checks::name(&region.id)?;
    core.write(move |tx| {
        Box::pin(async move {
            if let Some(parent) = &region.parent_region_id {
                catalog::get_region(tx, parent).await?.ok_or_else(|| checks::not_found("region", parent))?;
            }
            checks::unique("region", &region.id, catalog::insert_region(tx, &region).await)?;
            Ok(region)
        })
    })
    .await
}

/// One region; anybody with a token may look.
pub async fn get_region(core: &Core, id: &str) -> Result<Region> {
    catalog::get_region(&mut core.read().await?, id).await?.ok_or_else(|| checks::not_found("region", id))
}

/// All regions; anybody with a token may look.
pub async fn list_regions(core: &Core, parent: Option<&str>) -> Result<Vec<Region>> {
    Ok(catalog::list_regions(&mut core.read().await?, parent).await?)
}

/// Changes a region; `None` leaves a field as it is.
pub async fn update_region(
    core: &Core,
    caller: &Caller,
    id: &str,
    description: Option<String>,
    parent: Option<Option<String>>,
) -> Result<Region> {
    require_admin(caller)?;
    let id = id.to_owned();
    core.write(move |tx| {
        Box::pin(async move {
            let mut region =
                catalog::get_region(tx, &id).await?.ok_or_else(|| checks::not_found("region", &id))?;
            region.description = description.unwrap_or(region.description);
            region.parent_region_id = parent.unwrap_or(region.parent_region_id);
            catalog::update_region(tx, &region).await?;
            Ok(region)
        })
    })
    .await
}

pub async fn delete_region(core: &Core, caller: &Caller, id: &str) -> Result<()> {
    require_admin(caller)?;
    let id = id.to_owned();
    core.write(move |tx| {
        Box::pin(async move {
            if !catalog::delete_region(tx, &id).await? {
                return Err(checks::not_found("region", &id));
            }
            Ok(())
        })
    })
    .await
}

pub async fn create_service(core: &Core, caller: &Caller, mut service: Service) -> Result<Service> {
    require_admin(caller)?;
    service.id = new_keystone_id();
    core.write(move |tx| {
        Box::pin(async move {
            catalog::insert_service(tx, &service).await?;
            Ok(service)
        })
    })
    .await
}

pub async fn get_service(core: &Core, caller: &Caller, id: &str) -> Result<Service> {
    require_admin(caller)?;
    catalog::get_service(&mut core.read().await?, id).await?.ok_or_else(|| checks::not_found("service", id))
}

pub async fn list_services(
    core: &Core,
    caller: &Caller,
    kind: Option<&str>,
    name: Option<&str>,
) -> Result<Vec<Service>> {
    require_admin(caller)?;
    Ok(catalog::list_services(&mut core.read().await?, kind, name).await?)
}

/// Applies `change` to a service.
pub async fn update_service(
    core: &Core,
    caller: &Caller,
    id: &str,
    change: impl FnOnce(&mut Service) + Clone + Send + 'static,
) -> Result<Service> {
    require_admin(caller)?;
    let id = id.to_owned();
    core.write(move |tx| {
        Box::pin(async move {
            let mut service =
                catalog::get_service(tx, &id).await?.ok_or_else(|| checks::not_found("service", &id))?;
            change(&mut service);
            catalog::update_service(tx, &service).await?;
            Ok(service)
        })
    })
    .await
}

/// Deletes a service with its endpoints.
pub async fn delete_service(core: &Core, caller: &Caller, id: &str) -> Result<()> {
    require_admin(caller)?;
    let id = id.to_owned();
    core.write(move |tx| {
        Box::pin(async move {
            if !catalog::delete_service(tx, &id).await? {
                return Err(checks::not_found("service", &id));
            }
            Ok(())
        })
    })
    .await
}

pub async fn create_endpoint(core: &Core, caller: &Caller, mut endpoint: Endpoint) -> Result<Endpoint> {
    require_admin(caller)?;
    check_url(&endpoint.url)?;
    endpoint.id = new_keystone_id();
    core.write(move |tx| {
        Box::pin(async move {
            check_endpoint_parties(tx, &endpoint).await?;
            catalog::insert_endpoint(tx, &endpoint).await?;
            Ok(endpoint)
        })
    })
    .await
}

pub async fn get_endpoint(core: &Core, caller: &Caller, id: &str) -> Result<Endpoint> {
    require_admin(caller)?;
    catalog::get_endpoint(&mut core.read().await?, id).await?.ok_or_else(|| checks::not_found("endpoint", id))
}

pub async fn list_endpoints(
    core: &Core,
    caller: &Caller,
    service_id: Option<&str>,
    interface: Option<Interface>,
    region_id: Option<&str>,
) -> Result<Vec<Endpoint>> {
    require_admin(caller)?;
    Ok(catalog::list_endpoints(&mut core.read().await?, service_id, interface, region_id).await?)
}

/// Applies `change` to an endpoint.
pub async fn update_endpoint(
    core: &Core,
    caller: &Caller,
    id: &str,
    change: impl FnOnce(&mut Endpoint) + Clone + Send + 'static,
) -> Result<Endpoint> {
    require_admin(caller)?;
    let id = id.to_owned();
    core.write(move |tx| {
        Box::pin(async move {
            let found = catalog::get_endpoint(tx, &id).await?;
            let mut endpoint = found.ok_or_else(|| checks::not_found("endpoint", &id))?;
            change(&mut endpoint);
            check_url(&endpoint.url)?;
            check_endpoint_parties(tx, &endpoint).await?;
            catalog::update_endpoint(tx, &endpoint).await?;
            Ok(endpoint)
        })
    })
    .await
}

pub async fn delete_endpoint(core: &Core, caller: &Caller, id: &str) -> Result<()> {
    require_admin(caller)?;
    let id = id.to_owned();
    core.write(move |tx| {
        Box::pin(async move {
            if !catalog::delete_endpoint(tx, &id).await? {
                return Err(checks::not_found("endpoint", &id));
            }
            Ok(())
        })
    })
    .await
}

fn check_url(url: &str) -> Result<()> {
    let known = ["http://", "https://", "$(public_endpoint)s"];
    if known.iter().any(|start| url.starts_with(start)) {
        return Ok(());
    }
    Err(Error::bad_request("ValidationError", "An endpoint's URL starts with http:// or https://."))
}

async fn check_endpoint_parties(conn: &mut updraft_store::Conn, endpoint: &Endpoint) -> Result<()> {
    let service_id = &endpoint.service_id;
    catalog::get_service(conn, service_id).await?.ok_or_else(|| checks::not_found("service", service_id))?;
    if let Some(region_id) = &endpoint.region_id {
        catalog::get_region(conn, region_id).await?.ok_or_else(|| checks::not_found("region", region_id))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::filled_in;

    #[test]
    fn urls_are_filled_in_or_left_out() {
        let filled = filled_in("$(public_endpoint)s/volume/v3/%(tenant_id)s", "http://cloud:1", Some("p"));
        assert_eq!(filled.as_deref(), Some("http://cloud:1/volume/v3/p"));
        assert_eq!(filled_in("http://x/$(project_id)s", "http://cloud:1", None), None);
        assert_eq!(filled_in("http://x/v2.1", "http://cloud:1", None).as_deref(), Some("http://x/v2.1"));
    }
}
