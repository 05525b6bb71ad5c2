//! Users: what is kept of them, and lists of them.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::test_cloud::TestCloud;

#[tokio::test]
async fn options_and_unknown_attributes_are_kept_and_passwords_are_not_shown() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    let user = json!({
        "name": "ada", "password": "secret", "email": "ada@example.org", "department": "x",
        "options": {"ignore_password_expiry": true},
    });
    let made = cloud.post("/v3/users", &admin, json!({"user": user})).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.json());
    let shown = made.json()["user"].clone();
    assert_eq!(shown["options"], json!({"ignore_password_expiry": true}));
    assert_eq!((&shown["department"], &shown["email"]), (&json!("x"), &json!("ada@example.org")));
    assert_eq!(shown["password_expires_at"], Value::Null);
    assert!(!made.json().to_string().contains("secret"));
    let path = format!("/v3/users/{}", made.text("/user/id"));
    let change = json!({"user": {"options": {"ignore_password_expiry": null, "lock_password": true}}});
    let changed = cloud.call(Method::PATCH, &path, &admin, change).await;
    assert_eq!(changed.json()["user"]["options"], json!({"lock_password": true}));
    let own = json!({"user": {"original_password": "secret", "password": "other"}});
    let refused = cloud.post(&format!("{path}/password"), "", own).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST, "the password is locked");
}

#[tokio::test]
async fn what_keystones_schema_refuses() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    let (_, user_id, _) = cloud.tenant("ada", "member").await;
    for user in [
        json!({}),
        json!({"name": ""}),
        json!({"name": "x".repeat(256)}),
        json!({"name": 5}),
        json!({"name": "x", "enabled": "true"}),
        json!({"name": "x", "options": {"nonsense": true}}),
        json!({"name": "x", "default_project_id": "default"}),
        json!({"name": "x", "password": "x".repeat(129)}),
    ] {
        let reply = cloud.post("/v3/users", &admin, json!({"user": user})).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{user}");
    }
    for change in [json!({"id": "other"}), json!({"domain_id": "other"}), json!({"name": null})] {
        let path = format!("/v3/users/{user_id}");
        let reply = cloud.call(Method::PATCH, &path, &admin, json!({"user": change})).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{change}");
    }
    let password = format!("/v3/users/{user_id}/password");
    for body in [json!({"original_password": "ada"}), json!({"password": "x"}), json!({})] {
        assert_eq!(cloud.post(&password, "", json!({"user": body})).await.status, StatusCode::BAD_REQUEST);
    }
}

#[tokio::test]
async fn lists_are_filtered_sorted_and_paged() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    for name in ["anna", "Bert", "berta"] {
        let user = json!({"user": {"name": name, "enabled": name != "Bert"}});
        assert_eq!(cloud.post("/v3/users", &admin, user).await.status, StatusCode::CREATED);
    }
    let names = async |query: &str| {
        let found = cloud.get(&format!("/v3/users?{query}"), &admin).await.json();
        let users = found["users"].as_array().unwrap().clone();
        let names = users.iter().map(|user| user["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
        (names, found["links"]["next"].as_str().map(str::to_owned))
    };
    assert_eq!(names("name=BERT").await.0, ["Bert"]);
    assert_eq!(names("enabled=false").await.0, ["Bert"]);
    assert_eq!(names("name__icontains=BERT").await.0, ["Bert", "berta"]);
    assert_eq!(names("name__startswith=bert").await.0, ["berta"]);
    assert_eq!(names("sort_key=name&sort_dir=desc").await.0, ["berta", "Bert", "anna", "admin"]);
    assert!(
        names("password_expires_at=lt:2030-01-01T00:00:00Z").await.0.is_empty(),
        "passwords do not expire"
    );
    let bad = cloud.get("/v3/users?password_expires_at=lt:tomorrow", &admin).await;
    assert_eq!(bad.status, StatusCode::BAD_REQUEST);
    let mut all = Vec::new();
    let mut next = Some("http://cloud.test:5000/identity/v3/users?limit=3".to_owned());
    while let Some(url) = next {
        let (page, following) = names(url.split_once('?').unwrap().1).await;
        assert!(!page.is_empty(), "a page after the last one");
        all.extend(page);
        next = following;
    }
    assert_eq!(all, ["admin", "anna", "Bert", "berta"]);
}

#[tokio::test]
async fn a_users_projects_and_groups() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    let (_, ada, token) = cloud.tenant("ada", "member").await;
    let (_, _, stranger) = cloud.tenant("bob", "member").await;
    for path in [format!("/v3/users/{ada}/projects"), format!("/v3/users/{ada}/groups")] {
        assert_eq!(cloud.get(&path, &token).await.status, StatusCode::OK, "{path}");
        assert_eq!(cloud.get(&path, &stranger).await.status, StatusCode::FORBIDDEN, "{path}");
    }
    let nobody = "/v3/users/nobody/projects";
    assert_eq!(cloud.get(nobody, &admin).await.status, StatusCode::NOT_FOUND);
    assert_eq!(cloud.get(nobody, &stranger).await.status, StatusCode::FORBIDDEN, "who exists is not told");
}
