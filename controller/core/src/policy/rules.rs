//! The rules in effect: OpenStack's defaults, the operator's changes over them, linked with each other.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use serde::Deserialize;

use super::PolicyError;
use super::check::Check;
use super::file::{Overrides, RuleText};
use super::parse::ADMIN_RULE;
use super::target::Target;
use crate::Caller;

/// The services, each with rule names of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    Identity,
    Image,
    Compute,
    Network,
}

impl Service {
    pub const ALL: [Self; 4] = [Self::Identity, Self::Image, Self::Compute, Self::Network];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Image => "image",
            Self::Compute => "compute",
            Self::Network => "network",
        }
    }

    const fn defaults(self) -> &'static str {
        match self {
            Self::Identity => include_str!("rules/identity.yaml"),
            Self::Image => include_str!("rules/image.yaml"),
            Self::Compute => include_str!("rules/compute.yaml"),
            Self::Network => include_str!("rules/network.yaml"),
        }
    }
}

/// What a token can be scoped to; a rule may be for some of them alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScopeType {
    System,
    Domain,
    Project,
}

impl ScopeType {
    /// As oslo.policy sees it: what is neither of the system nor of a domain counts as a project's.
    pub fn of(caller: &Caller) -> Self {
        match (caller.system_scope, &caller.domain_id) {
            (true, _) => Self::System,
            (false, Some(_)) => Self::Domain,
            (false, None) => Self::Project,
        }
    }
}

/// A rule as OpenStack has it by default.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Default {
    about: String,
    #[serde(default)]
    calls: Vec<String>,
    #[serde(default)]
    scopes: Vec<ScopeType>,
    check: String,
}

/// A rule in effect.
#[derive(Debug)]
pub(super) struct Rule {
    pub service: Service,
    pub name: String,
    pub scopes: Vec<ScopeType>,
    check: Check<usize>,
}

/// All rules, linked.
#[derive(Debug)]
pub(super) struct RuleSet {
    rules: Vec<Rule>,
    /// By name. Names that several services have (`context_is_admin`) are in `aliases` alone.
    places: HashMap<String, usize>,
    aliases: HashMap<(Service, String), usize>,
    /// What [`RuleSet::sample`] prints.
    texts: BTreeMap<Service, Vec<Text>>,
}

#[derive(Debug)]
struct Text {
    name: String,
    about: String,
    calls: Vec<String>,
    check: String,
    is_changed: bool,
}

impl RuleSet {
    /// The defaults with `overrides` over them.
    pub fn new(overrides: &Overrides) -> Result<Self, PolicyError> {
        let mut linker = Linker::default();
        for service in Service::ALL {
            let defaults: BTreeMap<String, Default> = serde_saphyr::from_str(service.defaults())
                .map_err(|source| PolicyError::Defaults { service, source: Box::new(source) })?;
            linker.defaults.insert(service, defaults);
        }
        linker.overrides = overrides.clone();
        linker.warn_of_unknown_names();
        linker.link_all()
    }

    /// No rule: nobody passes.
    pub fn empty() -> Self {
        Self { rules: Vec::new(), places: HashMap::new(), aliases: HashMap::new(), texts: BTreeMap::new() }
    }

    pub fn get(&self, name: &str) -> Option<&Rule> {
        self.places.get(name).and_then(|place| self.rules.get(*place))
    }

    /// A rule of one service, for names that several have.
    pub fn of_service(&self, service: Service, name: &str) -> Option<&Rule> {
        self.aliases.get(&(service, name.to_owned())).and_then(|place| self.rules.get(*place))
    }

    pub fn passes(&self, rule: &Rule, caller: &Caller, target: &Target<'_>) -> bool {
        rule.check.passes(caller, target, &|place| {
            self.rules.get(*place).is_some_and(|rule| self.passes(rule, caller, target))
        })
    }

