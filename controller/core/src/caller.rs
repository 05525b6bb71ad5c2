use updraft_model::identity::ADMIN;

/// Who makes a request, as its token proves. Nothing in it comes from a header or body that a client sets,
/// except `request_id`, which is checked for form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    pub user_id: String,
    pub user_name: String,
    pub user_domain_id: String,
    /// The project that the token is scoped to.
    pub project_id: Option<String>,
    pub project_name: Option<String>,
    /// The domain that the token is scoped to.
    pub domain_id: Option<String>,
    /// Names of the roles held on the scope, with those they imply.
    pub roles: Vec<String>,
    /// The token's own audit id: safe to log, unlike the token.
    pub audit_id: String,
    /// `req-<uuid>`: joins the answer, the log and the tasks.
    pub request_id: String,
}

impl Caller {
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
