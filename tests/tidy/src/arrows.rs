//! Arrows between crates point down: binaries, edges, behaviour, walls, leaves; controller, compute, storage,
//! dataplane. And a library is used only where it is at home.

use crate::Finding;

/// What a crate is for, lowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// Contracts and leaves: types and pure functions.
    Leaf,
    /// Around `unsafe` or SQL.
    Wall,
    Behaviour,
    /// Speaks HTTP.
    Edge,
    Binary,
    /// Depends on what it likes; nobody depends on it.
    Outside,
    /// Starts other people's servers: for any crate's tests, and for what is outside; it depends on none of ours.
    Harness,
}

use Layer::{Behaviour, Binary, Edge, Harness, Leaf, Outside, Wall};

/// Every folder that may hold a crate, with its layer (ARCHITECTURE.md, "Crates and arrows").
const LAYERS: &[(&str, Layer)] = &[
    ("dataplane/base", Leaf),
    ("dataplane/api", Leaf),
    ("dataplane/flow", Leaf),
    ("dataplane/virtio", Wall),
    ("dataplane/uring", Wall),
    ("dataplane/vhost", Wall),
    ("dataplane/xdp", Wall),
    ("dataplane/blk", Behaviour),
    ("dataplane/net", Behaviour),
    ("dataplane/netd", Binary),
    ("storage/volume", Behaviour),
    ("storage/object", Behaviour),
    ("storage/blkd", Binary),
    ("storage/gateway", Binary),
    ("compute/api", Leaf),
    ("compute/sim", Behaviour),
    ("compute/agent", Binary),
    ("controller/token", Leaf),
    ("controller/model", Leaf),
    ("controller/wire", Leaf),
    ("controller/store", Wall),
    ("controller/bus", Wall),
    ("controller/core", Behaviour),
    ("controller/api", Edge),
    ("controller/server", Binary),
    ("bench", Outside),
    ("tests/tidy", Outside),
    ("tests/e2e", Outside),
    ("tests/peers", Harness),
];

/// Folders from the bottom up; an arrow never goes up.
const FOLDERS: &[&str] = &["dataplane", "storage", "compute", "controller"];

/// Libraries with a home: nobody else may name them in a manifest.
const HOMES: &[(&str, &[&str])] = &[
    ("sqlx", &["controller/store"]),
    // And in the harness: whoever hears us outside must not be our own code.
    ("lapin", &["controller/bus", "tests/peers"]),
    ("axum", &["controller/api", "controller/server", "compute/agent", "storage/gateway"]),
    ("aya", &["dataplane/xdp"]),
    ("aya-obj", &["dataplane/xdp"]),
    ("aya-ebpf", &["ebpf"]),
    ("io-uring", &["dataplane/uring"]),
    ("tokio-uring", &["storage/object"]),
    ("vhost", &["dataplane/virtio", "dataplane/vhost", "bench"]),
    ("vhost-user-backend", &["dataplane/vhost"]),
    ("virtio-queue", &["dataplane/virtio", "dataplane/vhost", "bench"]),
    ("vm-memory", &["dataplane/virtio", "dataplane/vhost", "bench"]),
];

/// A crate reduced to what the rules look at.
#[derive(Clone, Debug)]
pub struct Crate {
    pub folder: String,
    pub name: String,
    /// Names of all declared dependencies, for tests and build scripts as well.
    pub dependencies: Vec<String>,
    /// Those of them that are more than a test's.
    pub shipped: Vec<String>,
}

fn layer_of(folder: &str) -> Option<Layer> {
    LAYERS.iter().find(|(known, _)| *known == folder).map(|(_, layer)| *layer)
}

fn rank_of(folder: &str) -> Option<usize> {
    let top = folder.split('/').next().unwrap_or(folder);
    FOLDERS.iter().position(|known| *known == top)
}

/// Checks every arrow between `crates`, which stand in the order of the workspace's `members`.
pub fn check(crates: &[Crate]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (position, from) in crates.iter().enumerate() {
        if layer_of(&from.folder).is_none() {
            findings.push(format!(
                "{}: unknown crate: give it a layer in tests/tidy/src/arrows.rs and a line in ARCHITECTURE.md",
                from.folder
            ));
        }
        for name in &from.dependencies {
            let Some(target) = crates.iter().position(|candidate| candidate.name == *name) else { continue };
            if target == position {
                continue;
            }
            let complaint = arrow(from, &crates[target]).or_else(|| {
                (target > position).then(|| {
                    "stands below it in the members list of Cargo.toml: reading order is dependency order"
                        .to_owned()
                })
            });
            if let Some(complaint) = complaint {
                findings.push(format!("{} -> {}: {complaint}", from.folder, crates[target].folder));
            }
        }
    }
    findings
}

