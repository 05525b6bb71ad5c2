//! EC2 credentials (`/v3/users/{user_id}/credentials/OS-EC2`) and the tokens of requests that are signed with them.

use serde::Deserialize;
use serde_json::{Map, Value};
use updraft_model::id::new_keystone_id;
use updraft_model::identity::{Credential, EC2};
use updraft_store::identity::credential::{self, CredentialFilter};
use updraft_store::identity::{application_credential, project, trust, user};
use updraft_token::Grant;

use super::live::LiveToken;
use super::permission::{self, Target};
use super::signature::{self, SignedRequest};
use super::{checks, delegation, login};
use crate::{Caller, Core, Error, Result};

/// An EC2 credential, with its secret, on its way to its owner.
#[derive(Clone)]
pub struct Ec2Credential {
    pub user_id: String,
    pub project_id: Option<String>,
    pub access: String,
    pub secret: String,
    pub trust_id: Option<String>,
}

/// What the blob of an EC2 credential holds.
#[derive(Clone, Deserialize)]
struct Blob {
    access: String,
    #[serde(default)]
    secret: String,
    #[serde(default)]
    trust_id: Option<String>,
    #[serde(default)]
    app_cred_id: Option<String>,
}

fn opened(core: &Core, credential: &Credential) -> Result<Blob> {
    let blob = super::credential::open(core, credential)?;
    serde_json::from_str(&blob).map_err(Error::internal)
}

fn view(core: &Core, credential: Credential) -> Result<Ec2Credential> {
    let Blob { access, secret, trust_id, .. } = opened(core, &credential)?;
    Ok(Ec2Credential {
        user_id: credential.user_id,
        project_id: credential.project_id,
        access,
        secret,
        trust_id,
    })
}

async fn require_user(core: &Core, id: &str) -> Result<()> {
    let found = user::get(&mut core.read().await?, id).await?;
    found.map(|_| ()).ok_or_else(|| checks::not_found("user", id))
}

/// Makes an access key and a secret for the user in a project.
pub async fn create(
    core: &Core,
    caller: &Caller,
    user_id: &str,
    project_id: Option<String>,
) -> Result<Ec2Credential> {
    let target = Target { credential_user_id: Some(user_id), ..Target::default() };
    permission::enforce(caller, "identity:ec2_create_credential", &target)?;
    delegation::require_unrestricted(caller)?;
    require_user(core, user_id).await?;
    let missing = || Error::bad_request("ValidationError", "'tenant_id' is a required property");
    let project_id = project_id.ok_or_else(missing)?;
    if project::get(&mut core.read().await?, &project_id).await?.is_none() {
        return Err(checks::not_found("project", &project_id));
    }
    delegation::require_own_project(caller, Some(&project_id))?;
    let (access, secret) = (new_keystone_id(), new_keystone_id());
    let mut blob = Map::new();
    blob.insert("access".into(), access.clone().into());
    blob.insert("secret".into(), secret.into());
    super::credential::set_grant(&mut blob, caller);
    let credential = Credential {
        id: super::credential::ec2_id(&access),
        user_id: user_id.to_owned(),
        project_id: Some(project_id),
        kind: EC2.into(),
        sealed_blob: core.vault()?.seal(&Value::Object(blob).to_string()),
    };
    view(core, super::credential::insert(core, credential).await?)
}

/// The user's EC2 credentials; through a token that was handed on, those of its project.
pub async fn list(core: &Core, caller: &Caller, user_id: &str) -> Result<Vec<Ec2Credential>> {
    let target = Target { user_id: Some(user_id), ..Target::default() };
    permission::enforce(caller, "identity:ec2_list_credentials", &target)?;
    require_user(core, user_id).await?;
    let filter = CredentialFilter { user_id: Some(user_id.to_owned()), kind: Some(EC2.into()) };
    let found = credential::list(&mut core.read().await?, &filter).await?;
    let in_reach =
        |found: &Credential| delegation::require_own_project(caller, found.project_id.as_deref()).is_ok();
    found.into_iter().filter(in_reach).map(|found| view(core, found)).collect()
}

