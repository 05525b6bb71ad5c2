//! Keystone's default rules for what people and programs authenticate with (`keystone/common/policies/`).

use super::checks;
use crate::{Caller, Result};

/// Whose the thing is that a rule is about; filled from the database or the path, never from a body alone.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Target<'a> {
    /// The user whose things they are.
    pub user_id: Option<&'a str>,
    /// The user whose access rules they are.
    pub user: Option<UserTarget<'a>>,
    pub credential_user_id: Option<&'a str>,
    pub trust: Option<TrustTarget<'a>>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct UserTarget<'a> {
    pub id: &'a str,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct TrustTarget<'a> {
    pub trustor_user_id: &'a str,
    pub trustee_user_id: &'a str,
}

/// 403 unless the caller passes the rule.
pub(super) fn enforce(caller: &Caller, rule: &str, target: &Target<'_>) -> Result<()> {
    if allows(caller, rule, target) { Ok(()) } else { Err(checks::forbidden(rule)) }
}

/// Whether the caller passes the rule; nobody passes one that is not here.
pub(super) fn allows(caller: &Caller, rule: &str, target: &Target<'_>) -> bool {
    let own = |user_id: Option<&str>| user_id == Some(caller.user_id.as_str());
    let owns = own(target.user_id);
    let owns_user = own(target.user.map(|user| user.id));
    let owns_credential = own(target.credential_user_id);
    let is_trustor = own(target.trust.map(|trust| trust.trustor_user_id));
    let is_trustee = own(target.trust.map(|trust| trust.trustee_user_id));
    let is_admin = caller.is_admin();
    let sees_all = is_admin || (caller.system_scope && caller.has_role(updraft_model::identity::READER));
    match rule {
        "identity:create_application_credential" => owns && caller.project_id.is_some(),
        "identity:delete_application_credential" => is_admin || owns,
        "identity:get_application_credential"
        | "identity:list_application_credentials"
        | "identity:ec2_list_credentials" => sees_all || owns,
        "identity:get_access_rule" | "identity:list_access_rules" => sees_all || owns_user,
        "identity:delete_access_rule" => is_admin || owns_user,
        "identity:get_credential" | "identity:list_credentials" | "identity:ec2_get_credential" => {
            sees_all || owns_credential
        }
        "identity:create_credential" | "identity:update_credential" | "identity:delete_credential" => {
            is_admin || owns_credential
        }
        "identity:ec2_create_credential" | "identity:ec2_delete_credential" => {
            is_admin || (owns_credential && caller.has_role(updraft_model::identity::MEMBER))
        }
        "identity:ec2tokens_validate" | "identity:s3tokens_validate" => is_admin || caller.is_service(),
        "identity:create_trust" => is_trustor,
        "identity:delete_trust" => is_admin || is_trustor,
        "identity:list_trusts_for_trustor" => sees_all || is_trustor,
        "identity:list_trusts_for_trustee" => sees_all || is_trustee,
        "identity:get_trust" | "identity:list_roles_for_trust" | "identity:get_role_for_trust" => {
            sees_all || is_trustor || is_trustee
        }
        "identity:list_trusts" => sees_all,
        _ => federation(rule).is_some_and(|reads| is_admin || (reads && sees_all)),
    }
}

/// Whether a rule about federation is one of reading; `None` for any other rule.
fn federation(rule: &str) -> Option<bool> {
    let (verb, thing) = rule.strip_prefix("identity:")?.split_once('_')?;
    let thing = thing.strip_suffix('s').unwrap_or(thing);
    let is_known = matches!(thing, "identity_provider" | "mapping" | "protocol" | "service_provider");
    match verb {
        "get" | "list" => is_known.then_some(true),
        "create" | "update" | "delete" => is_known.then_some(false),
        _ => None,
    }
}
