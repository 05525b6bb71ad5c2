//! A server with a floating IP, and what can be done inside it by SSH.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::Duration;

use crate::cloud::Cloud;
use crate::guest_image;
use crate::wait::{GUEST, until};

/// What a server is made of.
#[derive(Clone, Copy, Debug)]
pub struct Boot<'a> {
    pub name: &'a str,
    /// The user that the image lets in.
    pub user: &'a str,
    pub image: &'a str,
    pub flavor: &'a str,
    /// Further arguments of `openstack server create`.
    pub more: &'a str,
}

impl<'a> Boot<'a> {
    /// A small server of the guest image that [`prepare`] puts into the cloud.
    pub fn mini(name: &'a str) -> Self {
        Self { name, user: "updraft", image: "t", flavor: "m1.tiny", more: "" }
    }
}

/// A server that lets us in.
pub struct Guest<'a> {
    cloud: &'a Cloud,
    pub server_id: String,
    pub address: String,
    pub fixed_address: String,
    user: String,
    key: PathBuf,
}

/// Puts into the cloud what every test with a guest needs: image, network, router, key pair, security group, all
/// called `t`.
pub fn prepare(cloud: &Cloud) {
    let key = cloud.state_dir.join("test-key");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&key)
        .status()
        .expect("ssh-keygen runs");
    assert!(made.success());
    let image = guest_image();
    cloud.openstack(&format!(
        "image create t --disk-format qcow2 --container-format bare --file {}",
        image.display()
    ));
    cloud.openstack(&format!("keypair create t --public-key {}.pub", key.display()));
    cloud.openstack("network create t");
    cloud.openstack("subnet create t --network t --subnet-range 10.20.0.0/24");
    cloud.openstack("router create t --external-gateway public");
    cloud.openstack("router add subnet t t");
    cloud.openstack("security group create t");
    cloud.openstack("security group rule create t --protocol icmp");
    cloud.openstack("security group rule create t --protocol tcp --dst-port 22");
}

impl<'a> Guest<'a> {
    /// Creates a small server with a floating IP and waits until it lets us in.
    pub fn boot(cloud: &'a Cloud, name: &str) -> Self {
        let guest = Self::create(cloud, Boot::mini(name));
        guest.await_login(GUEST);
        guest
    }

    /// Creates a server with a floating IP.
    pub fn create(cloud: &'a Cloud, boot: Boot<'_>) -> Self {
        let Boot { name, user, image, flavor, more } = boot;
        let server = cloud.openstack_json(&format!(
            "server create {name} --image {image} --flavor {flavor} --network t --key-name t --security-group t {more}"
        ));
        let server_id = server["id"].as_str().expect("a server has an id").to_owned();
        let port = until("the server has a port", GUEST, || {
            let ports = cloud.openstack_json(&format!("port list --server {server_id}"));
            ports.as_array()?.first().cloned()
        });
        let port_id = port["ID"].as_str().expect("a port has an id");
        let fixed_address =
            port["Fixed IP Addresses"][0]["ip_address"].as_str().unwrap_or_default().to_owned();
        let floating = cloud.openstack_json(&format!("floating ip create public --port {port_id}"));
        let address =
            floating["floating_ip_address"].as_str().expect("a floating IP has an address").to_owned();
        let (user, key) = (user.to_owned(), cloud.state_dir.join("test-key"));
        Self { cloud, server_id, address, fixed_address, user, key }
    }

    /// Waits until the guest lets us in.
    pub fn await_login(&self, limit: Duration) {
        until("the guest lets us in", limit, || self.try_run("true").status.success().then_some(()));
    }

    fn ssh(&self, command: &str) -> Command {
        let mut ssh = self.cloud.outside("ssh");
        ssh.arg("-i").arg(&self.key);
        for option in [
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "LogLevel=ERROR",
            "ConnectTimeout=10",
            "BatchMode=yes",
        ] {
            ssh.args(["-o", option]);
        }
        ssh.arg(format!("{}@{}", self.user, self.address)).arg(command);
        ssh
    }

    /// Runs a shell command in the guest, whatever its exit code.
    pub fn try_run(&self, command: &str) -> Output {
        self.ssh(command).stdin(Stdio::null()).output().expect("ssh runs")
    }

    /// Runs a shell command in the guest and returns what it printed.
    pub fn run(&self, command: &str) -> String {
        let output = self.try_run(command);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "in the guest: {command}: {}\n{errors}", output.status);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Changes with every boot of the guest's kernel.
    pub fn boot_id(&self) -> String {
        self.run("cat /proc/sys/kernel/random/boot_id")
    }

    /// Starts a shell command in the guest whose lines are read while it runs.
    pub fn session(&self, command: &str) -> Session {
        let mut child = self
            .ssh(command)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("ssh runs");
        let lines = child.stdout.take().map(BufReader::new);
        Session { child, lines }
    }
}

/// One SSH session: one TCP connection for as long as it lives.
pub struct Session {
    child: Child,
    /// `None` once somebody else reads them.
    lines: Option<BufReader<ChildStdout>>,
}

impl Session {
    /// The next line; panics when the session has ended.
    pub fn next_line(&mut self) -> String {
        let mut line = String::new();
        let lines = self.lines.as_mut().expect("nobody else reads the lines");
        let length = lines.read_line(&mut line).expect("the session is readable");
        assert!(length > 0, "the SSH session ended: {:?}", self.child.wait());
        line.trim_end().to_owned()
    }

    /// The lines, to be read elsewhere; they end when the session is dropped.
    pub fn take_lines(&mut self) -> impl Iterator<Item = String> + Send + use<> {
        let lines = self.lines.take().expect("the lines are taken once");
        lines.lines().map_while(Result::ok)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
