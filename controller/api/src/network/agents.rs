//! `/v2.0/agents`: the hosts

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use serde_json::{Value, json};
use updraft_core::network::AVAILABILITY_ZONE;
use updraft_core::network::agent::{self, Agent};
use updraft_core::{Core, Error};

use super::answer::Names;
use super::list::ListQuery;
use crate::http::{Answer, Call};

const NAMES: Names = Names { one: "agent", many: "agents" };

pub(super) fn routes() -> Router<Core> {
    Router::new().route("/agents", get(list)).route("/agents/{id}", get(show))
}

fn view(agent: Agent) -> Value {
    let Agent { host, alive } = agent;
    json!({
        "id": host.id,
        "agent_type": "Updraft host",
        "binary": "updraft-agent",
        "topic": "N/A",
        "host": host.hostname,
        "admin_state_up": !host.disabled,
        "alive": alive,
        "availability_zone": AVAILABILITY_ZONE,
        "created_at": host.created_at.seconds_z(),
        "started_at": host.created_at.seconds_z(),
        "heartbeat_timestamp": host.last_seen_at.seconds_z(),
        "description": "",
        "configurations": {},
        "resources_synced": host.seen_generation >= host.plan_generation,
        "resource_versions": {},
    })
}

async fn list(call: Call, query: ListQuery) -> Answer {
    let agents = agent::list(&call.core, &call.caller).await?;
    let url = format!("{}/network/v2.0/agents", call.endpoint);
    NAMES.listed(agents.into_iter().map(view), &query, &url)
}

async fn show(call: Call, query: ListQuery, Path(id): Path<String>) -> Answer {
    let agents = agent::list(&call.core, &call.caller).await?;
    let agent = agents
        .into_iter()
        .find(|agent| agent.host.id == id)
        .ok_or_else(|| Error::not_found("AgentNotFound", format!("Agent {id} could not be found")))?;
    NAMES.shown(view(agent), &query)
}
