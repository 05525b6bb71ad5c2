//! Regions, services and endpoints, and the catalog that tokens carry.

use std::sync::Arc;

use updraft_model::id::new_keystone_id;
use updraft_model::identity::{Endpoint, Extra, Interface, Region, Service};
use updraft_store::Tx;
use updraft_store::identity::catalog;

use super::endpoint_filter::EndpointFilter;
use super::url_template::UrlTemplate;
use super::{access, checks};
use crate::{Caller, Core, Error, Result};

/// The longest URL of an endpoint, in characters, as in Keystone's schema.
const MAX_URL_CHARS: usize = 225;

/// One service with its endpoints, as catalogs show it.
#[derive(Clone, Debug)]
pub struct CatalogService {
    pub id: String,
    pub kind: String,
    pub name: String,
    pub endpoints: Vec<CatalogEndpoint>,
}

/// One endpoint, its URL filled in.
#[derive(Clone, Debug)]
pub struct CatalogEndpoint {
    pub id: String,
    pub interface: Interface,
    pub region_id: Option<String>,
    pub url: String,
}

/// Whose catalog it is.
#[derive(Clone, Copy, Debug)]
pub struct Bearer<'a> {
    pub user_id: &'a str,
    pub project_id: Option<&'a str>,
}

/// What clients find: enabled services with their enabled endpoints. An endpoint whose URL needs a project is
/// left out of a token without one. For a project that endpoints are tied to, those alone, and no empty services.
pub async fn of_bearer(
    core: &Core,
    public_endpoint: &str,
    bearer: Bearer<'_>,
) -> Result<Vec<CatalogService>> {
    let enabled = enabled(core).await?;
    let shown = bearer.project_id.and_then(|project_id| enabled.filter.of_project(project_id));
    let filled = enabled.services.iter().map(|(service, endpoints)| {
        let endpoints = endpoints.iter().filter_map(|(endpoint, template)| {
            let is_shown = shown.as_ref().is_none_or(|shown| shown.contains(endpoint.id.as_str()));
            let url = is_shown.then(|| template.filled_in(public_endpoint, bearer))??;
            let (id, region_id) = (endpoint.id.clone(), endpoint.region_id.clone());
            Some(CatalogEndpoint { id, interface: endpoint.interface, region_id, url })
        });
        let (id, kind, name) = (service.id.clone(), service.kind.clone(), service.name.clone());
        CatalogService { id, kind, name, endpoints: endpoints.collect() }
    });
    Ok(filled.filter(|service| shown.is_none() || !service.endpoints.is_empty()).collect())
}

/// Enabled services with their enabled endpoints, URLs as they were given, and what is tied to projects.
#[derive(Debug)]
pub(super) struct Enabled {
    services: Vec<(Service, Vec<(Endpoint, UrlTemplate)>)>,
    filter: EndpointFilter,
}

async fn enabled(core: &Core) -> Result<Arc<Enabled>> {
    let epoch = core.store.identity_epoch();
    if let Some(kept) = core.fresh.catalog.get(epoch, &()) {
        return Ok(kept);
    }
    let mut conn = core.read().await?;
    let services = catalog::list_services(&mut conn, None, None).await?;
    let all = catalog::list_endpoints(&mut conn, None, None, None).await?;
    let filter = EndpointFilter::read(&mut conn, &all).await?;
    let services = services.into_iter().filter(|service| service.enabled).map(|service| {
        let of_service = all.iter().filter(|endpoint| endpoint.service_id == service.id && endpoint.enabled);
        let with_template = |endpoint: &Endpoint| {
            let template = UrlTemplate::parse(&endpoint.url);
            (endpoint.clone(), template.unwrap_or_else(|| UrlTemplate::literal(&endpoint.url)))
        };
        let endpoints = of_service.map(with_template).collect();
        (service, endpoints)
    });
    let enabled = Arc::new(Enabled { services: services.collect(), filter });
    core.fresh.catalog.put(epoch, (), &enabled);
    Ok(enabled)
}

