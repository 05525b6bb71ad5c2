//! The life of an image whose data comes by an import.

use std::sync::Mutex;

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Client, patiently};
use crate::cloud::{Cloud, DATA};

/// How the data comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// `glance-direct`: it is staged first.
    Staged,
    /// `web-download`
    Web,
}

/// An image is made, its data imported, read back, and deleted. The client asks again for what was not promised.
pub async fn run(cloud: &Cloud, client: &Client, source: Source, name: &str) {
    let new = json!({"name": name, "disk_format": "raw", "container_format": "bare"});
    let list = format!("/image/v2/images?name={name}");
    let id = client.create("/image/v2/images", new, &list).await;
    let path = format!("/image/v2/images/{id}");
    let promised = import(cloud, client, source, &path).await;

    let image = client.get(&path).await.body;
    assert_eq!((&image["status"], &image["size"]), (&json!("active"), &json!(DATA.len())), "{name}");
    let tasks = client.get(&format!("{path}/tasks")).await.body["tasks"].as_array().unwrap().clone();
    let statuses: Vec<&Value> = tasks.iter().map(|task| &task["status"]).collect();
    assert_eq!(statuses, ["success"], "{name}: {promised} imports were promised: {tasks:?}");
    assert!(promised <= 1, "{name}: {promised} imports were promised");
    assert_eq!(cloud.files_of(&id).len(), 1, "{name}");
    assert!(client.data(&format!("{path}/file")).await == DATA, "{name} has other data");

    client.delete(&path).await;
    client.gone(&path).await;
    patiently("the image's files to go", || async { cloud.files_of(&id).is_empty().then_some(()) }).await;
    assert_eq!(client.get(&list).await.body["images"], json!([]), "{name} is there again");
}

/// Until the image is active; how many imports were promised.
async fn import(cloud: &Cloud, client: &Client, source: Source, path: &str) -> usize {
    let promised = Mutex::new(0);
    patiently(&format!("{source:?} import of {path}"), || async {
        let status = client.get(path).await.body["status"].as_str().unwrap_or_default().to_owned();
        match (status.as_str(), source) {
            ("active", _) => return Some(()),
            ("queued", Source::Staged) => {
                client.put_data(&format!("{path}/stage"), &DATA).await;
            }
            // Either the data is staged whole, or its sender died and the sweep has yet to see it.
            ("uploading", Source::Staged) => {
                ask(client, path, json!({"name": "glance-direct"}), &promised).await
            }
            ("queued", Source::Web) => {
                let uri = format!("http://127.0.0.1:{}/image", cloud.web.port);
                ask(client, path, json!({"name": "web-download", "uri": uri}), &promised).await;
            }
            ("importing", _) => {}
            (other, _) => panic!("{path} is {other}"),
        }
        None
    })
    .await;
    promised.into_inner().unwrap()
}

async fn ask(client: &Client, path: &str, method: Value, promised: &Mutex<usize>) {
    let answer = client.once(Method::POST, &format!("{path}/import"), &json!({"method": method})).await;
    match answer.as_ref().map(|answer| answer.status) {
        Some(202) => *promised.lock().unwrap() += 1,
        // An earlier attempt without an answer was carried out, or the staged data was lost with its sender.
        Some(409) | None => {}
        Some(_) => panic!("{path}: {answer:?}"),
    }
}
