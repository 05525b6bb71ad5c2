//! Which policy document is for which endpoints (API reference "OS-ENDPOINT-POLICY API").

use updraft_model::identity::{Endpoint, PolicyBlob, PolicyPlace};
use updraft_store::Conn;
use updraft_store::identity::{catalog, policy_association, policy_blob};

use super::{access, checks};
use crate::{Caller, Core, Error, Result};

/// What is asked for; each has a rule of its own for each kind of place.
#[derive(Clone, Copy)]
enum Verb {
    Create,
    Check,
    Delete,
}

fn rule(verb: Verb, place: &PolicyPlace) -> &'static str {
    match (verb, place) {
        (Verb::Create, PolicyPlace::Endpoint(_)) => "identity:create_policy_association_for_endpoint",
        (Verb::Check, PolicyPlace::Endpoint(_)) => "identity:check_policy_association_for_endpoint",
        (Verb::Delete, PolicyPlace::Endpoint(_)) => "identity:delete_policy_association_for_endpoint",
        (Verb::Create, PolicyPlace::Service(_)) => "identity:create_policy_association_for_service",
        (Verb::Check, PolicyPlace::Service(_)) => "identity:check_policy_association_for_service",
        (Verb::Delete, PolicyPlace::Service(_)) => "identity:delete_policy_association_for_service",
        (Verb::Create, PolicyPlace::Region { .. }) => {
            "identity:create_policy_association_for_region_and_service"
        }
        (Verb::Check, PolicyPlace::Region { .. }) => {
            "identity:check_policy_association_for_region_and_service"
        }
        (Verb::Delete, PolicyPlace::Region { .. }) => {
            "identity:delete_policy_association_for_region_and_service"
        }
    }
}

async fn find_policy(conn: &mut Conn, id: &str) -> Result<PolicyBlob> {
    policy_blob::get(conn, id).await?.ok_or_else(|| checks::not_found("policy", id))
}

/// 404 unless the document and the place exist.
async fn must_exist(conn: &mut Conn, policy_id: &str, place: &PolicyPlace) -> Result<()> {
    find_policy(conn, policy_id).await?;
    if let PolicyPlace::Endpoint(id) = place {
        catalog::get_endpoint(conn, id).await?.ok_or_else(|| checks::not_found("endpoint", id))?;
    }
    if let PolicyPlace::Service(id) | PolicyPlace::Region { service_id: id, .. } = place {
        catalog::get_service(conn, id).await?.ok_or_else(|| checks::not_found("service", id))?;
    }
    if let PolicyPlace::Region { region_id, .. } = place {
        catalog::get_region(conn, region_id).await?.ok_or_else(|| checks::not_found("region", region_id))?;
    }
    Ok(())
}

/// Makes a document that of a place, instead of any other.
pub async fn associate(core: &Core, caller: &Caller, policy_id: &str, place: PolicyPlace) -> Result<()> {
    access::enforce_plain(core, caller, rule(Verb::Create, &place))?;
    let policy_id = policy_id.to_owned();
    core.write(move |tx| {
        Box::pin(async move {
            must_exist(tx, &policy_id, &place).await?;
            Ok(policy_association::set(tx, &policy_id, &place).await?)
        })
    })
    .await
}

/// 404 unless the document is that of the place.
pub async fn check(core: &Core, caller: &Caller, policy_id: &str, place: &PolicyPlace) -> Result<()> {
    access::enforce_plain(core, caller, rule(Verb::Check, place))?;
    let mut conn = core.read().await?;
    must_exist(&mut conn, policy_id, place).await?;
    match policy_association::policy_of(&mut conn, place).await?.is_some_and(|found| found == policy_id) {
        true => Ok(()),
        false => Err(Error::not_found("NotFound", "Could not find policy association.")),
    }
}

/// Takes a document from a place; nothing when it is not there.
pub async fn dissociate(core: &Core, caller: &Caller, policy_id: &str, place: PolicyPlace) -> Result<()> {
    access::enforce_plain(core, caller, rule(Verb::Delete, &place))?;
    let policy_id = policy_id.to_owned();
    core.write(move |tx| {
        Box::pin(async move {
            must_exist(tx, &policy_id, &place).await?;
            Ok(policy_association::unset(tx, &policy_id, &place).await?)
        })
    })
    .await
}

/// The endpoints that a document is for.
pub async fn endpoints_of(core: &Core, caller: &Caller, policy_id: &str) -> Result<Vec<Endpoint>> {
    access::enforce_plain(core, caller, "identity:list_endpoints_for_policy")?;
    let mut conn = core.read().await?;
    find_policy(&mut conn, policy_id).await?;
    let all = catalog::list_endpoints(&mut conn, None, None, None).await?;
    let mut found: Vec<Endpoint> = Vec::new();
    for place in policy_association::places_of(&mut conn, policy_id).await? {
        let regions = match &place {
            PolicyPlace::Region { region_id, .. } => catalog::region_tree(&mut conn, region_id).await?,
            PolicyPlace::Endpoint(_) | PolicyPlace::Service(_) => Vec::new(),
        };
        let is_there = |endpoint: &&Endpoint| match &place {
            PolicyPlace::Endpoint(id) => endpoint.id == *id,
            PolicyPlace::Service(id) => endpoint.service_id == *id,
            PolicyPlace::Region { service_id, .. } => {
                let region_id = endpoint.region_id.as_ref();
                endpoint.service_id == *service_id && region_id.is_some_and(|id| regions.contains(id))
            }
        };
        for endpoint in all.iter().filter(is_there) {
            if !found.contains(endpoint) {
                found.push(endpoint.clone());
            }
        }
    }
    Ok(found)
}

/// The document that is for an endpoint: its own; that of its service in its region, or in the nearest region around;
/// that of its service.
pub async fn policy_of(core: &Core, caller: &Caller, endpoint_id: &str) -> Result<PolicyBlob> {
    access::enforce_plain(core, caller, "identity:get_policy_for_endpoint")?;
    let mut conn = core.read().await?;
    let endpoint = catalog::get_endpoint(&mut conn, endpoint_id).await?;
    let endpoint = endpoint.ok_or_else(|| checks::not_found("endpoint", endpoint_id))?;
    let service_id = endpoint.service_id;
    let mut places = vec![PolicyPlace::Endpoint(endpoint.id)];
    let mut around = endpoint.region_id;
    while let Some(region_id) = around {
        let region = catalog::get_region(&mut conn, &region_id).await?;
        places.push(PolicyPlace::Region { service_id: service_id.clone(), region_id });
        // A region is never inside itself (`catalog::update_region`).
        around = region.and_then(|region| region.parent_region_id);
    }
    places.push(PolicyPlace::Service(service_id));
    for place in places {
        if let Some(policy_id) = policy_association::policy_of(&mut conn, &place).await? {
            return find_policy(&mut conn, &policy_id).await;
        }
    }
    let message = format!("No policy is associated with endpoint {endpoint_id}.");
    Err(Error::not_found("NotFound", message))
}
