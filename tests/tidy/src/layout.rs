//! The top level is fixed, each of its folders explains itself, each crate says what it is for.

use crate::Finding;

/// Folders of the top level that hold the project; each has a README.
pub const FOLDERS: &[&str] = &["dataplane", "ebpf", "controller", "compute", "storage", "bench", "tests"];

/// What else may lie at the top.
const BESIDE: &[&str] = &[
    ".ci",
    ".config",
    ".gitignore",
    "ARCHITECTURE.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "Makefile",
    "README.md",
    "clippy.toml",
    "deny.toml",
    "rustfmt.toml",
];

/// Files at the top that must be there.
const REQUIRED: &[&str] =
    &["ARCHITECTURE.md", "Cargo.lock", "Cargo.toml", "LICENSE", "Makefile", "README.md"];

/// Checks the paths of all files.
pub fn check(files: &[String]) -> Vec<Finding> {
    let mut tops: Vec<&str> = files.iter().filter_map(|path| path.split('/').next()).collect();
    tops.sort_unstable();
    tops.dedup();
    let unknown = tops.iter().filter(|top| !FOLDERS.contains(top) && !BESIDE.contains(top)).map(|top| {
        format!("{top}: the top level is fixed (tests/tidy/src/layout.rs): move it into one of its folders")
    });
    let missing = |path: String| (!files.contains(&path)).then(|| format!("{path} is missing"));
    let required = REQUIRED.iter().filter_map(|path| missing((*path).to_owned()));
    let readmes = FOLDERS.iter().filter_map(|folder| missing(format!("{folder}/README.md")));
    unknown.chain(required).chain(readmes).collect()
}

/// Checks the description of a crate.
pub fn check_description(folder: &str, description: Option<&str>) -> Option<Finding> {
    // Shorter than this it only repeats the name.
    const SHORTEST: usize = 8;
    let length = description.map_or(0, |text| text.trim().len());
    (length < SHORTEST).then(|| format!("{folder}/Cargo.toml: say in `description` what the crate is for"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete() -> Vec<String> {
        let readmes = FOLDERS.iter().map(|folder| format!("{folder}/README.md"));
        readmes.chain(REQUIRED.iter().map(|path| (*path).to_owned())).collect()
    }

    #[test]
    fn a_folder_too_many_and_a_readme_too_few_are_found() {
        assert_eq!(check(&complete()), Vec::<Finding>::new());
        let mut files = complete();
        files.push("scripts/run.sh".to_owned());
        assert_eq!(check(&files).len(), 1);
        files.retain(|path| path != "storage/README.md");
        assert_eq!(check(&files).len(), 2);
    }

    #[test]
    fn a_crate_says_what_it_is_for() {
        assert_eq!(check_description("a", Some("Ids, addresses, units and limits.")), None);
        assert!(check_description("a", Some("a crate")).is_some());
        assert!(check_description("a", None).is_some());
    }
}
