use std::path::Path;

use super::file::Overrides;
use super::parse::parse;
use super::rules::RuleSet;
use super::{
    CheckError, Policy, PolicyError, ProjectTarget, RoleTarget, Service, Target, TrustTarget, UserTarget,
};
use crate::{Caller, ErrorKind};

fn caller(roles: &[&str]) -> Caller {
    Caller {
        user_id: "u1".into(),
        user_name: "u".into(),
        user_domain_id: "d1".into(),
        project_id: Some("p1".into()),
        project_domain_id: Some("d1".into()),
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        ..Caller::default()
    }
}

fn of_domain(roles: &[&str], domain_id: &str) -> Caller {
    Caller { project_id: None, project_domain_id: None, domain_id: Some(domain_id.into()), ..caller(roles) }
}

fn of_system(roles: &[&str]) -> Caller {
    Caller { project_id: None, project_domain_id: None, system_scope: true, ..caller(roles) }
}

fn with(text: &str) -> Result<Policy, PolicyError> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    Policy::load(Some(file.path()))
}

/// Whether a check of its own lets the caller pass.
fn passes(check: &str, caller: &Caller, target: &Target<'_>) -> bool {
    let policy = with(&format!("get_image: {check:?}\n")).unwrap();
    policy.allows(caller, "get_image", target)
}

#[test]
fn every_default_parses_and_refers_to_what_there_is() {
    let rules = RuleSet::new(&Overrides::default()).unwrap();
    for (name, count) in
        [("identity:", 190), ("os_compute_api:", 90), ("get_", 30), ("metadef", 2), ("create_network", 1)]
    {
        let found = rules.sample().lines().filter(|line| line.contains(&format!("# \"{name}"))).count();
        assert!(found >= count, "{name}: {found}");
    }
}

#[test]
fn the_language() {
    let (member, nobody) = (caller(&["Member"]), caller(&[]));
    let own = Target { user_id: Some("u1"), visibility: Some("public"), ..Target::of_project("p1") };
    for (check, of_member, of_nobody) in [
        ("@", true, true),
        ("", true, true),
        ("!", false, false),
        ("role:member", true, false),
        ("not role:member", false, true),
        ("role:admin or role:member", true, false),
        ("role:admin or role:member and project_id:%(project_id)s", true, false),
        ("(role:admin or role:member) and !", false, false),
        ("role:member and not role:admin or !", true, false),
        ("not not role:member", true, false),
        ("not (role:admin or role:member)", false, true),
        ("ROLE:member OR @", true, true),
        ("'public':%(visibility)s", true, true),
        ("\"public\":%(visibility)s", true, true),
        ("'private':%(visibility)s", false, false),
        ("user_id:u%%1", false, false),
        ("user_id:%(user_id)s", true, true),
        ("user_id:%(target.user.id)s", false, false),
        ("not user_id:%(target.user.id)s", true, true),
        ("tenant_id:%(tenant_id)s", true, true),
        ("project_id:p%(visibility)s", false, false),
        ("'up1':u%(project_id)s", true, true),
        ("domain_id:None", true, true),
        ("not domain_id:None", false, false),
        ("True:%(shared)s", false, false),
        ("1:1", true, true),
        ("is_admin_project:True", true, true),
        ("system_scope:all", false, false),
        ("service_roles:service", false, false),
        ("is_admin:True", false, false),
        ("is_admin:False", true, true),
        ("is_admin:1", false, false),
        ("rule:context_is_admin", false, false),
        ("unheard_of:%(project_id)s", false, false),
        ("project_id:%(unheard_of)s", false, false),
    ] {
        assert_eq!(passes(check, &member, &own), of_member, "a member, {check}");
        assert_eq!(passes(check, &nobody, &own), of_nobody, "without roles, {check}");
    }
}

#[test]
fn what_a_token_lacks_is_like_nothing_a_target_lacks() {
    let global = Target { role: Some(RoleTarget { name: "r", domain_id: None }), ..Target::default() };
    assert!(passes("None:%(target.role.domain_id)s", &caller(&[]), &global));
    assert!(!passes("domain_id:%(target.role.domain_id)s", &caller(&[]), &global));
    let forged = Target { domain: Some("None"), ..Target::default() };
    assert!(!passes("domain_id:%(target.domain.id)s", &caller(&[]), &forged));
}

