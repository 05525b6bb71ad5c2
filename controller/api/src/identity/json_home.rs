//! The JSON Home document: which resources there are, by relation (`Accept: application/json-home` at `/` and
//! `/v3`). Clients such as tempest look in it for what they may ask of us.

use serde_json::{Map, Value, json};

/// Where Keystone's relations are named.
const RELATIONS: &str = "https://docs.openstack.org/api/openstack-identity/3";

/// (relation, path below `/v3`) of the API itself.
const RESOURCES: &[(&str, &str)] = &[
    ("auth_catalog", "/auth/catalog"),
    ("auth_domains", "/auth/domains"),
    ("auth_projects", "/auth/projects"),
    ("auth_system", "/auth/system"),
    ("auth_tokens", "/auth/tokens"),
    ("application_credential", "/users/{user_id}/application_credentials/{application_credential_id}"),
    ("application_credentials", "/users/{user_id}/application_credentials"),
    ("access_rule", "/users/{user_id}/access_rules/{access_rule_id}"),
    ("access_rules", "/users/{user_id}/access_rules"),
    ("credential", "/credentials/{credential_id}"),
    ("credentials", "/credentials"),
    ("domain", "/domains/{domain_id}"),
    ("domains", "/domains"),
    ("domain_config", "/domains/{domain_id}/config"),
    ("domain_config_group", "/domains/{domain_id}/config/{group}"),
    ("domain_config_option", "/domains/{domain_id}/config/{group}/{option}"),
    ("domain_config_default", "/domains/config/default"),
    ("domain_config_default_group", "/domains/config/{group}/default"),
    ("domain_config_default_option", "/domains/config/{group}/{option}/default"),
    ("domain_group_role", "/domains/{domain_id}/groups/{group_id}/roles/{role_id}"),
    ("domain_group_roles", "/domains/{domain_id}/groups/{group_id}/roles"),
    ("domain_user_role", "/domains/{domain_id}/users/{user_id}/roles/{role_id}"),
    ("domain_user_roles", "/domains/{domain_id}/users/{user_id}/roles"),
    ("endpoint", "/endpoints/{endpoint_id}"),
    ("endpoints", "/endpoints"),
    ("group", "/groups/{group_id}"),
    ("groups", "/groups"),
    ("group_user", "/groups/{group_id}/users/{user_id}"),
    ("group_users", "/groups/{group_id}/users"),
    ("implied_role", "/roles/{prior_role_id}/implies/{implied_role_id}"),
    ("implied_roles", "/roles/{prior_role_id}/implies"),
    ("limit", "/limits/{limit_id}"),
    ("limit_model", "/limits/model"),
    ("limits", "/limits"),
    ("policies", "/policies"),
    ("policy", "/policies/{policy_id}"),
    ("project", "/projects/{project_id}"),
    ("projects", "/projects"),
    ("project_group_role", "/projects/{project_id}/groups/{group_id}/roles/{role_id}"),
    ("project_group_roles", "/projects/{project_id}/groups/{group_id}/roles"),
    ("project_tags", "/projects/{project_id}/tags/{value}"),
    ("project_user_role", "/projects/{project_id}/users/{user_id}/roles/{role_id}"),
    ("project_user_roles", "/projects/{project_id}/users/{user_id}/roles"),
    ("region", "/regions/{region_id}"),
    ("regions", "/regions"),
    ("registered_limit", "/registered_limits/{registered_limit_id}"),
    ("registered_limits", "/registered_limits"),
    ("role", "/roles/{role_id}"),
    ("roles", "/roles"),
    ("role_assignments", "/role_assignments"),
    ("role_inferences", "/role_inferences"),
    ("service", "/services/{service_id}"),
    ("services", "/services"),
    ("system_group_role", "/system/groups/{group_id}/roles/{role_id}"),
    ("system_group_roles", "/system/groups/{group_id}/roles"),
    ("system_user_role", "/system/users/{user_id}/roles/{role_id}"),
    ("system_user_roles", "/system/users/{user_id}/roles"),
    ("user", "/users/{user_id}"),
    ("users", "/users"),
    ("user_change_password", "/users/{user_id}/password"),
    ("user_groups", "/users/{user_id}/groups"),
    ("user_projects", "/users/{user_id}/projects"),
];

/// Of the relations above, those that Keystone does not promise to keep as they are.
const EXPERIMENTAL: &[&str] = &["limit", "limit_model", "limits", "registered_limit", "registered_limits"];