    /// Every rule with what it is for, as `oslopolicy-sample-generator` prints them: a changed rule as it is, the
    /// others as comments.
    pub fn sample(&self) -> String {
        let mut sample = String::new();
        for (service, texts) in &self.texts {
            // Writing to a string cannot fail.
            let _ = writeln!(sample, "{}:", service.as_str());
            for text in texts {
                let _ = writeln!(sample, "  # {}", text.about);
                for call in &text.calls {
                    let _ = writeln!(sample, "  # {call}");
                }
                let mark = if text.is_changed { "" } else { "# " };
                let (name, check) = (quoted(&text.name), quoted(&text.check));
                let _ = writeln!(sample, "  {mark}{name}: {check}\n");
            }
        }
        sample
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Links rules depth first, so that a rule's references have places before it has one.
#[derive(Default)]
struct Linker {
    defaults: BTreeMap<Service, BTreeMap<String, Default>>,
    overrides: Overrides,
    rules: Vec<Rule>,
    places: HashMap<(Service, String), usize>,
    /// What is being linked right now: a name that comes up again is a cycle.
    open: Vec<(Service, String)>,
}

impl Linker {
    /// A name that neither a service nor another rule of the file knows does nothing: most likely a slip.
    fn warn_of_unknown_names(&self) {
        let is_known =
            |service, name: &str| self.defaults.get(&service).is_some_and(|rules| rules.contains_key(name));
        for (service, name) in self.overrides.names() {
            let known = match service {
                Some(service) => is_known(service, name),
                None => Service::ALL.into_iter().any(|service| is_known(service, name)),
            };
            if !known && !self.overrides.refers_to(name) {
                tracing::warn!(rule = name, "the policy file has a rule that nothing asks for");
            }
        }
    }

    fn link_all(mut self) -> Result<RuleSet, PolicyError> {
        for service in Service::ALL {
            let names: Vec<String> =
                self.defaults.get(&service).into_iter().flat_map(|rules| rules.keys().cloned()).collect();
            for name in names {
                self.link(service, &name)?;
            }
        }
        // What nothing refers to is checked too: a slip in it is refused today, not when it is first used.
        let own: Vec<_> = self.overrides.names().map(|(service, name)| (service, name.to_owned())).collect();
        for (service, name) in own {
            let services = service.map_or_else(|| Service::ALL.to_vec(), |service| vec![service]);
            let is_linked = |service: &Service| self.places.contains_key(&(*service, name.clone()));
            if !services.iter().any(is_linked) {
                self.link(services.first().copied().unwrap_or(Service::Identity), &name)?;
            }
        }
        let mut places = HashMap::new();
        for (place, rule) in self.rules.iter().enumerate() {
            let sharing = Service::ALL.into_iter().filter(|service| {
                self.defaults.get(service).is_some_and(|rules| rules.contains_key(&rule.name))
            });
            if sharing.count() == 1 {
                places.insert(rule.name.clone(), place);
            }
        }
        let texts = self.texts();
        Ok(RuleSet { rules: self.rules, places, aliases: self.places, texts })
    }

    fn texts(&self) -> BTreeMap<Service, Vec<Text>> {
        let of_service = |service: Service, rules: &BTreeMap<String, Default>| {
            let text = |(name, default): (&String, &Default)| {
                let changed = self.overrides.get(service, name);
                Text {
                    name: name.clone(),
                    about: default.about.clone(),
                    calls: default.calls.clone(),
                    check: changed.map_or_else(|| default.check.clone(), RuleText::to_text),
                    is_changed: changed.is_some(),
                }
            };
            rules.iter().map(text).collect()
        };
        self.defaults.iter().map(|(service, rules)| (*service, of_service(*service, rules))).collect()
    }

    fn link(&mut self, service: Service, name: &str) -> Result<usize, PolicyError> {
        let key = (service, name.to_owned());
        if let Some(place) = self.places.get(&key) {
            return Ok(*place);
        }
        if self.open.contains(&key) {
            return Err(self.overrides.error(name, "it refers to itself"));
        }
        let default = self.defaults.get(&service).and_then(|rules| rules.get(name));
        let scopes = default.map(|default| default.scopes.clone()).unwrap_or_default();
        let text = match (self.overrides.get(service, name), default) {
            (Some(text), _) => text.clone(),
            (None, Some(default)) => RuleText::Text(default.check.clone()),
            // Identity has no administrators by `is_admin`.
            (None, None) if name == ADMIN_RULE => RuleText::Text("!".to_owned()),
            (None, None) => {
                let asking = self.open.last().map_or("", |(_, asking)| asking);
                return Err(self
                    .overrides
                    .error(asking, format!("it refers to '{name}', which there is not")));
            }
        };
        let check = text.parse().map_err(|problem| self.overrides.error(name, problem))?;
        self.open.push(key.clone());
        let check = check.linked(&mut |referred: String| self.link(service, &referred))?;
        self.open.pop();
        self.rules.push(Rule { service, name: name.to_owned(), scopes, check });
        let place = self.rules.len() - 1;
        self.places.insert(key, place);
        Ok(place)
    }
}
