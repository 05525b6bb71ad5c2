//! What is in the repository: files and packages.

use std::path::PathBuf;
use std::process::Command;

use serde::Deserialize;

/// The root of the checkout, from this package's folder: there `cargo test` runs its tests.
pub fn root() -> PathBuf {
    PathBuf::from("../..")
}

/// Runs a program in the root and returns its output.
///
/// # Panics
/// When the program is missing or fails: nothing can be checked then.
fn output(program: &str, arguments: &[&str]) -> String {
    let result = Command::new(program).args(arguments).current_dir(root()).output();
    let Ok(output) = result else { panic!("{program} cannot be run: {result:?}") };
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Paths (relative to the root) of every file that is or could be committed.
pub fn files() -> Vec<String> {
    let listing = output("git", &["ls-files", "--cached", "--others", "--exclude-standard"]);
    let mut files: Vec<String> =
        listing.lines().filter(|path| root().join(path).is_file()).map(str::to_owned).collect();
    files.sort();
    files.dedup();
    files
}

/// The text of a file, or nothing when it is not text.
pub fn text(path: &str) -> Option<String> {
    std::fs::read_to_string(root().join(path)).ok()
}

/// Every Rust source with its text.
pub fn rust_sources() -> Vec<(String, String)> {
    let sources = files().into_iter().filter(|path| path.ends_with(".rs"));
    sources.filter_map(|path| text(&path).map(|text| (path, text))).collect()
}

/// A package of the workspace, as `cargo metadata` describes it.
#[derive(Debug, Deserialize)]
pub struct Package {
    pub name: String,
    pub description: Option<String>,
    manifest_path: PathBuf,
    pub dependencies: Vec<Dependency>,
    pub targets: Vec<Target>,
}

/// A declared dependency.
#[derive(Debug, Deserialize)]
pub struct Dependency {
    pub name: String,
    /// `dev`, `build`, or nothing for an ordinary one.
    pub kind: Option<String>,
}

/// A library, program, test or bench of a package.
#[derive(Debug, Deserialize)]
pub struct Target {
    pub kind: Vec<String>,
}

impl Package {
    /// The folder of the package relative to the root: `dataplane/blk`.
    pub fn folder(&self) -> String {
        let root = std::fs::canonicalize(root()).unwrap_or_else(|_| root());
        let manifest =
            std::fs::canonicalize(&self.manifest_path).unwrap_or_else(|_| self.manifest_path.clone());
        let folder = manifest.parent().unwrap_or(&manifest);
        folder.strip_prefix(&root).unwrap_or(folder).to_string_lossy().into_owned()
    }

    /// Whether other packages could depend on it at all.
    pub fn has_library(&self) -> bool {
        self.targets.iter().any(|target| target.kind.iter().any(|kind| kind == "lib" || kind == "proc-macro"))
    }
}

/// The workspace's packages in the order of the `members` list.
///
/// # Panics
/// When cargo or the root manifest cannot be read.
pub fn packages() -> Vec<Package> {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Package>,
    }
    let json = output(env!("CARGO"), &["metadata", "--no-deps", "--offline", "--format-version", "1"]);
    let metadata: Result<Metadata, _> = serde_json::from_str(&json);
    let mut packages = metadata.unwrap_or_else(|error| panic!("cargo metadata: {error}")).packages;
    let members = members();
    packages.sort_by_key(|package| members.iter().position(|member| *member == package.folder()));
    packages
}

fn members() -> Vec<String> {
    #[derive(Deserialize)]
    struct Manifest {
        workspace: Workspace,
    }
    #[derive(Deserialize)]
    struct Workspace {
        members: Vec<String>,
    }
    let text = text("Cargo.toml").unwrap_or_default();
    let manifest: Result<Manifest, _> = toml::from_str(&text);
    manifest.unwrap_or_else(|error| panic!("Cargo.toml: {error}")).workspace.members
}