/// (extension with its version, relation, path below `/v3`).
const EXTENSIONS: &[(&str, &str, &str)] = &[
    ("OS-EC2/1.0", "ec2tokens", "/ec2tokens"),
    ("OS-EC2/1.0", "user_credential", "/users/{user_id}/credentials/OS-EC2/{credential_id}"),
    ("OS-EC2/1.0", "user_credentials", "/users/{user_id}/credentials/OS-EC2"),
    (
        "OS-ENDPOINT-POLICY/1.0",
        "endpoint_policy_association",
        "/policies/{policy_id}/OS-ENDPOINT-POLICY/endpoints/{endpoint_id}",
    ),
    (
        "OS-ENDPOINT-POLICY/1.0",
        "service_policy_association",
        "/policies/{policy_id}/OS-ENDPOINT-POLICY/services/{service_id}",
    ),
    (
        "OS-ENDPOINT-POLICY/1.0",
        "region_and_service_policy_association",
        "/policies/{policy_id}/OS-ENDPOINT-POLICY/services/{service_id}/regions/{region_id}",
    ),
    ("OS-ENDPOINT-POLICY/1.0", "policy_endpoints", "/policies/{policy_id}/OS-ENDPOINT-POLICY/endpoints"),
    ("OS-ENDPOINT-POLICY/1.0", "endpoint_policy", "/endpoints/{endpoint_id}/OS-ENDPOINT-POLICY/policy"),
    ("OS-EP-FILTER/1.0", "endpoint_groups", "/OS-EP-FILTER/endpoint_groups"),
    ("OS-EP-FILTER/1.0", "endpoint_group", "/OS-EP-FILTER/endpoint_groups/{endpoint_group_id}"),
    (
        "OS-EP-FILTER/1.0",
        "endpoints_in_endpoint_group",
        "/OS-EP-FILTER/endpoint_groups/{endpoint_group_id}/endpoints",
    ),
    (
        "OS-EP-FILTER/1.0",
        "projects_associated_with_endpoint_group",
        "/OS-EP-FILTER/endpoint_groups/{endpoint_group_id}/projects",
    ),
    (
        "OS-EP-FILTER/1.0",
        "endpoint_group_to_project_association",
        "/OS-EP-FILTER/endpoint_groups/{endpoint_group_id}/projects/{project_id}",
    ),
    ("OS-EP-FILTER/1.0", "endpoint_projects", "/OS-EP-FILTER/endpoints/{endpoint_id}/projects"),
    ("OS-EP-FILTER/1.0", "project_endpoint", "/OS-EP-FILTER/projects/{project_id}/endpoints/{endpoint_id}"),
    ("OS-EP-FILTER/1.0", "project_endpoints", "/OS-EP-FILTER/projects/{project_id}/endpoints"),
    ("OS-EP-FILTER/1.0", "project_endpoint_groups", "/OS-EP-FILTER/projects/{project_id}/endpoint_groups"),
    ("OS-FEDERATION/1.0", "domains", "/auth/domains"),
    ("OS-FEDERATION/1.0", "projects", "/auth/projects"),
    ("OS-FEDERATION/1.0", "identity_provider", "/OS-FEDERATION/identity_providers/{idp_id}"),
    ("OS-FEDERATION/1.0", "identity_providers", "/OS-FEDERATION/identity_providers"),
    (
        "OS-FEDERATION/1.0",
        "identity_provider_protocols",
        "/OS-FEDERATION/identity_providers/{idp_id}/protocols",
    ),
    (
        "OS-FEDERATION/1.0",
        "identity_provider_protocol",
        "/OS-FEDERATION/identity_providers/{idp_id}/protocols/{protocol_id}",
    ),
    (
        "OS-FEDERATION/1.0",
        "identity_provider_protocol_auth",
        "/OS-FEDERATION/identity_providers/{idp_id}/protocols/{protocol_id}/auth",
    ),
    ("OS-FEDERATION/1.0", "mapping", "/OS-FEDERATION/mappings/{mapping_id}"),
    ("OS-FEDERATION/1.0", "mappings", "/OS-FEDERATION/mappings"),
    ("OS-FEDERATION/1.0", "websso", "/auth/OS-FEDERATION/websso/{protocol_id}"),
    (
        "OS-FEDERATION/1.0",
        "identity_providers_websso",
        "/auth/OS-FEDERATION/identity_providers/{idp_id}/protocols/{protocol_id}/websso",
    ),
    ("OS-FEDERATION/1.0", "service_provider", "/OS-FEDERATION/service_providers/{service_provider_id}"),
    ("OS-FEDERATION/1.0", "service_providers", "/OS-FEDERATION/service_providers"),
    (
        "OS-INHERIT/1.0",
        "domain_group_role_inherited_to_projects",
        "/OS-INHERIT/domains/{domain_id}/groups/{group_id}/roles/{role_id}/inherited_to_projects",
    ),
    (
        "OS-INHERIT/1.0",
        "domain_group_roles_inherited_to_projects",
        "/OS-INHERIT/domains/{domain_id}/groups/{group_id}/roles/inherited_to_projects",
    ),
    (
        "OS-INHERIT/1.0",
        "domain_user_role_inherited_to_projects",
        "/OS-INHERIT/domains/{domain_id}/users/{user_id}/roles/{role_id}/inherited_to_projects",
    ),
    (
        "OS-INHERIT/1.0",
        "domain_user_roles_inherited_to_projects",
        "/OS-INHERIT/domains/{domain_id}/users/{user_id}/roles/inherited_to_projects",
    ),
    (
        "OS-INHERIT/1.0",
        "project_group_role_inherited_to_projects",
        "/OS-INHERIT/projects/{project_id}/groups/{group_id}/roles/{role_id}/inherited_to_projects",
    ),
    (
        "OS-INHERIT/1.0",
        "project_user_role_inherited_to_projects",
        "/OS-INHERIT/projects/{project_id}/users/{user_id}/roles/{role_id}/inherited_to_projects",
    ),
    ("OS-REVOKE/1.0", "events", "/OS-REVOKE/events"),
    ("OS-TRUST/1.0", "trust", "/OS-TRUST/trusts/{trust_id}"),
    ("OS-TRUST/1.0", "trust_role", "/OS-TRUST/trusts/{trust_id}/roles/{role_id}"),
    ("OS-TRUST/1.0", "trust_roles", "/OS-TRUST/trusts/{trust_id}/roles"),
    ("OS-TRUST/1.0", "trusts", "/OS-TRUST/trusts"),
    ("s3tokens/1.0", "s3tokens", "/s3tokens"),
];

