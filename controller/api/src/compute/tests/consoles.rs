use axum::http::{HeaderValue, StatusCode};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};
use updraft_sim::agent::CONSOLE_LOG;

use super::{CREDENTIAL, ComputeCloud};

/// Opens a console's URL at the address where the test's controller really is.
async fn open(
    cloud: &ComputeCloud,
    url: &str,
    origin: Option<&'static str>,
) -> Result<impl StreamExt<Item = Result<Message, SocketError>> + SinkExt<Message> + Unpin, u16> {
    let url = url.replace("cloud.test", &cloud.address.to_string());
    let mut request = url.into_client_request().unwrap();
    if let Some(origin) = origin {
        request.headers_mut().insert("origin", HeaderValue::from_static(origin));
    }
    match tokio_tungstenite::connect_async(request).await {
        Ok((socket, _)) => Ok(socket),
        Err(SocketError::Http(response)) => Err(response.status().as_u16()),
        Err(other) => panic!("{other}"),
    }
}

async fn serial_url(cloud: &ComputeCloud, id: &str) -> String {
    let body = json!({"remote_console": {"protocol": "serial", "type": "serial"}});
    let reply = cloud.post(&format!("/servers/{id}/remote-consoles"), &cloud.member, 96, body).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.json());
    reply.text("/remote_console/url")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_console_opens_once_and_for_pages_of_this_cloud_only() {
    let cloud = ComputeCloud::start().await;
    let id = cloud.create_active().await;
    let url = serial_url(&cloud, &id).await;
    assert!(url.starts_with("ws://cloud.test/console/serial?token="), "{url}");
    assert_eq!(open(&cloud, &url, Some("http://evil.example")).await.err(), Some(403));
    let mut socket = open(&cloud, &url, None).await.unwrap();
    socket.send(Message::Binary(b"ls\n".to_vec().into())).await.ok().unwrap();
    let back = socket.next().await.unwrap().unwrap();
    assert_eq!(back.into_data().as_ref(), b"ls\n", "what the simulated guest echoes");
    assert_eq!(open(&cloud, &url, None).await.err(), Some(401), "once only");
    let other_kind = serial_url(&cloud, &id).await.replace("/serial", "/vnc");
    assert_eq!(open(&cloud, &other_kind, None).await.err(), Some(401), "for its kind only");
    let late = serial_url(&cloud, &id).await;
    cloud.cloud.core.clock.advance(std::time::Duration::from_secs(61));
    assert_eq!(open(&cloud, &late, None).await.err(), Some(401), "for a minute only");
}

#[tokio::test(flavor = "multi_thread")]
async fn console_urls_and_logs() {
    let cloud = ComputeCloud::start().await;
    let id = cloud.create_active().await;
    let log = cloud.act(&id, json!({"os-getConsoleOutput": {"length": 10}})).await;
    assert_eq!(log.text("/output"), CONSOLE_LOG);
    let console =
        |kind: &str, protocol: &str| json!({"remote_console": {"protocol": protocol, "type": kind}});
    let path = format!("/servers/{id}/remote-consoles");
    let vnc = cloud.post(&path, &cloud.member, 96, console("novnc", "vnc")).await;
    let url = vnc.text("/remote_console/url");
    assert!(
        url.starts_with("http://cloud.test/console/vnc.html?")
            && url.contains("path=console%2Fvnc%3Ftoken%3D"),
        "{url}"
    );
    for (kind, protocol, minor, status) in [
        ("spice-html5", "spice", 96, StatusCode::BAD_REQUEST),
        ("serial", "vnc", 96, StatusCode::BAD_REQUEST),
        ("novnc", "vnc", 5, StatusCode::NOT_FOUND),
    ] {
        let reply = cloud.post(&path, &cloud.member, minor, console(kind, protocol)).await;
        assert_eq!(reply.status, status, "{kind} {protocol} 2.{minor}");
    }
    let legacy = json!({"os-getVNCConsole": {"type": "novnc"}});
    let action = format!("/servers/{id}/action");
    assert_eq!(cloud.post(&action, &cloud.member, 5, legacy.clone()).await.text("/console/type"), "novnc");
    assert_eq!(cloud.post(&action, &cloud.member, 6, legacy).await.status, StatusCode::NOT_FOUND);
}

/// A host sees its own plan and the images in it, with its own credential and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_gets_what_is_its_own() {
    let cloud = ComputeCloud::start().await;
    let get = async |path: String, token: &str| {
        let url = format!("http://{}{path}", cloud.address);
        let request = reqwest::Client::builder().no_proxy().build().unwrap().get(url).bearer_auth(token);
        request.send().await.unwrap()
    };
    let image = format!("/host/v1/images/{}/file", cloud.image_id);
    assert_eq!(get("/host/v1/plan".into(), "a guess").await.status(), 401);
    assert_eq!(get("/host/v1/plan".into(), &cloud.admin).await.status(), 401, "no tenant's token opens it");
    assert_eq!(get(image.clone(), CREDENTIAL).await.status(), 404, "not in the plan yet");
    let id = cloud.create_active().await;
    let bytes = get(image, CREDENTIAL).await.bytes().await.unwrap();
    assert_eq!(bytes.as_ref(), vec![7; 1 << 20]);
    let plan: Value = get("/host/v1/plan".into(), CREDENTIAL).await.json().await.unwrap();
    assert_eq!(plan["servers"][0]["id"], id.as_str());
    assert_eq!(plan["network"]["generation"], plan["generation"]);
    let nic = &plan["servers"][0]["metadata"]["nics"][0]["addresses"][0];
    assert_eq!((&nic["netmask"], &nic["gateway"]), (&json!("255.255.255.0"), &json!("10.0.0.1")));
}