/// What is wrong with an arrow, if anything.
fn arrow(from: &Crate, to: &Crate) -> Option<String> {
    let (above, below) = (layer_of(&from.folder)?, layer_of(&to.folder)?);
    if above == Harness {
        return Some("the harness knows none of our crates".to_owned());
    }
    if below == Harness {
        let is_fine = above == Outside || !from.shipped.contains(&to.name);
        return (!is_fine).then(|| "belongs into [dev-dependencies]".to_owned());
    }
    if below >= Binary {
        return Some(
            "nobody depends on a binary, a bench or a test: move what is shared into a library below both"
                .to_owned(),
        );
    }
    if above == Outside {
        return None;
    }
    let (from_rank, to_rank) = (rank_of(&from.folder)?, rank_of(&to.folder)?);
    if to_rank > from_rank {
        return Some(
            "goes up: controller, compute, storage, dataplane is the order of the folders".to_owned(),
        );
    }
    let same_folder = to_rank == from_rank;
    if below > above || (same_folder && below == above && below > Wall) {
        return Some(format!("{above:?} may not depend on {below:?}: arrows point down (ARCHITECTURE.md)"));
    }
    let control_plane = from_rank > 1;
    if control_plane && to_rank == 0 && below != Leaf {
        return Some(
            "controller and compute know the data plane by its contracts only (dataplane/api)".to_owned(),
        );
    }
    None
}

/// Checks that libraries are used only at home.
pub fn check_homes(crates: &[Crate]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in crates {
        for dependency in &package.dependencies {
            let Some((_, homes)) = HOMES.iter().find(|(library, _)| library == dependency) else { continue };
            if !homes.contains(&package.folder.as_str()) {
                findings.push(format!(
                    "{}: {dependency} is at home in {}: use what that crate offers",
                    package.folder,
                    homes.join(", ")
                ));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(folder: &str, dependencies: &[&str]) -> Crate {
        Crate {
            folder: folder.to_owned(),
            name: folder.to_owned(),
            dependencies: dependencies.iter().map(|name| (*name).to_owned()).collect(),
            shipped: dependencies.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    /// The complaint about the arrow between two crates that stand in the right order.
    fn complaint(from: &str, to: &str) -> Vec<Finding> {
        check(&[package(to, &[]), package(from, &[to])])
    }

    #[test]
    fn arrows_that_point_down_pass() {
        for (from, to) in [
            ("controller/server", "controller/api"),
            ("controller/api", "controller/core"),
            ("controller/core", "compute/api"),
            ("controller/core", "storage/volume"),
            ("controller/model", "dataplane/base"),
            ("storage/volume", "dataplane/blk"),
            ("dataplane/uring", "dataplane/virtio"),
            ("bench", "dataplane/net"),
        ] {
            assert_eq!(complaint(from, to), Vec::<Finding>::new(), "{from} -> {to}");
        }
    }

    #[test]
    fn arrows_that_do_not_are_found() {
        for (from, to) in [
            ("controller/core", "controller/api"),
            ("controller/store", "controller/core"),
            ("dataplane/base", "dataplane/virtio"),
            ("dataplane/net", "dataplane/blk"),
            ("dataplane/api", "compute/api"),
            ("compute/agent", "controller/model"),
            ("compute/agent", "dataplane/net"),
            ("controller/core", "dataplane/blk"),
            ("controller/server", "compute/agent"),
            ("dataplane/netd", "bench"),
        ] {
            assert_eq!(complaint(from, to).len(), 1, "{from} -> {to}");
        }
    }

    #[test]
    fn the_harness_is_for_tests() {
        let harness = package("tests/peers", &[]);
        let mut user = package("controller/store", &["tests/peers"]);
        assert_eq!(check(&[harness.clone(), user.clone()]).len(), 1);
        user.shipped.clear();
        assert_eq!(check(&[harness.clone(), user]), Vec::<Finding>::new());
        assert_eq!(check(&[harness, package("bench", &["tests/peers"])]), Vec::<Finding>::new());
        assert_eq!(complaint("tests/peers", "controller/store").len(), 1);
    }

    #[test]
    fn the_members_list_is_in_reading_order() {
        let crates = [package("dataplane/uring", &["dataplane/virtio"]), package("dataplane/virtio", &[])];
        assert!(check(&crates)[0].contains("reading order"));
    }

    #[test]
    fn a_crate_nobody_planned_is_found() {
        assert_eq!(check(&[package("controller/extra", &[])]).len(), 1);
    }

    #[test]
    fn a_library_away_from_home_is_found() {
        assert_eq!(check_homes(&[package("controller/core", &["sqlx", "serde"])]).len(), 1);
        assert_eq!(check_homes(&[package("controller/store", &["sqlx", "serde"])]).len(), 0);
    }
}
