//! The catalog as tokens carry it.

use updraft_core::identity::catalog::{Bearer, CatalogService, of_bearer};
use updraft_core::{Core, Result};
use updraft_wire::identity::{CatalogEndpoint, CatalogEntry};

/// The catalog of a token's bearer.
pub(super) async fn entries(core: &Core, endpoint: &str, bearer: Bearer<'_>) -> Result<Vec<CatalogEntry>> {
    Ok(of_bearer(core, endpoint, bearer).await?.into_iter().map(entry).collect())
}

fn entry(service: CatalogService) -> CatalogEntry {
    let endpoints = service.endpoints.into_iter().map(|endpoint| CatalogEndpoint {
        id: endpoint.id,
        interface: endpoint.interface.as_str(),
        region: endpoint.region_id.clone(),
        region_id: endpoint.region_id,
        url: endpoint.url,
    });
    CatalogEntry { id: service.id, kind: service.kind, name: service.name, endpoints: endpoints.collect() }
}
