//! The life of a project with everything that hangs off it, and above all its end.

use reqwest::Method;
use serde_json::{Value, json};
use updraft_base::ServerId;

use crate::client::{Client, patiently};
use crate::cloud::{Cloud, DATA, PASSWORD};

/// In which order the operator goes about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Order {
    /// As `openstack project cleanup` does: what is in it, then the project.
    ContentsFirst,
    /// The project alone. As in OpenStack, what other services have stays; the doctor names it, and then it is deleted.
    ProjectFirst,
}

/// What every server is made from.
pub struct Base {
    image_id: String,
    flavor_id: String,
}

impl Base {
    pub async fn make(admin: &Client) -> Self {
        let flavor = json!({"flavor": {"name": "small", "ram": 64, "vcpus": 1, "disk": 1, "id": "1"}});
        admin.ensure(Method::POST, "/compute/v2.1/flavors", flavor).await;
        let image_id = image(admin, "base", "public").await;
        Self { image_id, flavor_id: "1".into() }
    }
}

/// Everything of one project.
struct Project {
    id: String,
    user_id: String,
    admin_id: String,
    server: String,
    port: String,
    subnet: String,
    network: String,
    router: String,
    group: String,
    image: String,
}

pub async fn run(cloud: &Cloud, admin: &Client, base: &Base, order: Order, name: &str) {
    let project = Project::make(admin, base, name).await;
    let server_id: ServerId = project.server.parse().unwrap();
    assert_eq!(cloud.host.lock().unwrap().starts.get(&server_id), Some(&1), "{name}: its guest started once");
    if order == Order::ContentsFirst {
        project.empty(cloud, admin).await;
        project.delete(admin).await;
    } else {
        project.delete(admin).await;
        let left = left_behind(admin, &project.id).await;
        assert!(left.contains("servers: 1") && left.contains("images: 1"), "{name}: {left}");
        project.empty(cloud, admin).await;
    }
    admin.delete(&format!("/v3/users/{}", project.user_id)).await;
    patiently("what belongs to nobody to go", || async {
        left_behind(admin, &project.id).await.is_empty().then_some(())
    })
    .await;
    assert!(
        !cloud.host.lock().unwrap().server_ids().contains(&server_id),
        "{name}: its guest is still there"
    );
}

/// What the doctor says about a project that is not there.
async fn left_behind(admin: &Client, project_id: &str) -> String {
    let findings = admin.get("/host/v1/doctor").await.body;
    let ours = findings.as_array().unwrap().iter().filter(|finding| finding["subject"] == project_id);
    ours.map(|finding| finding["message"].as_str().unwrap().to_owned() + "; ").collect()
}

async fn image(client: &Client, name: &str, visibility: &str) -> String {
    let new =
        json!({"name": name, "disk_format": "raw", "container_format": "bare", "visibility": visibility});
    let id = client.create("/image/v2/images", new, &format!("/image/v2/images?name={name}")).await;
    let path = format!("/image/v2/images/{id}");
    patiently(&format!("upload of {name}"), || async {
        let status = client.get(&path).await.body["status"].as_str().unwrap_or_default().to_owned();
        match status.as_str() {
            "active" => return Some(()),
            "queued" => _ = client.put_data(&format!("{path}/file"), &DATA).await,
            // Its sender died, and the sweep has yet to see it.
            "saving" => {}
            other => panic!("{name} is {other}"),
        }
        None
    })
    .await;
    id
}

impl Project {
    /// Makes everything once, whoever dies meanwhile.
    async fn make(admin: &Client, base: &Base, name: &str) -> Self {
        let body = json!({"project": {"name": name, "description": "to be deleted", "tags": ["kills"]}});
        let id = admin.create("/v3/projects", body, &format!("/v3/projects?name={name}")).await;
        let body = json!({"user": {"name": name, "password": PASSWORD, "default_project_id": id}});
        let user_id = admin.create("/v3/users", body, &format!("/v3/users?name={name}")).await;
        let admin_id =
            admin.get("/v3/users?name=admin").await.body["users"][0]["id"].as_str().unwrap().to_owned();
        for role in ["member", "reader"] {
            let roles = admin.get(&format!("/v3/roles?name={role}")).await.body;
            let role_id = roles["roles"][0]["id"].as_str().unwrap();
            let grant = format!("/v3/projects/{id}/users/{user_id}/roles/{role_id}");
            admin.ensure(Method::PUT, &grant, Value::Null).await;
        }
        let instances = json!({"quota_set": {"instances": 7}});
        admin.ensure(Method::PUT, &format!("/compute/v2.1/os-quota-sets/{id}"), instances).await;
        admin
            .ensure(Method::PUT, &format!("/network/v2.0/quotas/{id}"), json!({"quota": {"port": 77}}))
            .await;
        let user = admin.as_user(name, PASSWORD, name).await;
        delegations(&user, &user_id, &admin_id, &id, name).await;
        let (network, subnet, router, group, port) = network(&user, name).await;
        let image = image(&user, name, "private").await;
        let server = json!({"server": {
            "name": name, "imageRef": base.image_id, "flavorRef": base.flavor_id, "networks": [{"port": port}],
        }});
        let list = format!("/compute/v2.1/servers?name={name}");
        let server = user.create("/compute/v2.1/servers", server, &list).await;
        patiently(&format!("server of {name}"), || async {
            let found = user.get(&format!("/compute/v2.1/servers/{server}")).await.body;
            assert_ne!(found["server"]["status"], "ERROR", "{found}");
            (found["server"]["status"] == "ACTIVE").then_some(())
        })
        .await;
        Self { id, user_id, admin_id, server, port, subnet, network, router, group, image }
    }

