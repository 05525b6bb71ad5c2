//! The guest image by itself: what tenants and the other tests expect of a cloud image, seen from outside.

#![allow(clippy::expect_used, reason = "a test reports by panicking")]

mod machine;

use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use machine::{Machine, prepare, run};
use serde_json::json;
use updraft_e2e::guest_image;
use updraft_e2e::wait::{GUEST, until};

/// Two emulated machines at once would only slow each other down.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// What the image may weigh (bytes): it is uploaded and copied in every test.
const IMAGE_LIMIT: u64 = 64 << 20;

/// Appends a line to a file that outlives reboots: shows how often it ran.
const USER_DATA: &str = "#!/bin/sh\necho \"$(id -un)\" >>/var/user-data-ran\necho said by user data\n";

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().expect("a file has a folder")).expect("the folder is writable");
    fs::write(path, text).expect("the file is writable");
}

fn public_key(folder: &Path) -> String {
    fs::read_to_string(folder.join("key.pub")).expect("the key was made")
}

/// OpenStack's layout below `folder`/`tree`.
fn write_openstack_metadata(folder: &Path, tree: &str, instance_id: &str, host_name: &str) {
    let metadata = json!({
        "uuid": instance_id, "hostname": host_name, "name": "text with \"quotes\", {braces} and \u{e9}",
        "public_keys": {"first key": public_key(folder)}, "launch_index": 0, "meta": {},
        "keys": [{"name": "first key", "type": "ssh", "data": "not/a key"}],
    });
    write(folder, &format!("{tree}/openstack/latest/meta_data.json"), &metadata.to_string());
    write(folder, &format!("{tree}/openstack/latest/user_data"), USER_DATA);
}

#[test]
fn the_image_is_small() {
    let bytes = fs::metadata(guest_image()).expect("the image can be read").len();
    assert!(bytes <= IMAGE_LIMIT, "{bytes} bytes");
}

#[test]
fn a_guest_with_a_config_drive() {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = prepare("drive", &guest_image());
    write_openstack_metadata(&folder, "tree", "11111111-2222-4333-8444-555555555555", "drive.example.org");
    let (tree, iso) = (folder.join("tree"), folder.join("config.iso"));
    let (tree, iso) = (tree.display().to_string(), iso.display().to_string());
    run("genisoimage", &["-quiet", "-V", "config-2", "-J", "-R", "-o", &iso, &tree]);
    let drive = format!("file={iso},if=none,id=config,format=raw,readonly=on");
    let mut guest =
        Machine::start(&folder, "", &["-drive", &drive, "-device", "virtio-blk-pci,drive=config"]);

    first_boot(&mut guest);
    login_on_the_console(&mut guest);
    disks_come_and_go(&mut guest);
    cards_come_and_go(&mut guest);
    a_lost_link_keeps_the_address(&mut guest);
    a_reset_while_writing_harms_nothing(&mut guest);
    ctrl_alt_del_reboots(&mut guest);

    assert_eq!(guest.ssh("cat /var/user-data-ran"), "root", "user data runs once per instance, not per boot");
    guest.qmp("system_powerdown", &json!({}));
    guest.await_console("power button pressed");
    guest.await_console("root file system is read-only");
    guest.await_end();
    drop(guest);
    fs::remove_dir_all(folder).expect("nobody else uses the folder");
}

