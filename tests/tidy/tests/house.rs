//! The rules applied to this repository.

#![allow(clippy::expect_used, reason = "a test reports by panicking")]

use std::collections::BTreeMap;

use updraft_tidy::advisories::Advisory;
use updraft_tidy::arrows::{self, Crate};
use updraft_tidy::exceptions::{self, Exceptions};
use updraft_tidy::{Finding, advisories, budget, layout, readme, repository, safety, words};

/// All findings at once: whoever mends one wants to see the others.
fn none(findings: Vec<Finding>) {
    assert!(findings.is_empty(), "{} findings\n\n{}\n", findings.len(), findings.join("\n"));
}

fn granted() -> Exceptions {
    let text = repository::text("tests/tidy/exceptions.toml").expect("the list of exceptions is there");
    exceptions::parse(&text).unwrap_or_else(|error| panic!("tests/tidy/exceptions.toml: {error}"))
}

fn crates() -> Vec<Crate> {
    let packages = repository::packages();
    assert!(packages.len() > 10, "cargo metadata shows only {} packages", packages.len());
    let reduce = |package: &repository::Package| {
        let names = |tests_too: bool| {
            let asked =
                package.dependencies.iter().filter(|one| tests_too || one.kind.as_deref() != Some("dev"));
            asked.map(|dependency| dependency.name.clone()).collect()
        };
        Crate {
            folder: package.folder(),
            name: package.name.clone(),
            dependencies: names(true),
            shipped: names(false),
        }
    };
    packages.iter().map(reduce).collect()
}

#[test]
fn arrows_point_down() {
    none(arrows::check(&crates()));
}

#[test]
fn libraries_are_at_home() {
    let mut crates = crates();
    let manifest: toml::Table =
        repository::text("ebpf/Cargo.toml").expect("the programs have a manifest").parse().expect("TOML");
    let dependencies = manifest["dependencies"].as_table().expect("a table").keys().cloned().collect();
    crates.push(Crate {
        folder: "ebpf".to_owned(),
        name: "ebpf".to_owned(),
        shipped: Vec::new(),
        dependencies,
    });
    none(arrows::check_homes(&crates));
}

#[test]
fn the_ebpf_programs_know_only_the_flow_engine() {
    let manifest: toml::Table =
        repository::text("ebpf/Cargo.toml").expect("the programs have a manifest").parse().expect("TOML");
    let dependencies = manifest["dependencies"].as_table().expect("a table");
    let ours = dependencies.iter().filter(|(_, value)| value.get("path").is_some());
    assert_eq!(ours.map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["updraft-flow"]);
}

#[test]
fn files_and_functions_keep_their_budget() {
    let (sources, granted) = (repository::rust_sources(), granted());
    let mut findings: Vec<Finding> =
        sources.iter().flat_map(|(path, text)| budget::check(path, text, &granted)).collect();
    findings.extend(budget::stale(&sources, &granted));
    none(findings);
}

#[test]
fn unsafe_stays_inside_the_walls_and_explains_itself() {
    let (sources, granted) = (repository::rust_sources(), granted());
    let mut findings: Vec<Finding> =
        sources.iter().flat_map(|(path, text)| safety::check(path, text, &granted)).collect();
    findings.extend(safety::stale(&sources, &granted));
    none(findings);
}

#[test]
fn paths_in_documents_exist() {
    let files = repository::files();
    let known = readme::known_paths(&files);
    let documents = files.iter().filter(|path| path.ends_with("README.md") || *path == "ARCHITECTURE.md");
    let texts = documents.filter_map(|path| repository::text(path).map(|text| (path, text)));
    none(texts.flat_map(|(path, text)| readme::check(path, &text, &known)).collect());
}

#[test]
fn the_top_level_is_fixed_and_explained() {
    none(layout::check(&repository::files()));
}

#[test]
fn every_crate_says_what_it_is_for() {
    let packages = repository::packages();
    let check = |package: &repository::Package| {
        layout::check_description(&package.folder(), package.description.as_deref())
    };
    none(packages.iter().filter_map(check).collect());
}

#[test]
fn names_mean_something() {
    none(repository::files().iter().flat_map(|path| words::check_names(path)).collect());
}

#[test]
fn nothing_is_unfinished() {
    none(
        repository::rust_sources()
            .iter()
            .flat_map(|(path, text)| words::check_unfinished(path, text))
            .collect(),
    );
}

#[test]
fn nothing_is_of_one_machine() {
    let files = repository::files();
    let texts = files.iter().filter_map(|path| repository::text(path).map(|text| (path, text)));
    none(texts.flat_map(|(path, text)| words::check_machine(path, &text)).collect());
}

/// The advisories that concern identity and images, 2011 to 2026: none may be dropped from the list.
const ADVISORIES: usize = 66;
/// The rows of our own list that have tests: none may be dropped either.
const THREATS: usize = 43;

#[test]
fn every_advisory_has_a_test_or_a_reason() {
    let all = advisories_of("tests/ossa.toml");
    let concern =
        |service: &str| all.values().filter(|advisory| advisory.service.as_deref() == Some(service)).count();
    assert!(concern("identity") + concern("image") >= ADVISORIES, "an advisory is missing");
    none(advisories::check(&all, repository::text));
}

#[test]
fn every_threat_has_a_test() {
    let all = advisories_of("tests/threats.toml");
    assert!(all.len() >= THREATS, "a threat is missing");
    none(advisories::check(&all, repository::text));
}

fn advisories_of(path: &str) -> BTreeMap<String, Advisory> {
    let text = repository::text(path).expect("the list is there");
    advisories::parse(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}
