//! Who may do what: OpenStack's rules by OpenStack's names, in oslo.policy's language, evaluated in process.
//!
//! A use case asks [`Policy::enforce`] with the [`Caller`] (from the token), the rule's name and a [`Target`] that
//! it has filled from the database. Nothing of a request's body or query gets here. The defaults lie in
//! `rules/<service>.yaml`; an operator's `policy_file` changes them, at once when the file changes. The roles
//! admin ⊃ manager ⊃ member ⊃ reader imply each other in the database, so a check names the least of them.

mod check;
mod file;
mod parse;
mod roles;
mod rules;
mod target;
mod watch;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

pub use parse::CheckError;
pub use roles::{require_admin, require_manager, require_member, require_reader};
pub use rules::{ScopeType, Service};
pub use target::{GroupTarget, LimitTarget, ProjectTarget, RoleTarget, Target, TrustTarget, UserTarget};
pub use watch::watch;

use crate::{Caller, Error, ErrorKind, Result};
use file::Overrides;
use parse::ADMIN_RULE;
use rules::{Rule, RuleSet};

/// Why rules do not take effect.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    #[error("cannot read the policy file {}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("the policy file {} has more than {limit} bytes", path.display())]
    TooLarge { path: PathBuf, limit: u64 },
    #[error("the policy file {} is not a map of rule names to checks", path.display())]
    Syntax { path: PathBuf, source: Box<serde_saphyr::Error> },
    #[error("the policy file {}, rule '{rule}': {problem}", path.display())]
    Rule { path: PathBuf, rule: String, problem: String },
    #[error("the default rules of {service:?} do not parse")]
    Defaults { service: Service, source: Box<serde_saphyr::Error> },
}

/// The rules in effect; cheap to clone, the same for all clones.
#[derive(Clone)]
pub struct Policy {
    rules: Arc<RwLock<Arc<RuleSet>>>,
    file: Option<Arc<Path>>,
}

impl std::fmt::Debug for Policy {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Policy").field("file", &self.file).finish_non_exhaustive()
    }
}

/// Equal are those that share their rules.
impl PartialEq for Policy {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.rules, &other.rules)
    }
}

impl Eq for Policy {}

impl Default for Policy {
    /// OpenStack's defaults. Should they not parse (a test says that they do), nobody passes.
    fn default() -> Self {
        static DEFAULTS: LazyLock<Arc<RuleSet>> = LazyLock::new(|| {
            let rules = RuleSet::new(&Overrides::default());
            Arc::new(rules.unwrap_or_else(|error| {
                tracing::error!(%error, "nobody may do anything");
                RuleSet::empty()
            }))
        });
        Self { rules: Arc::new(RwLock::new(DEFAULTS.clone())), file: None }
    }
}

impl Policy {
    /// OpenStack's defaults, with the operator's file over them if there is one.
    pub fn load(file: Option<&Path>) -> std::result::Result<Self, PolicyError> {
        let rules = Self::read(file)?;
        Ok(Self { rules: Arc::new(RwLock::new(Arc::new(rules))), file: file.map(Into::into) })
    }

    fn read(file: Option<&Path>) -> std::result::Result<RuleSet, PolicyError> {
        let overrides = file.map(Overrides::read).transpose()?.unwrap_or_default();
        RuleSet::new(&overrides)
    }

    /// Reads the operator's file again. A bad file changes nothing.
    pub fn reload(&self) -> std::result::Result<(), PolicyError> {
        let rules = Arc::new(Self::read(self.file.as_deref())?);
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = rules;
        Ok(())
    }

    /// Lets the call go on when the caller passes the rule; else 403 in the words of the rule's service. A rule
    /// that there is not lets nobody pass.
    pub fn enforce(&self, caller: &Caller, rule: &str, target: &Target<'_>) -> Result<()> {
        let rules = self.current();
        match rules.get(rule) {
            Some(found) if allows(&rules, found, caller, target) => Ok(()),
            Some(found) => Err(refusal(found.service, rule)),
            None => {
                tracing::error!(rule, "a use case asks for a rule that there is not");
                Err(refusal(Service::Identity, rule))
            }
        }
    }

    /// Whether the caller passes the rule, for what is shown or left out.
    pub fn allows(&self, caller: &Caller, rule: &str, target: &Target<'_>) -> bool {
        let rules = self.current();
        rules.get(rule).is_some_and(|found| allows(&rules, found, caller, target))
    }

    /// Whether the caller is an administrator in the eyes of a service: its `context_is_admin` (identity's
    /// `admin_required`).
    pub fn is_admin(&self, caller: &Caller, service: Service) -> bool {
        let name = if service == Service::Identity { "admin_required" } else { ADMIN_RULE };
        let rules = self.current();
        rules.of_service(service, name).is_some_and(|rule| allows(&rules, rule, caller, &Target::default()))
    }

    /// All rules in effect as a policy file, the unchanged ones as comments.
    pub fn sample(&self) -> String {
        self.current().sample()
    }

    fn current(&self) -> Arc<RuleSet> {
        self.rules.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn allows(rules: &RuleSet, rule: &Rule, caller: &Caller, target: &Target<'_>) -> bool {
    let in_scope = rule.scopes.is_empty() || rule.scopes.contains(&ScopeType::of(caller));
    in_scope && rules.passes(rule, caller, target)
}

/// The services' own words: `keystone/exception.py` (`ForbiddenAction`), `glance/common/exception.py`
/// (`Forbidden`), `nova/exception.py` (`PolicyNotAuthorized`), neutron's of the same name.
fn refusal(service: Service, rule: &str) -> Error {
    match service {
        Service::Identity => {
            Error::forbidden(format!("You are not authorized to perform the requested action: {rule}."))
        }
        Service::Image => Error::forbidden(format!("You are not authorized to complete {rule} action.")),
        Service::Compute => Error::forbidden(format!("Policy doesn't allow {rule} to be performed.")),
        Service::Network => {
            let message = format!("rule:{rule} is disallowed by policy");
            Error::new(ErrorKind::Forbidden, "PolicyNotAuthorized", message)
        }
    }
}
