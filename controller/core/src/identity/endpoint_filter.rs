//! Which endpoints a project's catalog shows (API reference "OS-EP-FILTER API"): those that are tied to the project, and
//! those that the groups tied to it take in.

use std::collections::{BTreeMap, BTreeSet};

use updraft_model::id::new_keystone_id;
use updraft_model::identity::{Endpoint, EndpointGroup, Extra, Interface, Project};
use updraft_store::identity::project::{self, ProjectFilter};
use updraft_store::identity::{catalog, endpoint_filter};
use updraft_store::{Conn, StoreError, StoreErrorKind};

use super::{access, checks};
use crate::{Caller, Core, Error, Result};

/// What is tied to whom.
#[derive(Debug, Default)]
pub(super) struct EndpointFilter(BTreeMap<String, BTreeSet<String>>);

impl EndpointFilter {
    /// Reads what is tied; `all` are the endpoints that there are.
    pub async fn read(conn: &mut Conn, all: &[Endpoint]) -> Result<Self> {
        let mut shown: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (project_id, endpoint_id) in endpoint_filter::tied_endpoints(conn, None, None).await? {
            shown.entry(project_id).or_default().insert(endpoint_id);
        }
        let tied = endpoint_filter::tied_groups(conn, None, None).await?;
        if !tied.is_empty() {
            let groups = endpoint_filter::list_groups(conn, None).await?;
            for (project_id, group_id) in tied {
                let group = groups.iter().find(|group| group.id == group_id);
                let taken = all.iter().filter(|endpoint| group.is_some_and(|group| group.takes(endpoint)));
                shown.entry(project_id).or_default().extend(taken.map(|endpoint| endpoint.id.clone()));
            }
        }
        // A group that takes nothing in leaves its project as it was.
        shown.retain(|_, endpoints| !endpoints.is_empty());
        Ok(Self(shown))
    }

    /// The ids of those that a project shows; `None` when it shows all.
    pub fn of_project(&self, project_id: &str) -> Option<BTreeSet<&str>> {
        self.0.get(project_id).map(|ids| ids.iter().map(String::as_str).collect())
    }
}

/// What is to change; `None` leaves a field as it is.
#[derive(Clone, Debug, Default)]
pub struct EndpointGroupChange {
    pub name: Option<String>,
    pub description: Option<Option<String>>,
    pub filters: Option<Extra>,
}

/// The filters that there are, and values that fit them.
fn check_filters(filters: &Extra) -> Result<()> {
    for (name, value) in filters {
        let fits = match name.as_str() {
            "interface" => {
                value.as_str().is_some_and(|text| Interface::ALL.iter().any(|known| known.as_str() == text))
            }
            "region_id" => value.is_string() || value.is_null(),
            name => EndpointGroup::FILTERS.contains(&name) && value.is_string(),
        };
        if !fits {
            return Err(checks::invalid(format!(
                "Invalid input for field 'filters': {name}. An endpoint group filters by {}.",
                EndpointGroup::FILTERS.join(", ")
            )));
        }
    }
    Ok(())
}

pub async fn create_group(
    core: &Core,
    caller: &Caller,
    name: String,
    description: Option<String>,
    filters: Extra,
) -> Result<EndpointGroup> {
    access::enforce_plain(core, caller, "identity:create_endpoint_group")?;
    if filters.is_empty() {
        return Err(checks::invalid("filters field is required and cannot be empty"));
    }
    check_filters(&filters)?;
    let name = checks::name(&name, checks::MAX_NAME_CHARS)?;
    let group = EndpointGroup { id: new_keystone_id(), name, description, filters };
    core.write(move |tx| {
        Box::pin(async move {
            endpoint_filter::insert_group(tx, &group).await?;
            Ok(group)
        })
    })
    .await
}

pub async fn list_groups(core: &Core, caller: &Caller, name: Option<&str>) -> Result<Vec<EndpointGroup>> {
    access::enforce_plain(core, caller, "identity:list_endpoint_groups")?;
    Ok(endpoint_filter::list_groups(&mut core.read().await?, name).await?)
}

pub async fn get_group(core: &Core, caller: &Caller, id: &str) -> Result<EndpointGroup> {
    access::enforce_plain(core, caller, "identity:get_endpoint_group")?;
    find_group(&mut core.read().await?, id).await
}

async fn find_group(conn: &mut Conn, id: &str) -> Result<EndpointGroup> {
    let found = endpoint_filter::get_group(conn, id).await?;
    found.ok_or_else(|| checks::not_found("Endpoint Group", id))
}

