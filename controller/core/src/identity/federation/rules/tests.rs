use serde_json::{Value, json};

use super::{Assertion, Identity, NamedGroup, RuleError, Rules, listed, written};

fn assertion(pairs: &[(&str, &[&str])]) -> Assertion {
    let values = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
    pairs.iter().map(|(name, found)| ((*name).to_owned(), values(found))).collect()
}

fn apply(rules: Value, pairs: &[(&str, &[&str])]) -> Result<Identity, RuleError> {
    Rules::parse(&rules).unwrap().apply(&assertion(pairs))
}

#[test]
fn values_go_to_their_places_in_the_order_of_the_requirements() {
    let rules = json!([{
        "local": [{"user": {"name": "{0} {1}", "email": "{2}"}}, {"group": {"id": "g1"}}],
        "remote": [
            {"type": "First"},
            {"type": "Kind", "any_one_of": ["Customer"]},
            {"type": "Last"},
            {"type": "Mail"},
        ],
    }]);
    let pairs: &[(&str, &[&str])] =
        &[("First", &["Ada"]), ("Last", &["{1}"]), ("Mail", &["a@b"]), ("Kind", &["Employee", "Customer"])];
    let made = apply(rules.clone(), pairs).unwrap();
    assert_eq!(made.user.name.as_deref(), Some("Ada {1}"), "a value is not filled in again");
    assert_eq!(made.user.email.as_deref(), Some("a@b"));
    assert_eq!(made.group_ids.into_iter().collect::<Vec<_>>(), ["g1"]);
    for (without, left) in [("an attribute", &pairs[1..]), ("the right kind", &pairs[..3])] {
        assert!(matches!(apply(rules.clone(), left), Err(RuleError::NothingFits)), "{without}");
    }
}

#[test]
fn lists_let_through_what_they_say() {
    let groups: &[(&str, &[&str])] = &[("Groups", &["dev", "dev-admin", "o'ps"])];
    for (condition, regex, expected) in [
        ("whitelist", false, vec!["dev"]),
        ("blacklist", false, vec!["dev-admin", "o'ps"]),
        ("whitelist", true, vec!["dev", "dev-admin"]),
        ("blacklist", true, vec!["o'ps"]),
    ] {
        let rules = json!([{
            "local": [{"groups": "{0}", "domain": {"id": "d"}}, {"user": {"name": "u"}}],
            "remote": [{"type": "Groups", condition: ["dev"], "regex": regex}],
        }]);
        let made = apply(rules, groups).unwrap();
        let names: Vec<&str> = made.groups.iter().map(|group| group.name.as_str()).collect();
        assert_eq!(names, expected, "{condition} {regex}");
    }
    for (condition, regex, fits) in [
        ("any_one_of", false, false),
        ("any_one_of", true, true),
        ("not_any_of", false, true),
        ("not_any_of", true, false),
    ] {
        let rules = json!([{
            "local": [{"user": {"name": "u"}}],
            "remote": [{"type": "Groups", condition: ["^o.ps$"], "regex": regex}],
        }]);
        assert_eq!(apply(rules, groups).is_ok(), fits, "{condition} {regex}");
    }
}

#[test]
fn nothing_that_passes_a_list_is_no_group() {
    let rules = json!([{
        "local": [{"groups": "{0}", "domain": {"name": "D"}}, {"group_ids": "{0}"}, {"user": {"name": "u"}}],
        "remote": [{"type": "Groups", "whitelist": ["none of them"]}],
    }]);
    let made = apply(rules, &[("Groups", &["a", "b"])]).unwrap();
    assert_eq!((made.groups, made.group_ids.len()), (Vec::<NamedGroup>::new(), 0));
}

#[test]
fn the_first_user_counts_and_all_groups() {
    let rules = json!([
        {"local": [{"user": {"name": "first"}}, {"group": {"id": "1"}}], "remote": [{"type": "A"}]},
        {"local": [{"user": {"name": "second"}}, {"group": {"id": "2"}}], "remote": [{"type": "A"}]},
    ]);
    let made = apply(rules, &[("A", &["x"])]).unwrap();
    assert_eq!(made.user.name.as_deref(), Some("first"));
    assert_eq!(made.group_ids.len(), 2);
}

#[test]
fn bad_rules_are_refused_when_they_are_written() {
    for rules in [
        json!([]),
        json!({}),
        json!([{"local": [], "remote": [{"type": "A"}]}]),
        json!([{"local": [{"user": {"name": "u"}}], "remote": []}]),
        json!([{"local": [{"user": "u"}], "remote": [{"type": "A"}]}]),
        json!([{"local": [{"user": {}}], "remote": [{"type": "A", "any_of": ["x"]}]}]),
        json!([{"local": [{"user": {}}], "remote": [{"type": "A", "whitelist": [], "blacklist": []}]}]),
        json!([{"local": [{"user": {}}], "remote": [{"type": "A", "any_one_of": ["("], "regex": true}]}]),
        json!([{"local": [{"user": {}}], "remote": [{"type": "A", "any_one_of": ["(x{999}){999}"], "regex": true}]}]),
    ] {
        assert!(Rules::parse(&rules).is_err(), "{rules}");
    }
    let rules = json!([{"local": [{"user": {"name": "{1}"}}], "remote": [{"type": "A"}]}]);
    assert!(matches!(apply(rules, &[("A", &["x"])]), Err(RuleError::NoSuchValue { index: 1 })));
}

#[test]
fn lists_survive_being_written_and_read() {
    for values in [vec![], vec!["a".to_owned(), "it's \\ \"quoted\", [x]".to_owned()], vec!["one".to_owned()]]
    {
        assert_eq!(listed(&written(&values)), values);
    }
    assert_eq!(listed("[not python]"), ["[not python]"]);
    assert_eq!(listed("['a' 'b']"), ["['a' 'b']"]);
}

#[test]
fn what_a_group_and_a_user_are_is_checked_before_anybody_comes() {
    for (local, fits) in [
        (json!({"group": {"id": "g"}}), true),
        (json!({"group": {"name": "g", "domain": {"id": "d"}}}), true),
        (json!({"group": {"name": "g"}}), false),
        (json!({"user": {"name": "{0}", "type": "local"}}), true),
        (json!({"user": {"name": "{0}", "type": "other"}}), false),
    ] {
        let rules = json!([{"local": [local], "remote": [{"type": "Name"}]}]);
        assert_eq!(Rules::parse(&rules).is_ok(), fits, "{rules}");
    }
}
