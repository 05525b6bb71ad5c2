//! Bad input from a tenant: each gets an error that names the thing and the limit, and leaves nothing behind.

#![allow(clippy::unwrap_used, reason = "a test reports by panicking")]

use std::fs;
use std::path::Path;
use std::process::Command;

use updraft_e2e::cloud::Cloud;

fn qemu_img(arguments: &[&str]) {
    let output = Command::new("qemu-img").args(arguments).output().unwrap();
    assert!(output.status.success(), "qemu-img {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn assert_says(complaint: &str, words: &[&str]) {
    let lower = complaint.to_lowercase();
    for word in words {
        assert!(lower.contains(&word.to_lowercase()), "'{word}' is not said in: {complaint}");
    }
}

fn images_are_inspected(cloud: &Cloud, scratch: &Path) {
    let path = |name: &str| scratch.join(name).to_str().unwrap().to_owned();
    fs::write(path("text"), "this is not an image\n".repeat(100)).unwrap();
    qemu_img(&["create", "-q", "-f", "qcow2", &path("real.qcow2"), "8M"]);
    qemu_img(&["create", "-q", "-f", "raw", &path("marker.raw"), "8M"]);
    let backing = path("backing.qcow2");
    qemu_img(&["create", "-q", "-f", "qcow2", "-F", "raw", "-b", &path("marker.raw"), &backing]);

    let create = "image create --container-format bare";
    let complaint =
        cloud.openstack_refused(&format!("{create} --disk-format qcow2 --file {} no1", path("text")));
    assert_says(&complaint, &["qcow2"]);
    let complaint =
        cloud.openstack_refused(&format!("{create} --disk-format raw --file {} no2", path("real.qcow2")));
    assert_says(&complaint, &["qcow2", "raw"]);
    let complaint = cloud.openstack_refused(&format!("{create} --disk-format qcow2 --file {backing} no3"));
    assert_says(&complaint, &["backing"]);
}

fn what_does_not_exist_is_named(cloud: &Cloud) {
    let missing = "5b0e3f0e-0000-4000-8000-000000000000";
    cloud.openstack("network create n");
    cloud.openstack("subnet create n --network n --subnet-range 10.30.0.0/24");
    let complaint = cloud
        .openstack_refused(&format!("server create --image ok --flavor m1.tiny --nic net-id={missing} s1"));
    assert_says(&complaint, &[missing]);
    let complaint = cloud.openstack_refused("server create --image ok --flavor m1.none --network n s2");
    assert_says(&complaint, &["m1.none"]);
    let complaint = cloud.openstack_refused("subnet create n2 --network n --subnet-range 10.30.0.128/25");
    assert_says(&complaint, &["10.30.0.", "overlap"]);
    let complaint = cloud.openstack_refused("router add subnet nowhere n");
    assert_says(&complaint, &["nowhere"]);
}

fn sizes_and_names_are_checked(cloud: &Cloud, scratch: &Path) {
    let large = scratch.join("large.qcow2").to_str().unwrap().to_owned();
    qemu_img(&["create", "-q", "-f", "qcow2", &large, "5G"]);
    cloud
        .openstack(&format!("image create --container-format bare --disk-format qcow2 --file {large} large"));
    let complaint = cloud.openstack_refused("server create --image large --flavor m1.nano --network n s3");
    assert_says(&complaint, &["disk"]);
    cloud.openstack("project create twice");
    let complaint = cloud.openstack_refused("project create twice");
    assert_says(&complaint, &["409"]);
    let complaint = cloud.openstack_refused("flavor create --ram 64 --disk 1 --vcpus 1 m1.nano");
    assert_says(&complaint, &["409"]);
}

#[test]
fn bad_input_is_refused_by_name_and_leaves_nothing() {
    let cloud = Cloud::start("refusals", 1);
    let scratch = cloud.state_dir.join("scratch");
    fs::create_dir(&scratch).unwrap();
    images_are_inspected(&cloud, &scratch);
    let ok = scratch.join("ok.raw");
    fs::write(&ok, vec![0u8; 1 << 20]).unwrap();
    cloud.openstack(&format!(
        "image create --container-format bare --disk-format raw --file {} ok",
        ok.display()
    ));
    what_does_not_exist_is_named(&cloud);
    sizes_and_names_are_checked(&cloud, &scratch);
    assert_eq!(cloud.openstack("server list -f value"), "", "a refused server was left behind");
    cloud.await_nothing_amiss();
}