#[test]
fn fields_are_the_networks() {
    let policy = Policy::default();
    let of = |device_owner, network| Target {
        device_owner: Some(device_owner),
        network_project_id: Some(network),
        ..Target::of_project("p1")
    };
    let member = caller(&["member", "reader"]);
    let rule = "create_port:device_owner";
    assert!(policy.allows(&member, rule, &of("compute:nova", "p2")));
    assert!(!policy.allows(&member, rule, &of("network:dhcp", "p2")));
    assert!(policy.allows(&member, rule, &of("network:dhcp", "p1")), "the network's owner");
    let shared = Target { shared: Some(true), ..Target::of_project("p2") };
    assert!(policy.allows(&member, "get_network", &shared));
    assert!(!policy.allows(&member, "get_network", &Target { shared: Some(false), ..shared }));
}

#[test]
fn the_older_form_of_lists() {
    let member = caller(&["member"]);
    for (lists, expected) in [
        ("[]", true),
        ("[[]]", false),
        ("['role:member']", true),
        ("[['role:member', 'role:admin']]", false),
        ("[['role:admin'], ['role:member', 'project_id:%(project_id)s']]", true),
    ] {
        let policy = with(&format!("get_image: {lists}\n")).unwrap();
        assert_eq!(policy.allows(&member, "get_image", &Target::of_project("p1")), expected, "{lists}");
        let again = with(&policy.sample()).unwrap();
        assert_eq!(
            again.allows(&member, "get_image", &Target::of_project("p1")),
            expected,
            "{lists} printed"
        );
    }
}

#[test]
fn what_is_no_check_is_refused() {
    for (text, error) in [
        ("role", CheckError::NotACheck("role".into())),
        (":x", CheckError::NotACheck(":x".into())),
        ("'alone'", CheckError::NotACheck("'alone'".into())),
        ("field:networks", CheckError::NotACheck("field:networks".into())),
        ("role:a role:b", CheckError::Unexpected("role:b".into())),
        ("role:a and", CheckError::Incomplete),
        ("and role:a", CheckError::Unexpected("and".into())),
        ("(role:a", CheckError::Incomplete),
        ("role:a)", CheckError::Unexpected(")".into())),
        ("()", CheckError::Unexpected(")".into())),
        ("not", CheckError::Incomplete),
        ("user_id:%(target.user.id)", CheckError::Substitution("%(target.user.id".into())),
        ("http://policy.example/check", CheckError::Remote("http://policy.example/check".into())),
        ("field:port:device_owner=~(", CheckError::Pattern("(".into())),
    ] {
        assert_eq!(parse(text).unwrap_err(), error, "{text}");
    }
    let deep = format!("{}role:a{}", "(".repeat(5000), ")".repeat(5000));
    assert_eq!(parse(&deep).unwrap_err(), CheckError::TooDeep);
    assert_eq!(parse(&"not ".repeat(500)).unwrap_err(), CheckError::TooDeep);
    assert_eq!(parse(&"role:a or ".repeat(2000)).unwrap_err(), CheckError::TooLong);
}

#[test]
fn a_bad_file_is_refused_by_file_and_rule() {
    for (text, named) in [
        ("'identity:get_user': 'role:admin and'", "identity:get_user"),
        ("'identity:get_user': 'rule:unheard_of'", "unheard_of"),
        ("a: 'rule:b'\nb: 'rule:a'", "itself"),
        ("context_is_admin: 'rule:context_is_admin'", "context_is_admin"),
        ("nobody_asks: 'role:'\nslip: role", "slip"),
        ("volume: {get: '@'}", "volume"),
        ("- a list", "not a map"),
        ("'identity:get_user': 5", "not a map"),
        ("get_image: '@'\nget_image: '!'", "not a map"),
    ] {
        let error = with(text).unwrap_err().to_string();
        assert!(error.contains(named) && error.contains("/"), "{text}: {error}");
    }
    let missing = Policy::load(Some(Path::new("/nonexistent/policy.yaml"))).unwrap_err();
    assert!(matches!(missing, PolicyError::Io { path, .. } if path == Path::new("/nonexistent/policy.yaml")));
}

