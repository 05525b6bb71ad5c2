use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::test_cloud::TestCloud;

const ROOT: &str = "/image/v2/metadefs/namespaces";

fn namespace() -> Value {
    json!({
        "namespace": "OS::Test", "display_name": "Test", "description": "d", "visibility": "public",
        "resource_type_associations": [{"name": "OS::Test::Thing", "prefix": "hw_"}],
        "properties": {"bus": {"title": "Bus", "type": "string", "enum": ["virtio"]}},
        "objects": [{"name": "limits", "required": ["cpu"], "properties": {"cpu": {"title": "CPU", "type": "integer"}}}],
        "tags": [{"name": "t1"}],
    })
}

#[tokio::test]
async fn a_namespace_is_made_whole_and_read_back() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    let (_, _, token) = cloud.tenant("alice", "member").await;
    assert_eq!(cloud.post(ROOT, &token, namespace()).await.status, StatusCode::FORBIDDEN);
    let made = cloud.post(ROOT, &admin, namespace()).await;
    assert_eq!(
        (made.status, made.header("location")),
        (StatusCode::CREATED, "http://cloud.test:5000/image/v2/metadefs/namespaces/OS::Test")
    );
    assert_eq!(cloud.post(ROOT, &admin, namespace()).await.status, StatusCode::CONFLICT);
    let path = format!("{ROOT}/OS::Test");
    let shown = cloud.get(&path, &token).await.json();
    for (pointer, expected) in [
        ("/properties/bus/enum/0", json!("virtio")),
        ("/objects/0/required/0", json!("cpu")),
        ("/tags/0/name", json!("t1")),
        ("/resource_type_associations/0/prefix", json!("hw_")),
        ("/protected", json!(false)),
        ("/self", json!("/v2/metadefs/namespaces/OS::Test")),
    ] {
        assert_eq!(shown.pointer(pointer), Some(&expected), "{shown}");
    }
    let prefixed = cloud.get(&format!("{path}?resource_type=OS::Test::Thing"), &token).await.json();
    assert!(prefixed["properties"].get("hw_bus").is_some(), "{prefixed}");
    assert_eq!(prefixed["objects"][0]["required"][0], "hw_cpu");
    let list = cloud.get(&format!("{ROOT}?resource_types=OS::Test::Thing"), &token).await.json();
    assert_eq!(list["namespaces"].as_array().unwrap().len(), 1);
    assert_eq!(
        cloud.get(&format!("{ROOT}?resource_types=None"), &token).await.json()["namespaces"],
        json!([])
    );
    let types = cloud.get("/image/v2/metadefs/resource_types", &token).await;
    let types = types.json()["resource_types"].clone();
    assert!(types.as_array().unwrap().iter().any(|known| known["name"] == "OS::Test::Thing"), "{types}");
}

