//! Options of single domains (API reference "Domain configuration"), as Keystone keeps them for domains whose users live
//! in an LDAP directory.
//!
//! They are kept, checked and handed out as Keystone does, for the tools that write them; nothing here acts on them, since
//! users live in the database. A secret among them is sealed and never shown.

use serde_json::{Map, Value, json};
use updraft_model::identity::DEFAULT_DOMAIN_ID;
use updraft_store::Conn;
use updraft_store::identity::domain;
use updraft_store::identity::domain_option::{self, DomainOption};

use super::{access, checks};
use crate::{Caller, Core, Error, Result};

const IDENTITY: &[&str] = &["driver", "list_limit"];
const LDAP: &[&str] = &[
    "url",
    "user",
    "suffix",
    "query_scope",
    "page_size",
    "alias_dereferencing",
    "debug_level",
    "chase_referrals",
    "user_tree_dn",
    "user_filter",
    "user_objectclass",
    "user_id_attribute",
    "user_name_attribute",
    "user_mail_attribute",
    "user_description_attribute",
    "user_pass_attribute",
    "user_enabled_attribute",
    "user_enabled_invert",
    "user_enabled_mask",
    "user_enabled_default",
    "user_attribute_ignore",
    "user_default_project_id_attribute",
    "user_enabled_emulation",
    "user_enabled_emulation_dn",
    "user_enabled_emulation_use_group_config",
    "user_additional_attribute_mapping",
    "group_tree_dn",
    "group_filter",
    "group_objectclass",
    "group_id_attribute",
    "group_name_attribute",
    "group_members_are_ids",
    "group_member_attribute",
    "group_desc_attribute",
    "group_attribute_ignore",
    "group_additional_attribute_mapping",
    "tls_cacertfile",
    "tls_cacertdir",
    "use_tls",
    "tls_req_cert",
    "use_pool",
    "pool_size",
    "pool_retry_max",
    "pool_retry_delay",
    "pool_connection_timeout",
    "pool_connection_lifetime",
    "use_auth_pool",
    "auth_pool_size",
    "auth_pool_connection_lifetime",
];
/// Of `ldap`: kept sealed.
const SECRET: &str = "password";
/// The one driver that there is.
const DRIVER: &str = "sql";
/// What everybody may read of the default domain: what its passwords must be.
const COMPLIANCE: &str = "security_compliance";

/// Which options a call is about: all, those of a group, or one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    pub group: Option<String>,
    pub option: Option<String>,
}

impl Part {
    /// In the words of a 404.
    fn words(&self) -> String {
        match (&self.group, &self.option) {
            (Some(group), Some(option)) => format!("option {option} in group {group}"),
            (Some(group), None) => format!("group {group}"),
            (None, _) => "any options".to_owned(),
        }
    }
}

fn invalid(reason: impl std::fmt::Display) -> Error {
    Error::forbidden(format!("Invalid domain specific configuration: {reason}."))
}

fn options_of(group: &str) -> Option<&'static [&'static str]> {
    match group {
        "identity" => Some(IDENTITY),
        "ldap" => Some(LDAP),
        _ => None,
    }
}

fn is_secret(group: &str, option: &str) -> bool {
    group == "ldap" && option == SECRET
}

/// 403 for a group or an option that there is not.
fn check_part(part: &Part) -> Result<()> {
    let Some(group) = &part.group else { return Ok(()) };
    let Some(known) = options_of(group) else {
        return Err(invalid(format!("Group {group} is not supported for domain specific configurations")));
    };
    match &part.option {
        Some(option) if !known.contains(&option.as_str()) && !is_secret(group, option) => Err(invalid(
            format!("Option {option} in group {group} is not supported for domain specific configurations"),
        )),
        _ => Ok(()),
    }
}

/// The options in a body, all of them known.
fn checked(config: &Map<String, Value>) -> Result<Vec<(String, String, Value)>> {
    if config.is_empty() {
        return Err(invalid("No options specified"));
    }
    let mut options = Vec::new();
    for (group, fields) in config {
        let Some(fields) = fields.as_object().filter(|fields| !fields.is_empty()) else {
            return Err(invalid(format!(
                "The value of group {group} specified in the config should be a dictionary of options"
            )));
        };
        for (option, value) in fields {
            check_part(&Part { group: Some(group.clone()), option: Some(option.clone()) })?;
            options.push((group.clone(), option.clone(), value.clone()));
        }
    }
    Ok(options)
}

fn sealed(core: &Core, (group, name, value): (String, String, Value)) -> Result<DomainOption> {
    let is_secret = is_secret(&group, &name);
    let content = value.to_string();
    let content = if is_secret { core.vault()?.seal(&content) } else { content };
    Ok(DomainOption { group, name, content, sealed: is_secret })
}

async fn must_exist(conn: &mut Conn, domain_id: &str) -> Result<()> {
    domain::get(conn, domain_id).await?.map(drop).ok_or_else(|| checks::not_found("domain", domain_id))
}