fn first_boot(guest: &mut Machine) {
    guest.await_console("metadata from config drive");
    println!("{}", guest.await_console("] ready"));
    guest.await_console("updraft-mini ready\n");
    guest.await_console("drive login:");
    assert_eq!(guest.ssh("hostname -f"), "drive.example.org");
    assert_eq!(guest.ssh("id -un; sudo id -un"), "updraft\nroot");
    assert!(guest.try_ssh("root", &[], "true").status.success(), "root may log in by key");
    let by_password = ["-o", "PubkeyAuthentication=no", "-v"];
    let refused = guest.try_ssh("updraft", &by_password, "true");
    let dialogue = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success(), "no login by SSH without a key");
    let only_keys = dialogue.lines().any(|line| line.trim_end().ends_with("can continue: publickey"));
    assert!(only_keys, "the known password must not work: {dialogue}");
    let root_mib: u32 = guest.ssh("df -m / | awk 'END { print $2 }'").parse().expect("df gives a number");
    assert!(root_mib > 950, "the root file system takes the disk of 1 GiB: {root_mib} MiB");
    until("user data ran", GUEST, || {
        guest.console().contains("user-data finished, exit code 0").then_some(())
    });
    assert!(guest.console().contains("user-data: said by user data"), "its output is on the console");
    let checked = guest.ssh("sudo blkcheck /var/blkcheck 4 1; sudo rm -f /var/blkcheck");
    assert!(checked.ends_with("errors=0"), "{checked}");
    for tool in ["iperf3", "curl", "nc", "lsblk", "mkfs.vfat", "arping", "sha256sum"] {
        guest.ssh(&format!("command -v {tool}"));
    }
}

fn login_on_the_console(guest: &mut Machine) {
    guest.type_line("updraft");
    guest.await_console("Password:");
    guest.type_line("updraft");
    guest.await_console("$ ");
    guest.type_line("echo $((6 * 7)) for $USER");
    guest.await_console("42 for updraft");
    guest.type_line("exit");
    guest.await_console("drive login:");
}

fn disks_come_and_go(guest: &mut Machine) {
    let backing = json!({"driver": "null-co", "size": 64 << 20, "node-name": "extra", "read-zeroes": true});
    guest.qmp("blockdev-add", &backing);
    let device = json!({"driver": "virtio-blk-pci", "id": "disk1", "drive": "extra", "bus": "spare0", "serial": "volume-1"});
    guest.qmp("device_add", &device);
    guest.await_console("disk vdc added, 64 MiB");
    assert_eq!(guest.ssh("readlink -f /dev/disk/by-id/virtio-volume-1"), "/dev/vdc");
    assert_eq!(guest.ssh("lsblk -n -b -o SIZE /dev/vdc"), (64 << 20).to_string());
    guest.qmp("device_del", &json!({"id": "disk1"}));
    guest.await_console("disk vdc removed");
}

fn cards_come_and_go(guest: &mut Machine) {
    guest.qmp("netdev_add", &json!({"type": "user", "id": "net1", "net": "10.0.3.0/24"}));
    let device = json!({"driver": "virtio-net-pci", "id": "card1", "netdev": "net1", "bus": "spare1"});
    guest.qmp("device_add", &device);
    guest.await_console("interface eth1 has 10.0.3.15/24");
    let routes = until("a default route for each card, told apart by metric", GUEST, || {
        let routes = guest.ssh("ip route | grep ^default");
        (routes.lines().count() == 2).then_some(routes)
    });
    assert!(routes.starts_with("default via 10.0.2.2 dev eth0"), "the first card comes first: {routes}");
    guest.qmp("device_del", &json!({"id": "card1"}));
    guest.await_console("interface eth1 removed");
}

fn a_lost_link_keeps_the_address(guest: &mut Machine) {
    let before = guest.ssh("ip -o -4 addr show dev eth0; ip route");
    // While the link is down nothing can ask the guest: a job inside notes what it sees.
    guest.ssh(
        "sudo sh -c 'while [ ! -e /run/seen ]; do grep -q 0 /sys/class/net/eth0/carrier && \
         ip -o -4 addr show dev eth0 >/run/seen.new && mv /run/seen.new /run/seen; sleep 0.1; done; \
         . /usr/lib/updraft/stage; stage link was seen down' >/dev/null 2>&1 </dev/null &",
    );
    guest.qmp("set_link", &json!({"name": "card0", "up": false}));
    guest.await_console("link was seen down");
    guest.qmp("set_link", &json!({"name": "card0", "up": true}));
    assert!(guest.ssh("cat /run/seen").contains("10.0.2.15/24"), "the address stays while the link is down");
    assert_eq!(guest.ssh("ip -o -4 addr show dev eth0; ip route"), before, "and so do the routes");
}