#[tokio::test]
async fn a_new_cloud_has_the_stock_namespaces_once() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    let (_, _, token) = cloud.tenant("alice", "reader").await;
    let names = async || {
        let list =
            cloud.get(&format!("{ROOT}?limit=100&sort_key=namespace&sort_dir=asc"), &token).await.json();
        let list = list["namespaces"].as_array().unwrap().clone();
        assert!(list.iter().all(|one| one["protected"] == true && one["owner"] == "admin"), "{list:?}");
        list.iter().map(|one| one["namespace"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let stock = names().await;
    assert_eq!((stock.len(), stock[0].as_str()), (22, "OS::Cinder::Volumetype"));
    let path = |name: &str| format!("{ROOT}/{name}");
    let image = cloud.get(&path("OS::Compute::LibvirtImage"), &token).await;
    assert_eq!(image.text("/properties/hw_firmware_type/enum/1"), "uefi");
    assert_eq!(image.text("/resource_type_associations/0/name"), "OS::Glance::Image");
    let pinning = path("OS::Compute::CPUPinning");
    let flavor = cloud.get(&format!("{pinning}?resource_type=OS::Nova::Flavor"), &token).await;
    assert_eq!(flavor.text("/properties/hw:cpu_policy/enum/1"), "dedicated");
    let quota = cloud.get(&path("OS::Compute::Quota"), &token).await;
    assert_eq!(quota.json().pointer("/objects/0/properties/quota:cpu_shares/type"), Some(&json!("integer")));

    assert_eq!(cloud.delete(&pinning, &admin).await.status, StatusCode::FORBIDDEN, "protected");
    let free = json!({"namespace": "OS::Compute::CPUPinning", "visibility": "public", "protected": false});
    assert_eq!(cloud.call(Method::PUT, &pinning, &admin, free).await.status, StatusCode::OK);
    assert_eq!(cloud.delete(&pinning, &admin).await.status, StatusCode::NO_CONTENT);
    updraft_core::image::metadef::ensure_stock(&cloud.core).await.unwrap();
    assert_eq!(names().await.len(), 21, "what was deleted does not come back");
}

#[tokio::test]
async fn what_is_private_is_not_found_and_what_is_protected_stays() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    let (project, _, alice) = cloud.tenant("alice", "member").await;
    let (_, _, bob) = cloud.tenant("bob", "reader").await;
    let mut body = namespace();
    (body["visibility"], body["protected"], body["owner"]) = (json!("private"), json!(true), json!(project));
    cloud.post(ROOT, &admin, body).await;
    let path = format!("{ROOT}/OS::Test");
    assert_eq!(cloud.get(&path, &alice).await.status, StatusCode::OK);
    for tail in ["", "/objects", "/properties/bus", "/tags/t1", "/resource_types"] {
        assert_eq!(cloud.get(&format!("{path}{tail}"), &bob).await.status, StatusCode::NOT_FOUND, "{tail}");
        let deleted = cloud.delete(&format!("{path}{tail}"), &bob).await.status;
        assert!(
            matches!(deleted, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED),
            "{tail}: {deleted}"
        );
    }
    for tail in ["", "/objects", "/properties/bus", "/tags"] {
        assert_eq!(
            cloud.delete(&format!("{path}{tail}"), &alice).await.status,
            StatusCode::FORBIDDEN,
            "{tail}"
        );
        assert_eq!(
            cloud.delete(&format!("{path}{tail}"), &admin).await.status,
            StatusCode::FORBIDDEN,
            "{tail}"
        );
    }
    let free = json!({"namespace": "OS::Free", "visibility": "public", "protected": false});
    assert_eq!(cloud.call(Method::PUT, &path, &alice, free.clone()).await.status, StatusCode::FORBIDDEN);
    assert_eq!(cloud.call(Method::PUT, &path, &admin, free).await.status, StatusCode::OK);
    assert_eq!(cloud.get(&path, &admin).await.status, StatusCode::NOT_FOUND);
    let renamed = format!("{ROOT}/OS::Free");
    assert_eq!(cloud.get(&renamed, &bob).await.text("/objects/0/name"), "limits", "its contents came along");
    assert_eq!(cloud.delete(&renamed, &admin).await.status, StatusCode::NO_CONTENT);
    assert_eq!(cloud.get(&renamed, &admin).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn items_come_change_and_go() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    cloud.post(ROOT, &admin, json!({"namespace": "n"})).await;
    let put = async |path: &str, body: Value| cloud.call(Method::PUT, path, &admin, body).await;
    let (objects, properties, tags) =
        (format!("{ROOT}/n/objects"), format!("{ROOT}/n/properties"), format!("{ROOT}/n/tags"));

    let made = cloud.post(&objects, &admin, json!({"name": "o"})).await;
    assert_eq!((made.status, made.json()["required"].clone()), (StatusCode::CREATED, json!([])));
    assert_eq!(cloud.post(&objects, &admin, json!({"name": "o"})).await.status, StatusCode::CONFLICT);
    assert_eq!(
        cloud.post(&objects, &admin, json!({"name": "o", "self": "x"})).await.status,
        StatusCode::FORBIDDEN
    );
    assert_eq!(put(&format!("{objects}/o"), json!({"name": "p"})).await.status, StatusCode::OK);
    assert_eq!(cloud.get(&format!("{objects}/o"), &admin).await.status, StatusCode::NOT_FOUND);
    assert_eq!(cloud.delete(&format!("{objects}/p"), &admin).await.status, StatusCode::NO_CONTENT);

    let property = json!({"name": "p", "title": "P", "type": "string"});
    assert_eq!(cloud.post(&properties, &admin, property.clone()).await.status, StatusCode::CREATED);
    assert_eq!(cloud.post(&properties, &admin, json!({"name": "q"})).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(cloud.get(&format!("{properties}/p"), &admin).await.json(), property);
    assert_eq!(cloud.get(&properties, &admin).await.text("/properties/p/title"), "P");
    assert_eq!(cloud.delete(&properties, &admin).await.status, StatusCode::NO_CONTENT);
    assert_eq!(cloud.get(&properties, &admin).await.json(), json!({"properties": {}}));

    let some =
        |names: &[&str]| json!({"tags": names.iter().map(|name| json!({"name": name})).collect::<Vec<_>>()});
    assert_eq!(cloud.post(&tags, &admin, some(&["a", "b"])).await.status, StatusCode::CREATED);
    assert_eq!(cloud.post(&tags, &admin, some(&["c"])).await.status, StatusCode::CREATED);
    assert_eq!(
        cloud.get(&tags, &admin).await.json()["tags"],
        json!([{"name": "c"}]),
        "in the place of the others"
    );
    assert_eq!(cloud.post(&format!("{tags}/d"), &admin, Value::Null).await.status, StatusCode::CREATED);
    assert_eq!(put(&format!("{tags}/d"), json!({"name": "e"})).await.status, StatusCode::OK);
    assert_eq!(cloud.delete(&format!("{tags}/gone"), &admin).await.status, StatusCode::NOT_FOUND);

    let types = format!("{ROOT}/n/resource_types");
    assert_eq!(
        cloud.post(&types, &admin, json!({"name": "OS::X", "prefix": "x_"})).await.status,
        StatusCode::CREATED
    );
    assert_eq!(cloud.get(&types, &admin).await.text("/resource_type_associations/0/prefix"), "x_");
    assert_eq!(cloud.delete(&format!("{types}/OS::X"), &admin).await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn properties_go_by_a_types_prefix_and_are_answered_without() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    let mut body = namespace();
    body["resource_type_associations"] = json!([{"name": "T", "prefix": "hw_"}, {"name": "Bare"}]);
    cloud.post(ROOT, &admin, body).await;
    let properties = format!("{ROOT}/OS::Test/properties");
    let shown = cloud.get(&format!("{properties}/hw_bus?resource_type=T"), &admin).await;
    assert_eq!((shown.status, shown.text("/name")), (StatusCode::OK, "bus".into()));
    for odd in ["bus?resource_type=T", "bus?resource_type=Bare", "bus?resource_type=Unknown"] {
        let status = cloud.get(&format!("{properties}/{odd}"), &admin).await.status;
        assert_eq!(status, StatusCode::NOT_FOUND, "{odd}");
    }
    assert_eq!(cloud.get(&format!("{properties}/bus?resource_type="), &admin).await.status, StatusCode::OK);
    let list = cloud.get(&format!("{properties}?resource_type=T"), &admin).await.json();
    assert!(list["properties"].get("bus").is_some(), "{list}");
}

#[tokio::test]
async fn nulls_and_long_prefixes_are_refused() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    for key in ["visibility", "display_name", "protected"] {
        let refused = cloud.post(ROOT, &admin, json!({"namespace": "n", key: null})).await.status;
        assert_eq!(refused, StatusCode::BAD_REQUEST, "{key}");
    }
    cloud.post(ROOT, &admin, json!({"namespace": "n"})).await;
    let types = format!("{ROOT}/n/resource_types");
    for body in [
        json!({"name": "T", "prefix": null}),
        json!({"name": "T", "prefix": "x".repeat(81)}),
        json!({"name": "T", "properties_target": "x".repeat(81)}),
    ] {
        assert_eq!(cloud.post(&types, &admin, body.clone()).await.status, StatusCode::BAD_REQUEST, "{body}");
    }
    let object = json!({"name": "o", "description": null});
    let refused = cloud.post(&format!("{ROOT}/n/objects"), &admin, object).await.status;
    assert_eq!(refused, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn tags_are_listed_in_the_order_that_is_asked_for() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    cloud.post(ROOT, &admin, json!({"namespace": "n"})).await;
    let tags = format!("{ROOT}/n/tags");
    for name in ["b", "c", "a"] {
        cloud.post(&format!("{tags}/{name}"), &admin, Value::Null).await;
    }
    let names = async |query: &str| {
        let list = cloud.get(&format!("{tags}?{query}"), &admin).await.json();
        let list = list["tags"].as_array().unwrap().clone();
        list.iter().map(|tag| tag["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names("sort_key=name&sort_dir=asc").await, ["a", "b", "c"]);
    assert_eq!(names("sort_key=name").await, ["c", "b", "a"]);
    assert_eq!(names("sort_key=name&sort_dir=asc&limit=1&marker=a").await, ["b"]);
    assert_eq!(names("").await, ["a", "c", "b"], "the newest first");
    for odd in ["tags?sort_dir=up", "objects?sort_dir=up", "objects?limit=0"] {
        let status = cloud.get(&format!("{ROOT}/n/{odd}"), &admin).await.status;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{odd}");
    }
}

#[tokio::test]
async fn schemas_of_everything_are_served() {
    let cloud = TestCloud::start().await;
    let (_, _, token) = cloud.tenant("alice", "reader").await;
    for name in [
        "image",
        "images",
        "member",
        "members",
        "task",
        "tasks",
        "metadefs/namespace",
        "metadefs/namespaces",
        "metadefs/resource_type",
        "metadefs/resource_types",
        "metadefs/property",
        "metadefs/properties",
        "metadefs/object",
        "metadefs/objects",
        "metadefs/tag",
        "metadefs/tags",
    ] {
        let schema = cloud.get(&format!("/image/v2/schemas/{name}"), &token).await;
        assert_eq!(schema.status, StatusCode::OK, "{name}");
        let schema = schema.json();
        assert!(schema["properties"].is_object(), "{name}");
        for reference in schema.to_string().split("\"$ref\":\"#").skip(1) {
            let pointer = reference.split('"').next().unwrap();
            assert!(schema.pointer(pointer).is_some(), "{name}: nothing is at {pointer}");
        }
    }
}
