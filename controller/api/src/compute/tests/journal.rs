//! The journal as operators and tenants read it.

use serde_json::json;

use super::ComputeCloud;

#[tokio::test(flavor = "multi_thread")]
async fn why_tells_who_asked_which_steps_ran_and_what_failed() {
    let cloud = ComputeCloud::start().await;
    cloud.host.lock().unwrap().refuses = Some("The image cannot be used.".into());
    let asked = cloud.post("/servers", &cloud.member, 96, cloud.new_server(json!({}))).await;
    let id = asked.text("/server/id");
    cloud.wait_for(&id, "ERROR").await;

    let ops = cloud.cloud.get("/host/v1/ops?failed=1", &cloud.admin).await.json();
    assert_eq!(ops[0]["subject_id"], json!(id));
    assert_eq!((&ops[0]["state"], &ops[0]["kind"]), (&json!("failed"), &json!("server create")));
    let story = cloud.cloud.get(&format!("/host/v1/why/{id}"), &cloud.admin).await.json();
    let request = &story["requests"][0];
    assert_eq!(request["request_id"], asked.header("x-openstack-request-id"));
    assert_eq!(request["audit"][0]["initiator"]["name"], "tenant");
    assert_eq!(request["audit"][0]["target"]["id"], json!(id));
    let steps = request["ops"][0]["steps"].as_array().unwrap();
    let named: Vec<(&str, bool)> = steps
        .iter()
        .map(|step| (step["name"].as_str().unwrap(), step["succeeded"].as_bool().unwrap()))
        .collect();
    assert_eq!(
        named,
        [
            ("compute_place_instance", true),
            ("compute_bind_ports", true),
            ("compute_plan_instance", true),
            ("compute_build_instance", false)
        ]
    );
    let failed = &steps[3];
    assert_eq!(failed["message"], "The image cannot be used.");
    assert!(failed["cause"].is_string(), "what the host says to operators: {failed}");
    assert!(steps.iter().all(|step| step["took_ms"].as_i64().unwrap() >= 0 && step["host"] == "node-1"));
    assert_eq!(story["server"]["fault"], "The image cannot be used.");
    // The same by the request, and by the task.
    for other in [asked.header("x-openstack-request-id"), request["ops"][0]["id"].as_str().unwrap()] {
        let same = cloud.cloud.get(&format!("/host/v1/why/{other}"), &cloud.admin).await.json();
        assert_eq!(same["requests"][0]["ops"][0]["subject_id"], json!(id), "{other}");
    }
    // The tenant reads no host and no cause.
    let request_id = asked.header("x-openstack-request-id");
    let own = cloud.get(&format!("/servers/{id}/os-instance-actions/{request_id}"), &cloud.member, 96).await;
    let text = own.json().to_string();
    assert!(text.contains("finish_time") && text.contains("Error"), "{text}");
    assert!(!text.contains("node-1") && !text.contains("traceback\":\""), "{text}");
}