pub async fn update_group(
    core: &Core,
    caller: &Caller,
    id: &str,
    change: EndpointGroupChange,
) -> Result<EndpointGroup> {
    access::enforce_plain(core, caller, "identity:update_endpoint_group")?;
    check_filters(change.filters.as_ref().unwrap_or(&Extra::new()))?;
    let id = id.to_owned();
    core.write(move |tx| {
        Box::pin(async move {
            let mut group = find_group(tx, &id).await?;
            if let Some(name) = change.name {
                group.name = checks::name(&name, checks::MAX_NAME_CHARS)?;
            }
            group.description = change.description.unwrap_or(group.description);
            group.filters = change.filters.unwrap_or(group.filters);
            endpoint_filter::update_group(tx, &group).await?;
            Ok(group)
        })
    })
    .await
}

pub async fn delete_group(core: &Core, caller: &Caller, id: &str) -> Result<()> {
    access::enforce_plain(core, caller, "identity:delete_endpoint_group")?;
    let id = id.to_owned();
    core.write(move |tx| {
        Box::pin(async move {
            match endpoint_filter::delete_group(tx, &id).await? {
                true => Ok(()),
                false => Err(checks::not_found("Endpoint Group", &id)),
            }
        })
    })
    .await
}

/// The endpoints that a group takes in.
pub async fn endpoints_of_group(core: &Core, caller: &Caller, id: &str) -> Result<Vec<Endpoint>> {
    access::enforce_plain(core, caller, "identity:list_endpoints_associated_with_endpoint_group")?;
    let mut conn = core.read().await?;
    let group = find_group(&mut conn, id).await?;
    let mut endpoints = catalog::list_endpoints(&mut conn, None, None, None).await?;
    endpoints.retain(|endpoint| group.takes(endpoint));
    Ok(endpoints)
}

/// The projects that a group is tied to.
pub async fn projects_of_group(core: &Core, caller: &Caller, id: &str) -> Result<Vec<Project>> {
    access::enforce_plain(core, caller, "identity:list_projects_associated_with_endpoint_group")?;
    let mut conn = core.read().await?;
    find_group(&mut conn, id).await?;
    let tied = endpoint_filter::tied_groups(&mut conn, None, Some(id)).await?;
    projects(&mut conn, tied).await
}

async fn projects(conn: &mut Conn, tied: Vec<(String, String)>) -> Result<Vec<Project>> {
    let ids = Some(tied.into_iter().map(|(project_id, _)| project_id).collect());
    Ok(project::list(conn, &ProjectFilter { ids, ..ProjectFilter::default() }).await?)
}

/// The groups that are tied to a project.
pub async fn groups_of_project(core: &Core, caller: &Caller, project_id: &str) -> Result<Vec<EndpointGroup>> {
    access::enforce_plain(core, caller, "identity:list_endpoint_groups_for_project")?;
    let mut conn = core.read().await?;
    find_project(&mut conn, project_id).await?;
    let tied = endpoint_filter::tied_groups(&mut conn, Some(project_id), None).await?;
    let mut groups = endpoint_filter::list_groups(&mut conn, None).await?;
    groups.retain(|group| tied.iter().any(|(_, id)| *id == group.id));
    Ok(groups)
}

async fn find_project(conn: &mut Conn, id: &str) -> Result<Project> {
    project::get(conn, id).await?.ok_or_else(|| checks::not_found("project", id))
}

async fn find_endpoint(conn: &mut Conn, id: &str) -> Result<Endpoint> {
    catalog::get_endpoint(conn, id).await?.ok_or_else(|| checks::not_found("endpoint", id))
}

/// 404 unless the group is tied to the project.
pub async fn check_group(core: &Core, caller: &Caller, id: &str, project_id: &str) -> Result<()> {
    access::enforce_plain(core, caller, "identity:get_endpoint_group_in_project")?;
    let mut conn = core.read().await?;
    find_project(&mut conn, project_id).await?;
    find_group(&mut conn, id).await?;
    match endpoint_filter::tied_groups(&mut conn, Some(project_id), Some(id)).await?.is_empty() {
        false => Ok(()),
        true => Err(group_not_tied()),
    }
}

fn group_not_tied() -> Error {
    Error::not_found("NotFound", "Endpoint Group Project Association not found")
}

/// Ties a group to a project. 409 when it is tied already.
pub async fn tie_group(core: &Core, caller: &Caller, id: &str, project_id: &str) -> Result<()> {
    access::enforce_plain(core, caller, "identity:add_endpoint_group_to_project")?;
    let (id, project_id) = (id.to_owned(), project_id.to_owned());
    core.write(move |tx| {
        Box::pin(async move {
            find_project(tx, &project_id).await?;
            find_group(tx, &id).await?;
            tied_once("project_endpoint_group", endpoint_filter::tie_group(tx, &project_id, &id).await)
        })
    })
    .await
}