    /// What other services have for it.
    async fn empty(&self, cloud: &Cloud, admin: &Client) {
        let server = format!("/compute/v2.1/servers/{}", self.server);
        admin.delete(&server).await;
        admin.gone(&server).await;
        for (kind, id) in [
            ("ports", &self.port),
            ("routers", &self.router),
            ("subnets", &self.subnet),
            ("networks", &self.network),
            ("security-groups", &self.group),
        ] {
            let path = format!("/network/v2.0/{kind}/{id}");
            admin.delete(&path).await;
            admin.gone(&path).await;
        }
        let image = format!("/image/v2/images/{}", self.image);
        admin.delete(&image).await;
        admin.gone(&image).await;
        patiently("the image's files to go", || async {
            cloud.files_of(&self.image).is_empty().then_some(())
        })
        .await;
    }

    /// The project itself, until that is acknowledged. At every moment identity has all of it or nothing.
    async fn delete(&self, admin: &Client) {
        let path = format!("/v3/projects/{}", self.id);
        assert_eq!(self.look(admin).await, Remains::ALL);
        let mut unanswered = 0;
        loop {
            let answer = admin.once(Method::DELETE, &path, &Value::Null).await;
            let remains = self.look(admin).await;
            match answer.as_ref().map(|answer| answer.status) {
                Some(204) => break assert_eq!(remains, Remains::NOTHING),
                Some(404) if unanswered > 0 => break assert_eq!(remains, Remains::NOTHING),
                None => assert!([Remains::ALL, Remains::NOTHING].contains(&remains), "{remains:?}"),
                Some(_) => panic!("{path}: {answer:?}"),
            }
            unanswered += 1;
        }
    }

    /// What identity has of it, all of it listed the same moment or not: nothing else changes here.
    async fn look(&self, admin: &Client) -> Remains {
        let count = async |path: String, of_project: bool| {
            let found = admin.get(&path).await.body;
            let (_, rows) = found.as_object().unwrap().iter().find(|(_, rows)| rows.is_array()).unwrap();
            let rows = rows.as_array().unwrap().iter();
            rows.filter(|row| !of_project || row.to_string().contains(&self.id)).count()
        };
        let user = &self.user_id;
        let found = admin.get(&format!("/v3/users/{user}")).await.body;
        Remains {
            project: admin.get(&format!("/v3/projects/{}", self.id)).await.status == 200,
            default_of: usize::from(found["user"]["default_project_id"] == self.id.as_str()),
            assignments: count(format!("/v3/role_assignments?user.id={user}"), true).await,
            application_credentials: count(format!("/v3/users/{user}/application_credentials"), true).await,
            ec2_credentials: count(format!("/v3/users/{user}/credentials/OS-EC2"), true).await,
            trusts: count(format!("/v3/OS-TRUST/trusts?trustor_user_id={user}"), true).await
                + count(format!("/v3/OS-TRUST/trusts?trustee_user_id={}", self.admin_id), true).await,
        }
    }
}

/// What identity has of a project.
#[derive(Debug, PartialEq, Eq)]
struct Remains {
    project: bool,
    default_of: usize,
    assignments: usize,
    application_credentials: usize,
    ec2_credentials: usize,
    trusts: usize,
}

impl Remains {
    const ALL: Self = Self {
        project: true,
        default_of: 1,
        assignments: 2,
        application_credentials: 1,
        ec2_credentials: 1,
        // As seen by either side.
        trusts: 2,
    };
    const NOTHING: Self = Self {
        project: false,
        default_of: 0,
        assignments: 0,
        application_credentials: 0,
        ec2_credentials: 0,
        trusts: 0,
    };
}

/// What the user hands on.
async fn delegations(user: &Client, user_id: &str, admin_id: &str, project_id: &str, name: &str) {
    let path = format!("/v3/users/{user_id}/application_credentials");
    let body = json!({"application_credential": {"name": name}});
    user.create(&path, body, &format!("{path}?name={name}")).await;
    let ec2 = format!("/v3/users/{user_id}/credentials/OS-EC2");
    let found = patiently(&ec2, || async {
        let made = user.get(&ec2).await.body["credentials"].as_array().unwrap().len();
        match made {
            0 => {
                user.once(Method::POST, &ec2, &json!({"tenant_id": project_id})).await;
                None
            }
            more => Some(more),
        }
    });
    assert_eq!(found.await, 1, "{name}");
    let trust = json!({"trust": {
        "trustor_user_id": user_id, "trustee_user_id": admin_id, "impersonation": false,
        "project_id": project_id, "roles": [{"name": "member"}],
    }});
    let list = format!("/v3/OS-TRUST/trusts?trustor_user_id={user_id}");
    user.create("/v3/OS-TRUST/trusts", trust, &list).await;
}

/// Network, subnet, router, security group and port.
async fn network(user: &Client, name: &str) -> (String, String, String, String, String) {
    let create = async |kind: &str, one: &str, mut fields: Value| {
        fields["name"] = name.into();
        let path = format!("/network/v2.0/{kind}");
        user.create(&path, json!({ one: fields }), &format!("{path}?name={name}")).await
    };
    let network = create("networks", "network", json!({})).await;
    let subnet = json!({"network_id": network, "cidr": "10.0.0.0/24", "ip_version": 4});
    let subnet = create("subnets", "subnet", subnet).await;
    let router = create("routers", "router", json!({})).await;
    let group = create("security-groups", "security_group", json!({})).await;
    let port = json!({"network_id": network, "security_groups": [group]});
    let port = create("ports", "port", port).await;
    (network, subnet, router, group, port)
}