/// What is not secret, as the API shows it.
fn shown(options: Vec<DomainOption>) -> Result<Map<String, Value>> {
    let mut config: Map<String, Value> = Map::new();
    for option in options.into_iter().filter(|option| !option.sealed) {
        let value: Value = serde_json::from_str(&option.content).map_err(Error::internal)?;
        let group = config.entry(option.group).or_insert_with(|| Map::new().into());
        if let Some(group) = group.as_object_mut() {
            group.insert(option.name, value);
        }
    }
    Ok(config)
}

/// One option stands by its own name, without its group.
fn narrowed(mut config: Map<String, Value>, part: &Part) -> Map<String, Value> {
    match (&part.group, &part.option) {
        (Some(group), Some(_)) => match config.remove(group) {
            Some(Value::Object(options)) => options,
            _ => Map::new(),
        },
        _ => config,
    }
}

/// Gives a domain these options instead of all that it had; whether it had none.
pub async fn create(
    core: &Core,
    caller: &Caller,
    domain_id: &str,
    config: &Map<String, Value>,
) -> Result<(Map<String, Value>, bool)> {
    access::enforce_plain(core, caller, "identity:create_domain_config")?;
    must_exist(&mut core.read().await?, domain_id).await?;
    let options = checked(config)?;
    let options: Vec<DomainOption> =
        options.into_iter().map(|option| sealed(core, option)).collect::<Result<_>>()?;
    let domain_id = domain_id.to_owned();
    core.write(move |tx| {
        Box::pin(async move {
            must_exist(tx, &domain_id).await?;
            let is_new = domain_option::list(tx, &domain_id, None, None).await?.is_empty();
            domain_option::delete(tx, &domain_id, None, None).await?;
            for option in &options {
                domain_option::set(tx, &domain_id, option).await?;
            }
            Ok((shown(options)?, is_new))
        })
    })
    .await
}

/// The options of a domain that are not secret; 404 when there are none.
pub async fn get(core: &Core, caller: &Caller, domain_id: &str, part: &Part) -> Result<Map<String, Value>> {
    if part.group.as_deref() == Some(COMPLIANCE) {
        access::enforce_plain(core, caller, "identity:get_security_compliance_domain_config")?;
        let config = compliance(core, domain_id, part)?;
        must_exist(&mut core.read().await?, domain_id).await?;
        return Ok(config);
    }
    access::enforce_plain(core, caller, "identity:get_domain_config")?;
    let mut conn = core.read().await?;
    must_exist(&mut conn, domain_id).await?;
    check_part(part)?;
    let found = list(&mut conn, domain_id, part).await?;
    let config = shown(found)?;
    match config.is_empty() {
        false => Ok(narrowed(config, part)),
        true => Err(none_found(domain_id, part)),
    }
}

async fn list(conn: &mut Conn, domain_id: &str, part: &Part) -> Result<Vec<DomainOption>> {
    let (group, option) = (part.group.as_deref(), part.option.as_deref());
    Ok(domain_option::list(conn, domain_id, group, option).await?)
}

fn none_found(domain_id: &str, part: &Part) -> Error {
    let message = format!("Could not find {} in domain configuration for domain {domain_id}.", part.words());
    Error::not_found("NotFound", message)
}

fn compliance(core: &Core, domain_id: &str, part: &Part) -> Result<Map<String, Value>> {
    if domain_id != DEFAULT_DOMAIN_ID {
        return Err(invalid(
            "Reading security compliance information for any domain other than the default domain is not allowed \
             or supported",
        ));
    }
    let rules = &core.config.security_compliance;
    let text = |text: Option<&str>| text.map_or(Value::Null, Value::from);
    let all = Map::from_iter([
        ("password_regex".to_owned(), text(rules.password_regex.as_ref().map(|regex| regex.as_str()))),
        ("password_regex_description".to_owned(), text(rules.password_regex_description.as_deref())),
    ]);
    match &part.option {
        None => Ok(Map::from_iter([(COMPLIANCE.to_owned(), all.into())])),
        Some(option) => match all.get(option) {
            Some(value) => Ok(Map::from_iter([(option.clone(), value.clone())])),
            None => Err(invalid(
                "Reading security compliance values other than password_regex and password_regex_description is not \
                 allowed",
            )),
        },
    }
}