#[test]
fn an_operator_changes_rules_for_all_services_or_for_one() {
    let policy = with(
        "context_is_admin: 'role:cloud_admin'\n\
         network: {context_is_admin: 'role:net_admin'}\n\
         'identity:list_users': 'rule:helpdesk or rule:admin_required'\n\
         helpdesk: 'role:helpdesk'\n",
    )
    .unwrap();
    assert!(policy.is_admin(&caller(&["cloud_admin"]), Service::Compute));
    assert!(!policy.is_admin(&caller(&["admin"]), Service::Compute));
    assert!(policy.is_admin(&caller(&["net_admin"]), Service::Network));
    assert!(!policy.is_admin(&caller(&["cloud_admin"]), Service::Network));
    assert!(policy.is_admin(&caller(&["admin"]), Service::Identity));
    assert!(policy.allows(&caller(&["helpdesk"]), "identity:list_users", &Target::default()));
    assert!(!policy.allows(&caller(&["helpdesk"]), "identity:get_user", &Target::default()));
}

#[test]
fn a_bad_reload_keeps_the_rules() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "get_image: '!'").unwrap();
    let policy = Policy::load(Some(file.path())).unwrap();
    let clone = policy.clone();
    let admin = caller(&["admin"]);
    assert!(!clone.allows(&admin, "get_image", &Target::default()));
    std::fs::write(file.path(), "get_image: 'role:admin and'").unwrap();
    assert!(policy.reload().is_err());
    assert!(!clone.allows(&admin, "get_image", &Target::default()));
    std::fs::write(file.path(), "get_image: 'role:admin'").unwrap();
    policy.reload().unwrap();
    assert!(clone.allows(&admin, "get_image", &Target::default()), "every clone sees it");
}

#[test]
fn refusals_are_in_the_services_own_words() {
    let policy = Policy::default();
    for (rule, words) in [
        (
            "identity:create_project",
            "You are not authorized to perform the requested action: identity:create_project.",
        ),
        ("publicize_image", "You are not authorized to complete publicize_image action."),
        (
            "os_compute_api:os-services:list",
            "Policy doesn't allow os_compute_api:os-services:list to be performed.",
        ),
        ("update_agent", "rule:update_agent is disallowed by policy"),
        ("unheard_of", "You are not authorized to perform the requested action: unheard_of."),
        // Several services have it: it is nothing that a use case asks for.
        ("context_is_admin", "You are not authorized to perform the requested action: context_is_admin."),
    ] {
        let error = policy.enforce(&caller(&["member"]), rule, &Target::default()).unwrap_err();
        assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Forbidden, words));
    }
}

