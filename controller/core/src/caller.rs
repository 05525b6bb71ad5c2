use updraft_model::identity::{ADMIN, AccessRule, SERVICE};

use crate::Result;
use crate::policy::{Policy, Target};

/// Who makes a request, as its token proves. Nothing in it comes from a header or body that a client sets,
/// except `request_id`, which is checked for form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    pub user_id: String,
    pub user_name: String,
    pub user_domain_id: String,
    /// The project that the token is scoped to.
    pub project_id: Option<String>,
    pub project_name: Option<String>,
    /// The domain of that project.
    pub project_domain_id: Option<String>,
    /// The domain that the token is scoped to.
    pub domain_id: Option<String>,
    /// The token is scoped to the system: the cloud as a whole.
    pub system_scope: bool,
    /// The trust that the token was made with.
    pub trust: Option<TrustRef>,
    /// The application credential that the token was made with.
    pub application_credential: Option<AppCredentialRef>,
    /// The bearer's groups by the word of an identity provider; those of the database are not here.
    pub federated_groups: Vec<String>,
    /// Names of the roles held on the scope, with those they imply.
    pub roles: Vec<String>,
    /// The token's own audit id: safe to log, unlike the token.
    pub audit_id: String,
    /// `req-<uuid>`: joins the answer, the log and the tasks.
    pub request_id: String,
    /// The rules that decide what it may do, so that they are at hand inside transactions, too.
    pub policy: Policy,
}

/// What a request needs to know of the trust behind its token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustRef {
    pub id: String,
    pub trustor_user_id: String,
    pub trustee_user_id: String,
    pub impersonation: bool,
}

/// What a request needs to know of the application credential behind its token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppCredentialRef {
    pub id: String,
    /// May not make or delete other credentials.
    pub restricted: bool,
    /// The calls that it may make; all when empty.
    pub access_rules: Vec<AccessRule>,
}

impl Caller {
    /// [`Policy::enforce`] by the caller's own rules.
    pub fn enforce(&self, rule: &str, target: &Target<'_>) -> Result<()> {
        self.policy.enforce(self, rule, target)
    }

    /// [`Policy::allows`] by the caller's own rules.
    pub fn may(&self, rule: &str, target: &Target<'_>) -> bool {
        self.policy.allows(self, rule, target)
    }

    /// One service of the cloud, acting on another.
    pub fn is_service(&self) -> bool {
        self.has_role(SERVICE)
    }

    /// The token is one that somebody handed on: by a trust or an application credential.
    pub fn is_delegated(&self) -> bool {
        self.trust.is_some() || self.application_credential.is_some()
    }

    pub fn has_role(&self, name: &str) -> bool {
        self.roles.iter().any(|role| role == name)
    }

    /// Admin of the whole cloud: the role `admin` on any project or domain, as OpenStack's default policy has it.
    pub fn is_admin(&self) -> bool {
        self.has_role(ADMIN)
    }

    /// Whether a thing of this project may be seen: it is the caller's own, or the caller is admin.
    pub fn sees(&self, project_id: &str) -> bool {
        self.is_admin() || self.project_id.as_deref() == Some(project_id)
    }
}
