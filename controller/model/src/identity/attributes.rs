use serde_json::{Map, Value};

/// Attributes of a resource that Keystone does not know: kept as they came, shown as they are.
pub type Extra = Map<String, Value>;

/// Resource options (`immutable`, a user's `lock_password`, …): a JSON object of those that are set.
pub type Options = Map<String, Value>;

/// A resource with this option set to true is neither changed nor deleted.
pub const IMMUTABLE: &str = "immutable";

/// Whether an option is set to true.
pub fn is_set(options: &Options, name: &str) -> bool {
    options.get(name).and_then(Value::as_bool).unwrap_or(false)
}

/// The options of something new: one that is null is not set.
pub fn given_options(options: Options) -> Options {
    let mut given = Options::new();
    merge_options(&mut given, options);
    given
}

/// Takes changes over: null unsets an option.
pub fn merge_options(options: &mut Options, changes: Options) {
    for (name, value) in changes {
        match value {
            Value::Null => options.remove(&name),
            value => options.insert(name, value),
        };
    }
}