fn a_reset_while_writing_harms_nothing(guest: &mut Machine) {
    guest.ssh(
        "echo before >kept; sync; dd if=/dev/zero of=big bs=64k count=4096 >/dev/null 2>&1 </dev/null &",
    );
    guest.qmp("system_reset", &json!({}));
    let check = guest.await_console("root file system checked");
    assert!(check.contains("(e2fsck 0)"), "the journal makes it clean: {check}");
    guest.await_console("updraft-mini ready\n");
    assert_eq!(guest.ssh("cat kept"), "before");
}

fn ctrl_alt_del_reboots(guest: &mut Machine) {
    guest.await_console("drive login:");
    let keys: Vec<_> =
        ["ctrl", "alt", "delete"].iter().map(|key| json!({"type": "qcode", "data": key})).collect();
    guest.qmp("send-key", &json!({"keys": keys}));
    guest.await_console("root file system is read-only");
    guest.await_console("updraft-mini ready\n");
}

/// Answers one HTTP request from a folder, as QEMU's network calls it for every connection to 169.254.169.254.
const METADATA_SERVER: &str = r#"#!/bin/bash
cd "$(dirname "$0")/service" || exit 1
read -r _ path _
while read -r header && [ "${header%$'\r'}" != "" ]; do :; done
file=.$path
[ -d "$file" ] && file=$file/.list
if [ -f "$file" ]; then
    printf 'HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n' "$(stat -c %s "$file")"
    cat "$file"
else
    printf 'HTTP/1.0 404 Not Found\r\nContent-Length: 0\r\n\r\n'
fi
"#;

#[test]
fn a_guest_with_the_metadata_service() {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = prepare("service", &guest_image());
    write(&folder, "server", METADATA_SERVER);
    write_openstack_metadata(&folder, "service", "aaaaaaaa-2222-4333-8444-555555555555", "served");
    let server = folder.join("server").display().to_string();
    run("chmod", &["+x", &server]);
    let network =
        format!(",net=169.254.0.0/16,dhcpstart=169.254.10.15,guestfwd=tcp:169.254.169.254:80-cmd:{server}");
    let mut guest = Machine::start(&folder, &network, &[]);
    guest.await_console("metadata from http://169.254.169.254");
    let first_host_key = guest.await_console("host key ed25519");
    guest.await_console("served login:");
    assert_eq!(guest.ssh("sudo cat /var/user-data-ran; hostname"), "root\nserved");

    // The same disk as another server, where only the older layout is offered.
    fs::remove_dir_all(folder.join("service")).expect("the service's folder is ours");
    let keys = "service/latest/meta-data/public-keys";
    write(&folder, "service/latest/meta-data/instance-id", "i-0000000b");
    write(&folder, "service/latest/meta-data/hostname", "older.novalocal");
    write(&folder, &format!("{keys}/.list"), "0=first key");
    write(&folder, &format!("{keys}/0/openssh-key"), &public_key(&folder));
    write(&folder, "service/latest/user-data", USER_DATA);
    guest.ssh("sudo rm -f ~/.ssh/authorized_keys ~root/.ssh/authorized_keys; sync");
    guest.qmp("system_reset", &json!({}));
    guest.await_console("instance i-0000000b, host name older, 1 keys");
    let second_host_key = guest.await_console("host key ed25519");
    assert_ne!(
        first_host_key.split_whitespace().last(),
        second_host_key.split_whitespace().last(),
        "a new instance has its own host keys"
    );
    guest.await_console("older login:");
    until("user data ran", GUEST, || (guest.ssh("cat /var/user-data-ran") == "root\nroot").then_some(()));
    drop(guest);
    fs::remove_dir_all(folder).expect("nobody else uses the folder");
}