/// A table of who may, from the services' own defaults.
#[test]
fn the_defaults_decide_as_openstack_does() {
    let policy = Policy::default();
    let admin = ["admin", "manager", "member", "reader"];
    let project = Target { project: Some(ProjectTarget { id: "p1", domain_id: "d1" }), ..Target::default() };
    let user = |id| Target { user: Some(UserTarget { id, domain_id: "d1" }), ..Target::default() };
    let trust = Target {
        trust: Some(TrustTarget { trustor_user_id: "u1", trustee_user_id: "u2" }),
        ..Target::default()
    };
    let public = Target { visibility: Some("public"), ..Target::of_project("p9") };
    let private = Target { visibility: Some("private"), ..Target::of_project("p9") };
    for (who, rule, target, expected) in [
        (caller(&admin), "identity:create_project", project, true),
        (caller(&["member", "reader"]), "identity:create_project", project, false),
        (of_domain(&["manager", "member", "reader"], "d1"), "identity:create_project", project, true),
        (of_domain(&["manager", "member", "reader"], "d2"), "identity:create_project", project, false),
        (caller(&["reader"]), "identity:get_project", project, true),
        (of_system(&["reader"]), "identity:list_users", Target::default(), true),
        (caller(&["reader"]), "identity:list_users", Target::default(), false),
        (of_system(&["reader"]), "identity:create_user", user("u9"), false),
        (caller(&["reader"]), "identity:get_user", user("u1"), true),
        (caller(&["reader"]), "identity:get_user", user("u9"), false),
        (of_domain(&admin, "d1"), "identity:create_region", Target::default(), false),
        (caller(&["member"]), "identity:delete_trust", trust, true),
        (caller(&["reader"]), "get_image", public, true),
        (caller(&["reader"]), "get_image", private, false),
        (caller(&admin), "get_image", private, true),
        (caller(&["member"]), "os_compute_api:servers:create", Target::of_project("p1"), true),
        (caller(&["member"]), "os_compute_api:servers:create", Target::of_project("p9"), false),
        (of_system(&admin), "os_compute_api:os-services:list", Target::default(), false),
        (caller(&["reader"]), "create_network", Target::of_project("p1"), false),
        (caller(&["member"]), "create_network", Target::of_project("p1"), true),
        (caller(&["member"]), "create_network:shared", Target::of_project("p1"), false),
    ] {
        assert_eq!(policy.allows(&who, rule, &target), expected, "{:?} {rule}", who.roles);
    }
}

mod properties {
    use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};

    use super::super::check::Check;
    use super::super::parse::parse;
    use super::{Target, caller};

    /// An expression as a tree: the slow twin that the parser must agree with.
    #[derive(Clone, Debug)]
    enum Tree {
        Truth(bool),
        Not(Box<Tree>),
        And(Vec<Tree>),
        Or(Vec<Tree>),
    }

    impl Tree {
        fn value(&self) -> bool {
            match self {
                Self::Truth(truth) => *truth,
                Self::Not(tree) => !tree.value(),
                Self::And(trees) => trees.iter().all(Self::value),
                Self::Or(trees) => trees.iter().any(Self::value),
            }
        }

        /// With the parentheses that precedence asks for, and no others.
        fn text(&self, binding: u8) -> String {
            let join = |trees: &[Self], word: &str, own: u8| {
                let text = trees
                    .iter()
                    .map(|tree| tree.text(own + 1))
                    .collect::<Vec<_>>()
                    .join(&format!(" {word} "));
                if binding > own { format!("({text})") } else { text }
            };
            match self {
                Self::Truth(true) => "role:member".into(),
                Self::Truth(false) => "role:admin".into(),
                Self::Not(tree) => format!("not {}", tree.text(3)),
                Self::And(trees) => join(trees, "and", 1),
                Self::Or(trees) => join(trees, "OR", 0),
            }
        }
    }

    fn trees() -> impl Strategy<Value = Tree> {
        any::<bool>().prop_map(Tree::Truth).prop_recursive(6, 60, 4, |inner| {
            prop_oneof![
                inner.clone().prop_map(|tree| Tree::Not(Box::new(tree))),
                proptest::collection::vec(inner.clone(), 2..4).prop_map(Tree::And),
                proptest::collection::vec(inner, 2..4).prop_map(Tree::Or),
            ]
        })
    }

    fn value(check: &Check<String>) -> bool {
        check.passes(&caller(&["member"]), &Target::default(), &|_| false)
    }

    proptest! {
        #[test]
        fn precedence_is_that_of_the_language(tree in trees()) {
            assert_eq!(value(&parse(&tree.text(0)).unwrap()), tree.value(), "{}", tree.text(0));
        }

        #[test]
        fn no_text_breaks_the_parser(text in "\\PC*") {
            let _ = parse(&text).map(|check| value(&check));
        }

        #[test]
        fn nor_do_words_in_any_order(words in proptest::collection::vec(prop_oneof![
            Just("and"), Just("or"), Just("not"), Just("("), Just(")"), Just("@"), Just("!"), Just("role:member"),
            Just("%(x)s"), Just("None:%(target.role.domain_id)s"), Just("field:a:b=~["), Just("is_admin:True"),
        ], 0..40)) {
            let _ = parse(&words.join(" ")).map(|check| value(&check));
        }
    }
}