pub async fn create_region(core: &Core, caller: &Caller, region: Region) -> Result<Region> {
    access::enforce_plain(core, caller, "identity:create_region")?;
    checks::name(&region.id, checks::MAX_NAME_CHARS)?;
    core.write(move |tx| {
        Box::pin(async move {
            if let Some(parent) = &region.parent_region_id {
                catalog::get_region(tx, parent).await?.ok_or_else(|| checks::not_found("region", parent))?;
            }
            if catalog::get_region(tx, &region.id).await?.is_some() {
                return Err(checks::duplicate("region", &format!("Duplicate ID, {}", region.id)));
            }
            catalog::insert_region(tx, &region).await?;
            Ok(region)
        })
    })
    .await
}

/// One region; anybody with a token may look.
pub async fn get_region(core: &Core, caller: &Caller, id: &str) -> Result<Region> {
    access::enforce_plain(core, caller, "identity:get_region")?;
    catalog::get_region(&mut core.read().await?, id).await?.ok_or_else(|| checks::not_found("region", id))
}

/// All regions, or those right inside `parent`; anybody with a token may look.
pub async fn list_regions(core: &Core, caller: &Caller, parent: Option<&str>) -> Result<Vec<Region>> {
    access::enforce_plain(core, caller, "identity:list_regions")?;
    Ok(catalog::list_regions(&mut core.read().await?, parent).await?)
}

/// Applies `change` to a region; it cannot end up inside itself.
pub async fn update_region(
    core: &Core,
    caller: &Caller,
    id: &str,
    change: impl FnOnce(&mut Region) + Clone + Send + Sync + 'static,
) -> Result<Region> {
    access::enforce_plain(core, caller, "identity:update_region")?;
    let id = id.to_owned();
    core.write(move |tx| {
        Box::pin(async move {
            let mut region =
                catalog::get_region(tx, &id).await?.ok_or_else(|| checks::not_found("region", &id))?;
            change(&mut region);
            if let Some(parent) = &region.parent_region_id {
                catalog::get_region(tx, parent).await?.ok_or_else(|| checks::not_found("region", parent))?;
                if catalog::region_tree(tx, &id).await?.contains(parent) {
                    return Err(checks::invalid(format!(
                        "The specified parent region {parent} would create a circular region hierarchy."
                    )));
                }
            }
            catalog::update_region(tx, &region).await?;
            Ok(region)
        })
    })
    .await
}

/// Deletes a region with those inside it; 403 while one of them has endpoints.
pub async fn delete_region(core: &Core, caller: &Caller, id: &str) -> Result<()> {
    access::enforce_plain(core, caller, "identity:delete_region")?;
    let id = id.to_owned();
    core.write(move |tx| {
        Box::pin(async move {
            let tree = catalog::region_tree(tx, &id).await?;
            if tree.is_empty() {
                return Err(checks::not_found("region", &id));
            }
            for region in &tree {
                if !catalog::list_endpoints(tx, None, None, Some(region)).await?.is_empty() {
                    return Err(Error::forbidden(format!(
                        "Unable to delete region {id} because it or its child regions have associated endpoints."
                    )));
                }
            }
            for region in tree.iter().rev() {
                catalog::delete_region(tx, region).await?;
            }
            Ok(())
        })
    })
    .await
}

pub async fn create_service(core: &Core, caller: &Caller, mut service: Service) -> Result<Service> {
    access::enforce_plain(core, caller, "identity:create_service")?;
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
    access::enforce_plain(core, caller, "identity:get_service")?;
    catalog::get_service(&mut core.read().await?, id).await?.ok_or_else(|| checks::not_found("service", id))
}

pub async fn list_services(
    core: &Core,
    caller: &Caller,
    kind: Option<&str>,
    name: Option<&str>,
) -> Result<Vec<Service>> {
    access::enforce_plain(core, caller, "identity:list_services")?;
    Ok(catalog::list_services(&mut core.read().await?, kind, name).await?)
}

