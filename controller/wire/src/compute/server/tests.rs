use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{AddressView, ConsoleOutput, Place, ServerFlavor, ServerView, UpdateServer, console_length};
use crate::compute::Microversion;

fn view() -> ServerView {
    let address = AddressView {
        address: "10.0.0.5".into(),
        version: 4,
        kind: "fixed",
        mac: "fa:16:3e:00:00:01".into(),
    };
    ServerView {
        id: "s".into(),
        name: "n".into(),
        description: None,
        status: "ACTIVE",
        vm_state: "active",
        task_state: None,
        power_state: 1,
        project_id: "p".into(),
        user_id: "u".into(),
        addresses: BTreeMap::from([("private".to_owned(), vec![address])]),
        access_ip_v4: String::new(),
        access_ip_v6: String::new(),
        flavor: ServerFlavor {
            id: "1".into(),
            name: "m1.tiny".into(),
            vcpus: 1,
            memory_mib: 512,
            disk_gib: 1,
            ephemeral_gib: 0,
            swap_mib: 0,
            extra_specs: BTreeMap::new(),
        },
        image_id: "i".into(),
        key_name: None,
        config_drive: false,
        metadata: BTreeMap::new(),
        tags: vec!["t".into()],
        security_groups: vec!["default".into()],
        disk_config: "AUTO",
        availability_zone: "nova".into(),
        pinned_availability_zone: None,
        locked: false,
        locked_reason: None,
        fault: None,
        created: "2026-01-01T00:00:00Z".into(),
        updated: "2026-01-01T00:00:00Z".into(),
        launched_at: None,
        terminated_at: None,
        host_id: "h".into(),
        host: Some("node-1".into()),
        host_status: "UP",
        instance_name: "instance-s".into(),
        hostname: "n".into(),
        reservation_id: "r-1".into(),
        launch_index: 0,
        user_data: None,
    }
}

fn keys(value: &Value) -> Vec<String> {
    let mut keys: Vec<String> = value.as_object().unwrap().keys().cloned().collect();
    keys.sort();
    keys
}

/// The keys of `GET /servers/{id}` in the API reference's samples, for one who is no administrator.
#[test]
fn a_server_shows_exactly_the_keys_of_its_version() {
    let base = [
        "OS-DCF:diskConfig",
        "OS-EXT-AZ:availability_zone",
        "OS-EXT-STS:power_state",
        "OS-EXT-STS:task_state",
        "OS-EXT-STS:vm_state",
        "OS-SRV-USG:launched_at",
        "OS-SRV-USG:terminated_at",
        "accessIPv4",
        "accessIPv6",
        "addresses",
        "config_drive",
        "created",
        "flavor",
        "hostId",
        "id",
        "image",
        "key_name",
        "links",
        "metadata",
        "name",
        "os-extended-volumes:volumes_attached",
        "progress",
        "security_groups",
        "status",
        "tenant_id",
        "updated",
        "user_id",
    ];
    let mut expected: Vec<String> = base.iter().map(|key| (*key).to_owned()).collect();
    let mut from = 1;
    for (minor, added) in [
        (1, None),
        (9, Some("locked")),
        (19, Some("description")),
        (26, Some("tags")),
        (63, Some("trusted_image_certificates")),
        (71, Some("server_groups")),
        (73, Some("locked_reason")),
        (90, Some("OS-EXT-SRV-ATTR:hostname")),
        (96, Some("pinned_availability_zone")),
    ] {
        for before in from..minor {
            assert_eq!(
                keys(&view().render("", Microversion(before), Place::Show, false)),
                expected,
                "2.{before}"
            );
        }
        expected.extend(added.map(str::to_owned));
        expected.sort();
        assert_eq!(keys(&view().render("", Microversion(minor), Place::Show, false)), expected, "2.{minor}");
        from = minor;
    }
}

#[test]
fn only_an_administrator_sees_the_host() {
    let version = Microversion(96);
    let host = |admin| view().render("", version, Place::Show, admin).get("OS-EXT-SRV-ATTR:host").cloned();
    assert_eq!(host(true), Some(json!("node-1")));
    assert_eq!(host(false), None);
}

#[test]
fn the_flavor_is_a_link_and_then_its_values() {
    let flavor = |minor| view().render("", Microversion(minor), Place::Show, false)["flavor"].clone();
    assert_eq!(keys(&flavor(46)), ["id", "links"]);
    assert_eq!(
        keys(&flavor(47)),
        ["disk", "ephemeral", "extra_specs", "original_name", "ram", "swap", "vcpus"]
    );
}

#[test]
fn an_update_answers_in_short_until_2_75() {
    let short = view().render("", Microversion(74), Place::Update, true);
    assert_eq!(short["addresses"]["private"][0], json!({"addr": "10.0.0.5", "version": 4}));
    assert!(short.get("security_groups").is_none() && short.get("OS-EXT-STS:vm_state").is_none());
    let whole = view().render("", Microversion(75), Place::Update, true);
    assert_eq!(keys(&whole), keys(&view().render("", Microversion(75), Place::Show, true)));
}

#[test]
fn lists_show_no_server_groups() {
    assert!(view().render("", Microversion(96), Place::List, true).get("server_groups").is_none());
}

#[test]
fn an_update_tells_null_from_nothing() {
    let read = |body: Value, minor| UpdateServer::read(json!({ "server": body }), Microversion(minor));
    assert_eq!(read(json!({"description": null}), 19).unwrap().description, Some(None));
    assert_eq!(read(json!({"name": "x"}), 19).unwrap().description, None);
    assert!(read(json!({"description": "x"}), 18).is_err());
    assert!(read(json!({"status": "ACTIVE"}), 96).is_err());
}

#[test]
fn console_lengths() {
    let length = |value: Value| console_length(&ConsoleOutput { length: Some(value) });
    assert_eq!(length(json!(10)), Ok(Some(10)));
    assert_eq!(length(json!("10")), Ok(Some(10)));
    assert_eq!(length(json!(-1)), Ok(None));
    assert_eq!(length(json!(null)), Ok(None));
    assert!(length(json!("ten")).is_err());
    assert!(length(json!(-2)).is_err());
}
