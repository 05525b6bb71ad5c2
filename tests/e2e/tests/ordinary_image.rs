//! An image that knows nothing of Updraft: Debian with cloud-init, as its distribution makes it. Both ways by which it
//! can learn what it is, and both ways in which it is asked to stop.
//!
//! Takes minutes without KVM: `make soak` runs it.

#![allow(clippy::unwrap_used, reason = "a test reports by panicking")]

use std::fs;
use std::time::{Duration, Instant};

use updraft_e2e::cache_dir;
use updraft_e2e::cloud::Cloud;
use updraft_e2e::guest::{Boot, Guest, prepare};
use updraft_e2e::wait::until;

const USER_DATA: &str = "#!/bin/sh\necho \"$(id -un) at $(hostname)\" >/var/tmp/user-data\n";
/// An emulated guest with systemd and cloud-init takes minutes for one start on a busy machine.
const ORDINARY: Duration = Duration::from_secs(1800);
/// The root file system must fill the flavor's 4 GiB, but for what a file system takes for itself.
const ROOT_KIB_AT_LEAST: u64 = 3_600_000;

/// What cloud-init, systemd and the kernel say of a first start, one `name=value` a line.
const REPORT: &str = r#"
sudo cloud-init status --wait >/dev/null
echo "cloud-init=$(cloud-init status | sed -n 's/^status: //p')"
echo "cloud=$(cloud-id)"
echo "source=$(sudo cloud-init query subplatform)"
echo "instance=$(sudo cloud-init query instance_id)"
echo "hostname=$(hostname)"
echo "user-data=$(cat /var/tmp/user-data)"
echo "root-kib=$(df --output=size / | tail -n 1 | tr -d ' ')"
echo "failed-units=$(systemctl --failed --no-legend --plain | awk '{ print $1 }' | tr '\n' ' ')"
echo "route=$(ip -4 route show default)"
echo "mtu=$(cat /sys/class/net/"$(ip -4 route show default | sed -n 's/.* dev \([^ ]*\).*/\1/p')"/mtu)"
echo "resolver=$(resolvectl dns | tr '\n' ' ')"
echo "io-errors=$(sudo dmesg | grep -ciE 'I/O error|EXT4-fs error|hung task')"
"#;

struct Report(String);

impl Report {
    fn of(guest: &Guest) -> Self {
        Self(guest.run(REPORT))
    }

    fn value(&self, name: &str) -> &str {
        let found = self.0.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        found.unwrap_or_else(|| panic!("no {name} in:\n{}", self.0)).trim()
    }
}

fn assert_content(report: &Report, guest: &Guest, name: &str, source: &str) {
    assert_eq!(report.value("cloud-init"), "done", "{}", report.0);
    // What cloud-init calls a cloud that it knows by its drive.
    let cloud = if source == "metadata" { "openstack" } else { "configdrive" };
    assert_eq!(report.value("cloud"), cloud, "{}", report.0);
    assert!(report.value("source").starts_with(source), "{}", report.0);
    assert_eq!(report.value("instance"), guest.server_id, "{}", report.0);
    assert_eq!(report.value("hostname"), name, "{}", report.0);
    assert_eq!(report.value("user-data"), format!("root at {name}"), "{}", report.0);
    assert!(report.value("root-kib").parse::<u64>().unwrap() >= ROOT_KIB_AT_LEAST, "{}", report.0);
    assert_eq!(report.value("failed-units"), "", "{}", report.0);
    assert!(report.value("route").contains("via 10.20.0.1"), "{}", report.0);
    assert_eq!(report.value("io-errors"), "0", "{}", report.0);
}

fn reboots_when_asked(cloud: &Cloud, guest: &Guest, name: &str) {
    let before = guest.boot_id();
    guest.run("echo kept >kept && sync");
    cloud.openstack(&format!("server reboot --soft {name}"));
    until("the guest has rebooted", ORDINARY, || {
        let now = guest.try_run("cat /proc/sys/kernel/random/boot_id");
        (now.status.success() && String::from_utf8_lossy(&now.stdout) != before).then_some(())
    });
    assert_eq!(guest.run("cat kept"), "kept\n");
    let journal = guest.run("sudo journalctl -b -1 -u systemd-logind --no-pager");
    assert!(journal.to_lowercase().contains("power key pressed"), "the power button was not seen: {journal}");
}

fn stops_when_asked(cloud: &Cloud, guest: &Guest, name: &str) {
    let status = |wanted: &str| {
        until(&format!("{name} is {wanted}"), ORDINARY, || {
            let server = cloud.openstack_json(&format!("server show {name}"));
            (server["status"] == wanted).then_some(())
        });
    };
    cloud.openstack(&format!("server stop {name}"));
    status("SHUTOFF");
    cloud.openstack(&format!("server start {name}"));
    status("ACTIVE");
    guest.await_login(ORDINARY);
    let last = guest.run("sudo journalctl -b -1 -n 40 --no-pager");
    assert!(last.contains("Power Off") || last.contains("Powering off"), "no orderly shutdown: {last}");
}

#[test]
#[ignore = "minutes without KVM: make soak"]
fn an_ordinary_cloud_image_works() {
    let image = cache_dir().join("guest/debian-12.qcow2");
    assert!(image.is_file(), "{} is missing: run tests/guest/debian/build.sh", image.display());
    let cloud = Cloud::start("ordinary", 2);
    prepare(&cloud);
    let user_data = cloud.state_dir.join("user-data");
    fs::write(&user_data, USER_DATA).unwrap();
    cloud.openstack(&format!(
        "image create debian --disk-format qcow2 --container-format bare --file {}",
        image.display()
    ));
    cloud.openstack("flavor create ordinary --ram 512 --disk 4 --vcpus 1");
    let user_data = format!("--user-data {}", user_data.display());
    let with_drive = format!("{user_data} --config-drive true");
    let cases = [("by-network", user_data.as_str(), "metadata"), ("by-drive", &with_drive, "config-disk")];
    for (name, more, source) in cases {
        let started = Instant::now();
        let boot = Boot { name, user: "debian", image: "debian", flavor: "ordinary", more };
        let guest = Guest::create(&cloud, boot);
        guest.await_login(ORDINARY);
        println!("{name}: lets us in {} s after it was asked for", started.elapsed().as_secs());
        let report = Report::of(&guest);
        println!("{name}: cloud-init done after {} s\n{}", started.elapsed().as_secs(), report.0);
        assert_content(&report, &guest, name, source);
        if source == "metadata" {
            reboots_when_asked(&cloud, &guest, name);
        } else {
            stops_when_asked(&cloud, &guest, name);
        }
        cloud.openstack(&format!("server delete --wait {name}"));
    }
    cloud.await_nothing_amiss();
}
