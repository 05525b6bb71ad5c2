use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{NOWHERE, Net, ids, refusal};

#[tokio::test]
async fn every_project_has_a_default_group() {
    let net = Net::start().await;
    let groups = net.get("security-groups").await.json();
    let groups = groups["security_groups"].as_array().unwrap();
    assert_eq!(groups.len(), 1);
    assert_eq!(groups[0]["name"], "default");
    let rules = groups[0]["security_group_rules"].as_array().unwrap();
    let egress = rules
        .iter()
        .filter(|rule| rule["direction"] == "egress" && rule["remote_group_id"].is_null())
        .count();
    let own = rules
        .iter()
        .filter(|rule| rule["direction"] == "ingress" && rule["remote_group_id"] == groups[0]["id"])
        .count();
    assert_eq!((rules.len(), egress, own), (4, 2, 2));
    let path = format!("security-groups/{}", groups[0]["id"].as_str().unwrap());
    assert_eq!(refusal(&net.delete(&path).await), (409, "SecurityGroupCannotRemoveDefault".into()));
    let renamed = net.put(&path, json!({"security_group": {"name": "x"}})).await;
    assert_eq!(refusal(&renamed), (409, "SecurityGroupCannotUpdateDefault".into()));
    let second = net.post("security-groups", json!({"security_group": {"name": "default"}})).await;
    assert_eq!(refusal(&second), (409, "SecurityGroupDefaultAlreadyExists".into()));
    let other = net.make("security-groups", "security_group", json!({"name": "web"})).await;
    let renamed =
        net.put(&format!("security-groups/{other}"), json!({"security_group": {"name": "default"}})).await;
    assert_eq!(refusal(&renamed), (409, "SecurityGroupDefaultAlreadyExists".into()));
    let rule = json!({"security_group_id": other, "direction": "ingress", "protocol": "tcp"});
    let twice = net.post("security-group-rules", json!({"security_group_rules": [rule, rule]})).await;
    assert_eq!(refusal(&twice), (409, "DuplicateSecurityGroupRuleInPost".into()));
    let elsewhere = json!({"security_group_id": groups[0]["id"], "direction": "ingress", "protocol": "udp"});
    let two = net.post("security-group-rules", json!({"security_group_rules": [rule, elsewhere]})).await;
    assert_eq!(refusal(&two), (400, "SecurityGroupNotSingleGroupRules".into()));
}