/// The document; `prefix` is what stands before the paths.
pub(super) fn document(prefix: &str) -> Value {
    let own = RESOURCES.iter().map(|(name, path)| {
        let mut resource = resource(prefix, path);
        if EXPERIMENTAL.contains(name) {
            resource["hints"] = json!({"status": "experimental"});
        }
        (format!("{RELATIONS}/rel/{name}"), resource)
    });
    let extensions = EXTENSIONS.iter().map(|(extension, name, path)| {
        (format!("{RELATIONS}/ext/{extension}/rel/{name}"), resource(prefix, path))
    });
    json!({"resources": own.chain(extensions).collect::<Map<String, Value>>()})
}

fn resource(prefix: &str, path: &str) -> Value {
    let variables = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let variables: Map<String, Value> =
        variables.map(|name| (name.to_owned(), parameter(name).into())).collect();
    match variables.is_empty() {
        true => json!({"href": format!("{prefix}{path}")}),
        false => json!({"href-template": format!("{prefix}{path}"), "href-vars": variables}),
    }
}

/// What a variable of a path stands for. Both roles of an implication are roles.
fn parameter(name: &str) -> String {
    let path = match name {
        "prior_role_id" | "implied_role_id" => "param/role_id",
        "group" => "param/config_group",
        "option" => "param/config_option",
        "value" => "param/tag_value",
        "endpoint_group_id" => "ext/OS-EP-FILTER/1.0/param/endpoint_group_id",
        "idp_id" => "ext/OS-FEDERATION/1.0/param/idp_id",
        "mapping_id" => "ext/OS-FEDERATION/1.0/param/mapping_id",
        "protocol_id" => "ext/OS-FEDERATION/1.0/param/protocol_id",
        "service_provider_id" => "ext/OS-FEDERATION/1.0/param/service_provider_id",
        "trust_id" => "ext/OS-TRUST/1.0/param/trust_id",
        name => return format!("{RELATIONS}/param/{name}"),
    };
    format!("{RELATIONS}/{path}")
}

#[cfg(test)]
mod tests {
    use super::document;

    #[test]
    fn paths_with_variables_are_templates() {
        let document = document("/v3");
        let resource = |name: &str| {
            document["resources"][format!("https://docs.openstack.org/api/openstack-identity/3/{name}")]
                .clone()
        };
        assert_eq!(resource("rel/users")["href"], "/v3/users");
        let trust = resource("ext/OS-TRUST/1.0/rel/trust");
        assert_eq!(trust["href-template"], "/v3/OS-TRUST/trusts/{trust_id}");
        let trust_id = trust["href-vars"]["trust_id"].as_str().unwrap();
        assert!(trust_id.ends_with("/3/ext/OS-TRUST/1.0/param/trust_id"), "{trust_id}");
        let option = resource("rel/domain_config_option");
        assert_eq!(option["href-template"], "/v3/domains/{domain_id}/config/{group}/{option}");
        assert!(option["href-vars"]["group"].as_str().unwrap().ends_with("/3/param/config_group"));
        assert_eq!(resource("rel/limits")["hints"]["status"], "experimental");
        assert!(resource("rel/users").get("hints").is_none());
    }
}
