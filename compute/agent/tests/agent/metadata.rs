//! The metadata service as netd uses it.

use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::watch;
use updraft_agent::metadata::service::serve;
use updraft_base::{DiskId, HostId, ImageId, MacAddress, PortId, ServerId};
use updraft_compute_api::metadata::{NicAddress, NicMetadata, ServerMetadata};
use updraft_compute_api::plan::{HostPlan, ImageFormat, ImageSource, Power, PowerPlan, RootDisk, ServerPlan};

fn server(name: &str, port: PortId) -> ServerPlan {
    let address = NicAddress {
        address: "10.0.0.5".into(),
        netmask: "255.255.255.0".into(),
        gateway: Some("10.0.0.1".into()),
        dns_servers: vec!["10.0.0.2".into()],
        floating_address: Some("203.0.113.7".into()),
    };
    let metadata = ServerMetadata {
        name: name.into(),
        hostname: name.into(),
        project_id: "p".into(),
        availability_zone: "nova".into(),
        meta: [("role".to_owned(), "db".to_owned())].into(),
        public_keys: [("key".to_owned(), "ssh-ed25519 AAAA me".to_owned())].into(),
        user_data: Some(BASE64_STANDARD.encode(b"#!/bin/sh\n\xff")),
        admin_password: None,
        flavor_name: "small".into(),
        security_group_names: vec!["default".into(), "web".into()],
        nics: vec![NicMetadata {
            port_id: port,
            network_id: "n".into(),
            mac: MacAddress([2, 0, 0, 0, 0, 1]),
            mtu: 1450,
            addresses: vec![address],
        }],
    };
    let image =
        ImageSource { id: ImageId::random(), format: ImageFormat::Raw, size_bytes: 0, sha512: String::new() };
    ServerPlan {
        id: ServerId::random(),
        power: PowerPlan { desired: Power::On, epoch: 1, soft_reboot_epoch: 0 },
        vcpus: 1,
        memory_mib: 64,
        root_disk: RootDisk { id: DiskId::random(), image, size_bytes: 512 },
        port_ids: vec![port],
        config_drive: false,
        metadata,
    }
}

/// Status and body of one request, sent as netd passes it on.
async fn ask(socket: &Path, preamble: &str, request: &str) -> (u16, Vec<u8>) {
    let mut stream = UnixStream::connect(socket).await.unwrap();
    stream.write_all(format!("{preamble}{request}").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let Some(end) = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { return (0, answer) };
    let status = String::from_utf8_lossy(&answer[9..12]).parse().unwrap();
    (status, answer[end + 4..].to_vec())
}

async fn get(socket: &Path, port: PortId, path: &str) -> (u16, String) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: 169.254.169.254\r\nConnection: close\r\n\r\n");
    let (status, body) = ask(socket, &format!("updraft-port {port}\n"), &request).await;
    (status, String::from_utf8_lossy(&body).into_owned())
}

#[tokio::test]
async fn a_guest_learns_about_itself_and_nobody_else() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("metadata");
    let (mine, other) = (PortId::random(), PortId::random());
    let (first, second) = (server("one", mine), server("two", other));
    let (id, other_id) = (first.id, second.id);
    let plan = HostPlan {
        host_id: HostId::random(),
        generation: 1,
        servers: vec![first, second],
        network: Default::default(),
    };
    let (_sender, plan) = watch::channel(Some(Arc::new(plan)));
    let path = socket.clone();
    tokio::spawn(async move { serve(&path, plan).await });
    while UnixStream::connect(&socket).await.is_err() {
        tokio::task::yield_now().await;
    }

    let (status, text) = get(&socket, mine, "/openstack/latest/meta_data.json").await;
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(status, 200);
    assert_eq!(document["uuid"], id.to_string());
    assert_eq!(document["meta"]["role"], "db");
    assert_eq!(document["keys"][0]["data"], "ssh-ed25519 AAAA me");
    let (_, text) = get(&socket, mine, "/openstack/2018-08-27/network_data.json").await;
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["links"][0]["ethernet_mac_address"], "02:00:00:00:00:01");
    assert_eq!(document["networks"][0]["routes"][0]["gateway"], "10.0.0.1");

    for (path, expected) in [
        ("/latest/meta-data/local-ipv4", "10.0.0.5"),
        ("/latest/meta-data/public-ipv4", "203.0.113.7"),
        ("/2009-04-04/meta-data/hostname", "one"),
        ("/latest/meta-data/public-keys/", "0=key"),
        ("/latest/meta-data/public-keys/0/", "openssh-key"),
        ("/latest/meta-data/public-keys/0/openssh-key", "ssh-ed25519 AAAA me"),
        ("/latest/meta-data/placement/", "availability-zone"),
        ("/latest", "meta-data/\nuser-data"),
        ("/openstack/latest/vendor_data.json", "{}"),
    ] {
        assert_eq!(get(&socket, mine, path).await, (200, expected.to_owned()), "{path}");
    }
    let listing = get(&socket, mine, "/openstack/latest").await.1;
    assert_eq!(listing, "meta_data.json\nnetwork_data.json\nuser_data\nvendor_data.json\nvendor_data2.json");
    assert!(get(&socket, mine, "/openstack").await.1.contains("2018-08-27"));
    assert!(get(&socket, mine, "/latest/meta-data/instance-id").await.1.starts_with("i-"));
    for path in ["/openstack/latest/nothing", "/../../etc/passwd", "/2000-01-01/meta-data"] {
        assert_eq!(get(&socket, mine, path).await.0, 404, "{path}");
    }
    assert_eq!(get(&socket, PortId::random(), "/openstack/latest/meta_data.json").await.0, 404);

    // User data are any bytes; headers that name another guest are the guest's own words.
    let request = format!(
        "GET /openstack/latest/user_data HTTP/1.1\r\nHost: x\r\nX-Instance-ID: {other_id}\r\n\
         X-Forwarded-For: 10.0.0.9\r\nConnection: close\r\n\r\n"
    );
    let line = format!("updraft-port {mine}\n");
    assert_eq!(ask(&socket, &line, &request).await, (200, b"#!/bin/sh\n\xff".to_vec()));
    let post = "POST /openstack/latest/password HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    assert_eq!(ask(&socket, &line, post).await.0, 405);
    // Without the line that only netd sends there is no answer at all.
    assert_eq!(ask(&socket, "", &request).await.0, 0);
}