pub async fn get(core: &Core, caller: &Caller, user_id: &str, access: &str) -> Result<Ec2Credential> {
    view(core, permitted(core, caller, "identity:ec2_get_credential", user_id, access).await?)
}

pub async fn delete(core: &Core, caller: &Caller, user_id: &str, access: &str) -> Result<()> {
    let found = permitted(core, caller, "identity:ec2_delete_credential", user_id, access).await?;
    delegation::require_unrestricted(caller)?;
    super::credential::remove(core, found.id).await
}

async fn permitted(
    core: &Core,
    caller: &Caller,
    rule: &str,
    user_id: &str,
    access: &str,
) -> Result<Credential> {
    let found = credential::get(&mut core.read().await?, &super::credential::ec2_id(access)).await?;
    let missing = || checks::not_found("credential", access);
    let found = found.filter(|found| found.kind.eq_ignore_ascii_case(EC2)).ok_or_else(missing)?;
    let target = Target { credential_user_id: Some(&found.user_id), ..Target::default() };
    permission::enforce(caller, rule, &target)?;
    require_user(core, user_id).await?;
    delegation::require_own_project(caller, found.project_id.as_deref())?;
    Ok(found)
}

/// Who asks whose request it is: EC2's front door hands in the whole request, S3's the text that was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Front {
    Ec2,
    S3,
}

/// `POST /v3/ec2tokens` and `/v3/s3tokens`: the token of whoever signed the request. For services and
/// administrators alone (CVE-2025-65073); 401 when the signature does not hold, its time is more than
/// [`signature::MAX_SKEW`] away, or its user has nothing left in its project.
pub async fn authenticate(
    core: &Core,
    caller: &Caller,
    front: Front,
    request: SignedRequest,
) -> Result<(String, LiveToken)> {
    let rule = match front {
        Front::Ec2 => "identity:ec2tokens_validate",
        Front::S3 => "identity:s3tokens_validate",
    };
    permission::enforce(caller, rule, &Target::default())?;
    let access = request.access.as_deref().ok_or_else(refused)?;
    let found = credential::get(&mut core.read().await?, &super::credential::ec2_id(access)).await?;
    let found = found.filter(|found| found.kind.eq_ignore_ascii_case(EC2));
    let found = found.ok_or_else(|| Error::not_found("NotFound", "EC2 access key not found."))?;
    let blob = opened(core, &found)?;
    let now = core.clock.now();
    let holds = match front {
        Front::Ec2 => signature::holds(&request, &blob.secret, now),
        Front::S3 => signature::holds_for_s3(&request, &blob.secret, now),
    };
    if !holds || blob.secret.is_empty() {
        return Err(refused());
    }
    let (bearer, grant) = grant_of(core, &found, &blob).await?;
    let project_id = found.project_id.ok_or_else(refused)?;
    login::signed(core, &bearer, project_id, grant).await
}

/// Whose token it becomes and what that rests on; the credential's own user must be the bearer.
async fn grant_of(core: &Core, credential: &Credential, blob: &Blob) -> Result<(String, Grant)> {
    let mut conn = core.read().await?;
    let (bearer, grant) = match (&blob.trust_id, &blob.app_cred_id) {
        (Some(trust_id), _) => {
            let trust = trust::get(&mut conn, trust_id).await?.ok_or_else(refused)?;
            let bearer = if trust.impersonation { trust.trustor_user_id } else { trust.trustee_user_id };
            (bearer, Grant::Trust(trust.id))
        }
        (None, Some(id)) => {
            let found = application_credential::get(&mut conn, id).await?.ok_or_else(refused)?;
            (found.user_id, Grant::ApplicationCredential(found.id))
        }
        (None, None) => (credential.user_id.clone(), Grant::Own),
    };
    if bearer != credential.user_id {
        return Err(refused());
    }
    Ok((bearer, grant))
}

fn refused() -> Error {
    Error::unauthorized()
}