fn tied_once(what: &str, tied: std::result::Result<(), StoreError>) -> Result<()> {
    tied.map_err(|error| match error.kind {
        StoreErrorKind::Duplicate => checks::duplicate(what, "Duplicate entry"),
        _ => error.into(),
    })
}

pub async fn untie_group(core: &Core, caller: &Caller, id: &str, project_id: &str) -> Result<()> {
    access::enforce_plain(core, caller, "identity:remove_endpoint_group_from_project")?;
    let (id, project_id) = (id.to_owned(), project_id.to_owned());
    core.write(move |tx| {
        Box::pin(async move {
            find_project(tx, &project_id).await?;
            find_group(tx, &id).await?;
            match endpoint_filter::untie_group(tx, &project_id, &id).await? {
                true => Ok(()),
                false => Err(group_not_tied()),
            }
        })
    })
    .await
}

/// What is tied to a project, by itself and by groups; nothing for a project that shows all.
pub async fn endpoints_of_project(core: &Core, caller: &Caller, project_id: &str) -> Result<Vec<Endpoint>> {
    access::enforce_plain(core, caller, "identity:list_endpoints_for_project")?;
    let mut conn = core.read().await?;
    find_project(&mut conn, project_id).await?;
    let mut endpoints = catalog::list_endpoints(&mut conn, None, None, None).await?;
    let filter = EndpointFilter::read(&mut conn, &endpoints).await?;
    let shown = filter.of_project(project_id).unwrap_or_default();
    endpoints.retain(|endpoint| shown.contains(endpoint.id.as_str()));
    Ok(endpoints)
}

/// The projects that an endpoint is tied to by itself.
pub async fn projects_of_endpoint(core: &Core, caller: &Caller, endpoint_id: &str) -> Result<Vec<Project>> {
    access::enforce_plain(core, caller, "identity:list_projects_for_endpoint")?;
    let mut conn = core.read().await?;
    find_endpoint(&mut conn, endpoint_id).await?;
    let tied = endpoint_filter::tied_endpoints(&mut conn, None, Some(endpoint_id)).await?;
    projects(&mut conn, tied).await
}

/// 404 unless the endpoint is tied to the project by itself.
pub async fn check_endpoint(core: &Core, caller: &Caller, project_id: &str, endpoint_id: &str) -> Result<()> {
    access::enforce_plain(core, caller, "identity:check_endpoint_in_project")?;
    let mut conn = core.read().await?;
    find_endpoint(&mut conn, endpoint_id).await?;
    find_project(&mut conn, project_id).await?;
    let tied = endpoint_filter::tied_endpoints(&mut conn, Some(project_id), Some(endpoint_id)).await?;
    match tied.is_empty() {
        false => Ok(()),
        true => Err(endpoint_not_tied(project_id, endpoint_id)),
    }
}

fn endpoint_not_tied(project_id: &str, endpoint_id: &str) -> Error {
    Error::not_found("NotFound", format!("Endpoint {endpoint_id} not found in project {project_id}"))
}

/// Ties an endpoint to a project. 409 when it is tied already.
pub async fn tie_endpoint(core: &Core, caller: &Caller, project_id: &str, endpoint_id: &str) -> Result<()> {
    access::enforce_plain(core, caller, "identity:add_endpoint_to_project")?;
    let (project_id, endpoint_id) = (project_id.to_owned(), endpoint_id.to_owned());
    core.write(move |tx| {
        Box::pin(async move {
            find_endpoint(tx, &endpoint_id).await?;
            find_project(tx, &project_id).await?;
            let tied = endpoint_filter::tie_endpoint(tx, &project_id, &endpoint_id).await;
            tied_once("project_endpoint", tied)
        })
    })
    .await
}

pub async fn untie_endpoint(core: &Core, caller: &Caller, project_id: &str, endpoint_id: &str) -> Result<()> {
    access::enforce_plain(core, caller, "identity:remove_endpoint_from_project")?;
    let (project_id, endpoint_id) = (project_id.to_owned(), endpoint_id.to_owned());
    core.write(move |tx| {
        Box::pin(async move {
            match endpoint_filter::untie_endpoint(tx, &project_id, &endpoint_id).await? {
                true => Ok(()),
                false => Err(endpoint_not_tied(&project_id, &endpoint_id)),
            }
        })
    })
    .await
}
