//! `updraft host`: which hosts the cloud trusts.

use std::fs;
use std::process::ExitCode;

use jiff::Timestamp;
use serde_json::json;

use crate::api_client::ApiClient;
use crate::authority::Authority;
use crate::cloud::Cloud;
use crate::error::Error;
use crate::layout::{Layout, write_secret};
use crate::ops::plain;

#[derive(clap::Subcommand)]
pub enum Command {
    /// Let a host come for a credential of its own, once, within an hour.
    Add {
        /// What the host is called from now on: letters, digits, dashes and dots.
        name: String,
    },
    /// Trust a host no more. Its guests run on; the host counts as down.
    Revoke { name: String },
    /// Which hosts are trusted, and which may enrol.
    List,
}

/// Does what the command says.
///
/// # Errors
/// No cloud, its controller does not answer, or it refuses.
pub async fn run(layout: &Layout, command: &Command) -> Result<ExitCode, Error> {
    let cloud = Cloud::load(layout)?;
    let api = ApiClient::admin(layout, &cloud).await?;
    match command {
        Command::Add { name } => add(layout, &cloud, &api, name).await?,
        Command::Revoke { name } => {
            api.delete(&format!("/host/v1/hosts/{}", plain(name)?)).await?;
            println!("{name} is not trusted any more");
        }
        Command::List => list(&api).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn add(layout: &Layout, cloud: &Cloud, api: &ApiClient, name: &str) -> Result<(), Error> {
    if !cloud.tls {
        let message =
            "other hosts are reached over the network, which needs TLS: run `updraft up --tls` first";
        return Err(Error::Requirement(message.to_owned()));
    }
    let answer = api.post("/host/v1/hosts", &json!({ "name": plain(name)? })).await?;
    let authority = Authority::new(layout, cloud);
    let (certificate, key) = authority.for_agent(name, Timestamp::now())?;
    let folder = layout.enrolment_dir(name);
    fs::create_dir_all(&folder).map_err(Error::path("make folder", &folder))?;
    let ca = authority.certificate_file();
    let ca = fs::read_to_string(&ca).map_err(Error::path("read", &ca))?;
    let secret = answer["enrolment_secret"].as_str().unwrap_or_default();
    for (file, content) in
        [("enrolment", secret), ("ca.pem", ca.as_str()), ("agent.pem", &certificate), ("agent.key", &key)]
    {
        write_secret(&folder.join(file), content)?;
    }
    let port = cloud.agent_listen.port();
    println!(
        "{name} may enrol within an hour. Move {} there, say to /etc/updraft, and write",
        folder.display()
    );
    println!("into its agent.toml, beside where its own folders are:\n");
    println!("controller_url = \"{}\"   # or as {name} reaches it", cloud.endpoint());
    println!("ca_file = \"/etc/updraft/ca.pem\"");
    println!("enrolment_file = \"/etc/updraft/enrolment\"");
    println!("credential_file = \"/etc/updraft/credential\"   # written by the agent");
    println!("listen = \"0.0.0.0:{port}\"");
    println!("agent_url = \"https://{name}:{port}\"");
    println!("[tls]\ncert_file = \"/etc/updraft/agent.pem\"\nkey_file = \"/etc/updraft/agent.key\"");
    Ok(())
}

async fn list(api: &ApiClient) -> Result<(), Error> {
    let hosts = api.get("/host/v1/hosts").await?;
    println!("{:<24} {:<10} {:<36} UNTIL", "NAME", "STATE", "HOST");
    for host in hosts.as_array().into_iter().flatten() {
        let field = |name: &str| host[name].as_str().unwrap_or("-");
        let name = if field("name").is_empty() { "(this machine)" } else { field("name") };
        println!("{name:<24} {:<10} {:<36} {}", field("state"), field("host_id"), field("ends_at"));
    }
    Ok(())
}
