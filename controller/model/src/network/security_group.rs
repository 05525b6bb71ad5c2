use super::{RuleSpec, Standard};

/// The name of the group that every project has.
pub const DEFAULT_GROUP_NAME: &str = "default";

/// A set of rules; a port may have several, and what none of them allows is dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecurityGroup {
    pub id: String,
    pub project_id: String,
    pub name: String,
    /// Answers to allowed packets are allowed.
    pub stateful: bool,
    /// The project's group [`DEFAULT_GROUP_NAME`], made at its first use.
    pub is_default: bool,
    pub rules: Vec<SecurityGroupRule>,
    pub standard: Standard,
}

/// A rule. It never changes: clients delete it and create another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecurityGroupRule {
    pub id: String,
    pub group_id: String,
    pub project_id: String,
    pub spec: RuleSpec,
    pub standard: Standard,
}