#[tokio::test]
async fn a_group_and_its_rules() {
    let net = Net::start().await;
    let made = net
        .post("security-groups", json!({"security_group": {"name": "web", "description": "d"}}))
        .await
        .json();
    let group = made["security_group"]["id"].as_str().unwrap();
    assert_eq!(
        made["security_group"]["security_group_rules"].as_array().unwrap().len(),
        2,
        "everything may go out"
    );
    let ssh = json!({"security_group_id": group, "direction": "ingress", "protocol": "tcp", "port_range_min": 22,
                     "port_range_max": 22, "remote_ip_prefix": "10.1.2.3/8"});
    let rule = net.post("security-group-rules", json!({"security_group_rule": ssh})).await;
    assert_eq!(rule.status, StatusCode::CREATED);
    assert_eq!(rule.text("/security_group_rule/remote_ip_prefix"), "10.1.2.3/8");
    assert_eq!(rule.text("/security_group_rule/normalized_cidr"), "10.0.0.0/8");
    assert_eq!(rule.text("/security_group_rule/ethertype"), "IPv4");
    assert!(rule.json()["security_group_rule"].get("tags").is_none(), "rules have none");
    let mut again = ssh.clone();
    again["protocol"] = json!(6);
    again["remote_ip_prefix"] = json!("10.0.0.0/8");
    let again = net.post("security-group-rules", json!({"security_group_rule": again})).await;
    assert_eq!(refusal(&again), (409, "SecurityGroupRuleExists".into()));
    let id = rule.text("/security_group_rule/id");
    assert!(again.text("/NeutronError/message").ends_with(&format!("Rule id is {id}.")));
    let ping = json!({"security_group_id": group, "direction": "ingress", "protocol": "icmp", "port_range_min": 8,
                      "port_range_max": 0});
    let two = json!({"security_group_rules": [ping, {"security_group_id": group, "direction": "ingress",
                     "ethertype": "IPv6", "protocol": "icmp", "remote_group_id": group}]});
    let two = net.post("security-group-rules", two).await;
    assert_eq!(two.status, StatusCode::CREATED, "{}", two.json());
    assert_eq!(two.text("/security_group_rules/1/protocol"), "ipv6-icmp");
    let listed = net.get(&format!("security-group-rules?security_group_id={group}&direction=ingress")).await;
    assert_eq!(ids(&listed, "security_group_rules").len(), 3);
    let immutable = net.put(&format!("security-group-rules/{id}"), json!({"security_group_rule": {}})).await;
    assert_eq!(immutable.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(net.delete(&format!("security-group-rules/{id}")).await.status, StatusCode::NO_CONTENT);
    assert_eq!(
        refusal(&net.delete(&format!("security-group-rules/{id}")).await),
        (404, "SecurityGroupRuleNotFound".into())
    );
    assert_eq!(net.delete(&format!("security-groups/{group}")).await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_group_in_use_stays() {
    let net = Net::start().await;
    let network = net.network("lan").await;
    net.subnet(&network, "10.0.0.0/24").await;
    let group = net.make("security-groups", "security_group", json!({"name": "web"})).await;
    let port = net.make("ports", "port", json!({"network_id": network, "security_groups": [group]})).await;
    assert_eq!(
        refusal(&net.delete(&format!("security-groups/{group}")).await),
        (409, "SecurityGroupInUse".into())
    );
    net.delete(&format!("ports/{port}")).await;
    assert_eq!(net.delete(&format!("security-groups/{group}")).await.status, StatusCode::NO_CONTENT);
}

/// The attacks on rules that OpenStack's advisories list: refused before anything is stored.
#[tokio::test]
async fn wrong_rules_are_refused_at_the_door() {
    let net = Net::start().await;
    let group = net.make("security-groups", "security_group", json!({"name": "web"})).await;
    let with = |fields: Value| {
        let mut rule = json!({"security_group_id": group, "direction": "ingress"});
        rule.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        json!({"security_group_rule": rule})
    };
    let cases = [
        (with(json!({"remote_ip_prefix": "0.0.0.0/33"})), (400, "InvalidCIDR")),
        (
            with(json!({"protocol": "vrrp", "port_range_min": 1, "port_range_max": 2})),
            (400, "SecurityGroupInvalidProtocolForPort"),
        ),
        (
            with(json!({"protocol": "gre", "port_range_min": 1, "port_range_max": 2})),
            (400, "SecurityGroupInvalidProtocolForPort"),
        ),
        (
            with(json!({"protocol": "tcp", "port_range_min": 9, "port_range_max": 2})),
            (400, "SecurityGroupInvalidPortRange"),
        ),
        (
            with(json!({"protocol": "tcp", "port_range_min": 1, "port_range_max": 99999})),
            (400, "SecurityGroupInvalidPortValue"),
        ),
        (
            with(json!({"port_range_min": 1, "port_range_max": 2})),
            (400, "SecurityGroupProtocolRequiredWithPorts"),
        ),
        (with(json!({"protocol": "icmp", "port_range_max": 2})), (400, "SecurityGroupMissingIcmpType")),
        (with(json!({"protocol": "telepathy"})), (400, "SecurityGroupRuleInvalidProtocol")),
        (
            with(json!({"ethertype": "IPv6", "remote_ip_prefix": "10.0.0.0/8"})),
            (400, "SecurityGroupRuleParameterConflict"),
        ),
        (with(json!({"direction": "up"})), (400, "HTTPBadRequest")),
        (with(json!({"remote_group_id": NOWHERE})), (404, "SecurityGroupNotFound")),
        (with(json!({"security_group_id": NOWHERE})), (404, "SecurityGroupNotFound")),
        (with(json!({"security_group_id": "nobody"})), (404, "SecurityGroupNotFound")),
    ];
    for (body, (status, kind)) in cases {
        assert_eq!(
            refusal(&net.post("security-group-rules", body.clone()).await),
            (status, kind.into()),
            "{body}"
        );
    }
    let rules = net.get(&format!("security-group-rules?security_group_id={group}")).await;
    assert_eq!(ids(&rules, "security_group_rules").len(), 2, "nothing stored");
}