/// Applies `change` to a service.
pub async fn update_service(
    core: &Core,
    caller: &Caller,
    id: &str,
    change: impl FnOnce(&mut Service) + Clone + Send + Sync + 'static,
) -> Result<Service> {
    access::enforce_plain(core, caller, "identity:update_service")?;
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
    access::enforce_plain(core, caller, "identity:delete_service")?;
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

/// Adds an endpoint. With `makes_region`, a region that does not exist is made, as for clients that still say
/// `region` for `region_id`.
pub async fn create_endpoint(
    core: &Core,
    caller: &Caller,
    mut endpoint: Endpoint,
    makes_region: bool,
) -> Result<Endpoint> {
    access::enforce_plain(core, caller, "identity:create_endpoint")?;
    check_url(&endpoint.url)?;
    endpoint.id = new_keystone_id();
    core.write(move |tx| {
        Box::pin(async move {
            check_endpoint_parties(tx, &endpoint, makes_region).await?;
            catalog::insert_endpoint(tx, &endpoint).await?;
            Ok(endpoint)
        })
    })
    .await
}

pub async fn get_endpoint(core: &Core, caller: &Caller, id: &str) -> Result<Endpoint> {
    access::enforce_plain(core, caller, "identity:get_endpoint")?;
    catalog::get_endpoint(&mut core.read().await?, id).await?.ok_or_else(|| checks::not_found("endpoint", id))
}

pub async fn list_endpoints(
    core: &Core,
    caller: &Caller,
    service_id: Option<&str>,
    interface: Option<Interface>,
    region_id: Option<&str>,
) -> Result<Vec<Endpoint>> {
    access::enforce_plain(core, caller, "identity:list_endpoints")?;
    Ok(catalog::list_endpoints(&mut core.read().await?, service_id, interface, region_id).await?)
}

/// Applies `change` to an endpoint.
pub async fn update_endpoint(
    core: &Core,
    caller: &Caller,
    id: &str,
    makes_region: bool,
    change: impl FnOnce(&mut Endpoint) + Clone + Send + Sync + 'static,
) -> Result<Endpoint> {
    access::enforce_plain(core, caller, "identity:update_endpoint")?;
    let id = id.to_owned();
    core.write(move |tx| {
        Box::pin(async move {
            let found = catalog::get_endpoint(tx, &id).await?;
            let mut endpoint = found.ok_or_else(|| checks::not_found("endpoint", &id))?;
            change(&mut endpoint);
            check_url(&endpoint.url)?;
            check_endpoint_parties(tx, &endpoint, makes_region).await?;
            catalog::update_endpoint(tx, &endpoint).await?;
            Ok(endpoint)
        })
    })
    .await
}

pub async fn delete_endpoint(core: &Core, caller: &Caller, id: &str) -> Result<()> {
    access::enforce_plain(core, caller, "identity:delete_endpoint")?;
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
    if !known.iter().any(|start| url.starts_with(start)) {
        return Err(checks::invalid("An endpoint's URL starts with http:// or https://."));
    }
    if url.chars().count() > MAX_URL_CHARS {
        return Err(checks::invalid(format!("An endpoint's URL has up to {MAX_URL_CHARS} characters.")));
    }
    match UrlTemplate::parse(url) {
        Some(_) => Ok(()),
        None => Err(checks::invalid(format!("Cannot create an endpoint with an invalid URL: {url}."))),
    }
}

/// Keystone answers 400, not 404, when what an endpoint refers to does not exist.
async fn check_endpoint_parties(tx: &mut Tx, endpoint: &Endpoint, makes_region: bool) -> Result<()> {
    let not_there = |what: &str, id: &str| checks::invalid(format!("Could not find {what}: {id}."));
    let service_id = &endpoint.service_id;
    catalog::get_service(tx, service_id).await?.ok_or_else(|| not_there("service", service_id))?;
    let Some(region_id) = &endpoint.region_id else { return Ok(()) };
    if catalog::get_region(tx, region_id).await?.is_some() {
        return Ok(());
    }
    if !makes_region {
        return Err(not_there("region", region_id));
    }
    let (id, description) = (region_id.clone(), String::new());
    let region = Region { id, description, parent_region_id: None, extra: Extra::new() };
    Ok(catalog::insert_region(tx, &region).await?)
}

#[cfg(test)]
mod tests {
    use super::check_url;

    #[test]
    fn a_template_that_cannot_be_filled_in_is_refused() {
        for good in [
            "https://a/%(tenant_id)s",
            "http://a/$(project_id)s/v1",
            "$(public_endpoint)s/x",
            "http://a/100%%",
        ] {
            assert!(check_url(good).is_ok(), "{good}");
        }
        let long = format!("http://{}", "a".repeat(225));
        for bad in [
            "ftp://a",
            "http://a/%(nonsense)s",
            "http://a/$(tenant_id)",
            "http://a/%s",
            "http://a/%(tenant_id)d",
            &long,
        ] {
            assert!(check_url(bad).is_err(), "{bad}");
        }
    }
}