/// Sets options of a domain, the others stay. What the path names must be there, and the body names that alone.
pub async fn update(
    core: &Core,
    caller: &Caller,
    domain_id: &str,
    config: Map<String, Value>,
    part: &Part,
) -> Result<Map<String, Value>> {
    access::enforce_plain(core, caller, "identity:update_domain_config")?;
    must_exist(&mut core.read().await?, domain_id).await?;
    // One option stands in the body by its own name.
    let config = match (&part.group, &part.option) {
        (Some(group), Some(_)) => Map::from_iter([(group.clone(), config.into())]),
        _ => config,
    };
    let options = checked(&config)?;
    check_part(part)?;
    let is_named = |(group, option, _): &(String, String, Value)| {
        part.group.as_ref().is_none_or(|named| named == group)
            && part.option.as_ref().is_none_or(|named| named == option)
    };
    if !options.iter().all(is_named) {
        return Err(invalid(format!(
            "Trying to update {}, so that, and only that, must be specified in the config",
            part.words()
        )));
    }
    let options: Vec<DomainOption> =
        options.into_iter().map(|option| sealed(core, option)).collect::<Result<_>>()?;
    let (domain_id, part) = (domain_id.to_owned(), part.clone());
    core.write(move |tx| {
        Box::pin(async move {
            must_exist(tx, &domain_id).await?;
            if part.group.is_some() && list(tx, &domain_id, &part).await?.is_empty() {
                return Err(none_found(&domain_id, &part));
            }
            for option in &options {
                domain_option::set(tx, &domain_id, option).await?;
            }
            shown(list(tx, &domain_id, &Part::default()).await?)
        })
    })
    .await
}

/// Removes options; 404 when the group or the option that the path names is not there.
pub async fn delete(core: &Core, caller: &Caller, domain_id: &str, part: &Part) -> Result<()> {
    access::enforce_plain(core, caller, "identity:delete_domain_config")?;
    must_exist(&mut core.read().await?, domain_id).await?;
    check_part(part)?;
    let (domain_id, part) = (domain_id.to_owned(), part.clone());
    core.write(move |tx| {
        Box::pin(async move {
            if part.group.is_some() && list(tx, &domain_id, &part).await?.is_empty() {
                return Err(none_found(&domain_id, &part));
            }
            let (group, option) = (part.group.as_deref(), part.option.as_deref());
            Ok(domain_option::delete(tx, &domain_id, group, option).await?)
        })
    })
    .await
}

/// What an option is when nobody set it, as Keystone has it.
fn default_of(option: &str) -> Value {
    match option {
        "driver" => DRIVER.into(),
        "url" => "ldap://localhost".into(),
        "suffix" => "cn=example,cn=com".into(),
        "query_scope" => "one".into(),
        "alias_dereferencing" => "default".into(),
        "user_objectclass" => "inetOrgPerson".into(),
        "user_id_attribute" | "group_id_attribute" => "cn".into(),
        "user_name_attribute" => "sn".into(),
        "user_mail_attribute" => "mail".into(),
        "user_description_attribute" | "group_desc_attribute" => "description".into(),
        "user_pass_attribute" => "userPassword".into(),
        "user_enabled_attribute" => "enabled".into(),
        "user_enabled_default" => "True".into(),
        "user_attribute_ignore" => json!(["default_project_id"]),
        "group_objectclass" => "groupOfNames".into(),
        "group_name_attribute" => "ou".into(),
        "group_member_attribute" => "member".into(),
        "tls_req_cert" => "demand".into(),
        "user_additional_attribute_mapping"
        | "group_attribute_ignore"
        | "group_additional_attribute_mapping" => json!([]),
        "user_enabled_invert"
        | "user_enabled_emulation"
        | "user_enabled_emulation_use_group_config"
        | "group_members_are_ids"
        | "use_tls" => false.into(),
        "use_pool" | "use_auth_pool" => true.into(),
        "page_size" | "user_enabled_mask" => 0.into(),
        "pool_size" => 10.into(),
        "pool_retry_max" => 3.into(),
        "pool_retry_delay" => json!(0.1),
        "pool_connection_timeout" => json!(-1),
        "pool_connection_lifetime" => 600.into(),
        "auth_pool_size" => 100.into(),
        "auth_pool_connection_lifetime" => 60.into(),
        _ => Value::Null,
    }
}

/// What holds where a domain has no options of its own: users live in the database.
pub fn default(core: &Core, caller: &Caller, part: &Part) -> Result<Map<String, Value>> {
    access::enforce_plain(core, caller, "identity:get_domain_config_default")?;
    check_part(part)?;
    if let (Some(group), Some(option)) = (&part.group, &part.option)
        && is_secret(group, option)
    {
        return Err(invalid(format!(
            "Reading the default for option {option} in group {group} is not supported"
        )));
    }
    let mut config = Map::new();
    for group in ["identity", "ldap"] {
        let wanted = |name: &&&str| part.option.as_ref().is_none_or(|option| option == **name);
        let options = options_of(group).unwrap_or_default().iter().filter(wanted);
        let options: Map<String, Value> =
            options.map(|name| ((*name).to_owned(), default_of(name))).collect();
        if part.group.as_ref().is_none_or(|wanted| wanted == group) {
            config.insert(group.to_owned(), options.into());
        }
    }
    Ok(narrowed(config, part))
}
