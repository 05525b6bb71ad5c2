//! `updraft openrc`: the administrator's credentials for the `openstack` client.

use std::process::ExitCode;

use crate::authority::Authority;
use crate::cloud::Cloud;
use crate::error::Error;
use crate::layout::Layout;

pub fn run(layout: &Layout) -> Result<ExitCode, Error> {
    let cloud = Cloud::load(layout)?;
    let password_file = layout.admin_password_file();
    let password = std::fs::read_to_string(&password_file).map_err(Error::path("read", &password_file))?;
    let variables = [
        ("OS_AUTH_URL", format!("{}/identity/v3", cloud.endpoint())),
        ("OS_IDENTITY_API_VERSION", "3".to_owned()),
        ("OS_USERNAME", "admin".to_owned()),
        ("OS_PASSWORD", password.trim().to_owned()),
        ("OS_PROJECT_NAME", "admin".to_owned()),
        ("OS_USER_DOMAIN_ID", "default".to_owned()),
        ("OS_PROJECT_DOMAIN_ID", "default".to_owned()),
        ("OS_REGION_NAME", "RegionOne".to_owned()),
    ];
    for (name, value) in variables {
        println!("export {name}='{value}'");
    }
    if cloud.tls {
        println!("export OS_CACERT='{}'", Authority::new(layout, &cloud).certificate_file().display());
    }
    Ok(ExitCode::SUCCESS)
}
