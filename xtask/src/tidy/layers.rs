//! The layer rule: who may depend on whom within the workspace. No layer knows the one above it.

use crate::manifest::{self, Kind};

const DOMAIN: &str = "olmstead-domain";
const STORAGE: &str = "olmstead-storage";
const CONFORMANCE: &str = "olmstead-conformance";
const TELEMETRY: &str = "olmstead-telemetry";
/// Positions and wake-ups, without anything else.
const SEQUENCE: &str = "olmstead-sequence";
const SERVICE: &str = "olmstead-service";
const SERVER: &str = "olmstead";
const HTTP: &str = "olmstead-http";
const ROCKSDB: &str = "olmstead-rocksdb";
const POSTGRES: &str = "olmstead-postgres";
/// In no product.
const FUZZ_TARGETS: &str = "olmstead-fuzz-targets";
/// Starts PostgreSQL for tests and development; in no product.
const CLUSTER: &str = "olmstead-postgres-cluster";

/// What a package may use of the workspace.
struct Rule {
    /// In the product.
    normal: &'static [&'static str],
    /// In addition, in its tests.
    dev: &'static [&'static str],
}

/// The rule of a package; `None` if nobody has decided its place yet.
fn rule(path: &str, name: &str) -> Option<Rule> {
    if path.starts_with("backends/") {
        return Some(Rule { normal: &[STORAGE, DOMAIN, SEQUENCE], dev: &[CONFORMANCE, CLUSTER] });
    }
    match name {
        DOMAIN => Some(Rule { normal: &[], dev: &[] }),
        SEQUENCE => Some(Rule { normal: &[], dev: &[] }),
        STORAGE => Some(Rule { normal: &[DOMAIN], dev: &[] }),
        CONFORMANCE => Some(Rule { normal: &[STORAGE, DOMAIN], dev: &[] }),
        TELEMETRY => Some(Rule { normal: &[STORAGE, DOMAIN], dev: &[] }),
        SERVICE => Some(Rule { normal: &[TELEMETRY, STORAGE, DOMAIN, SEQUENCE], dev: &[CONFORMANCE] }),
        CLUSTER => Some(Rule { normal: &[], dev: &[] }),
        HTTP => Some(Rule { normal: &[SERVICE, TELEMETRY, STORAGE, DOMAIN], dev: &[CONFORMANCE] }),
        // Looks into every layer that reads what comes from outside, and into the engines' keys.
        FUZZ_TARGETS => Some(Rule { normal: &[HTTP, SERVICE, DOMAIN, ROCKSDB, POSTGRES], dev: &[] }),
        _ => None,
    }
}

/// Checks every manifest, given as path and text.
pub(super) fn check(manifests: &[(String, String)]) -> Vec<String> {
    manifests.iter().flat_map(|(path, text)| check_one(path, text)).collect()
}

fn check_one(path: &str, text: &str) -> Vec<String> {
    let (Some(name), dependencies) = manifest::package(text) else {
        return Vec::new();
    };
    // The top of the house: it may know everything.
    if matches!(name.as_str(), "olmstead-benches" | "olmstead-drills" | "olmstead-fuzz" | "xtask") {
        return Vec::new();
    }
    let ours = dependencies.iter().filter(|(_, dependency)| is_ours(dependency) && *dependency != name);
    if name == SERVER {
        return ours
            .filter(|(_, dependency)| matches!(dependency.as_str(), "olmstead-benches" | "olmstead-drills" | "xtask"))
            .map(|(_, dependency)| format!("{path}: the server must not depend on {dependency}"))
            .collect();
    }
    let Some(rule) = rule(path, &name) else {
        return vec![format!("{path}: the layer rule does not know {name}; give it a place in it")];
    };
    ours.filter(|(kind, dependency)| {
        let named = |list: &[&str]| list.contains(&dependency.as_str());
        !(named(rule.normal) || *kind == Kind::Dev && named(rule.dev))
    })
    .map(|(kind, dependency)| {
        let tests = if *kind == Kind::Dev { " in its tests" } else { "" };
        format!("{path}: {name} must not depend on {dependency}{tests}")
    })
    .collect()
}

fn is_ours(name: &str) -> bool {
    name == SERVER || name == "xtask" || name.starts_with("olmstead-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(path: &str, name: &str, sections: &str) -> usize {
        check_one(path, &format!("[package]\nname = \"{name}\"\n{sections}")).len()
    }

    #[test]
    fn arrows_point_down_only() {
        let on = |name: &str| format!("[dependencies]\n{name}.workspace = true\nserde = \"1\"\n");
        assert_eq!(problems("crates/domain/Cargo.toml", DOMAIN, &on(STORAGE)), 1);
        assert_eq!(problems("crates/storage/Cargo.toml", STORAGE, &on(DOMAIN)), 0);
        assert_eq!(problems("crates/storage/Cargo.toml", STORAGE, &on(SERVICE)), 1);
        assert_eq!(problems("crates/service/Cargo.toml", SERVICE, &on("olmstead-http")), 1);
        assert_eq!(problems("crates/http/Cargo.toml", "olmstead-http", &on(SERVICE)), 0);
        assert_eq!(problems("crates/http/Cargo.toml", "olmstead-http", &on("olmstead-rocksdb")), 1);
        assert_eq!(problems("crates/server/Cargo.toml", SERVER, &on("olmstead-rocksdb")), 0);
        assert_eq!(problems("crates/server/Cargo.toml", SERVER, &on("xtask")), 1);
        assert_eq!(problems("crates/http/Cargo.toml", "olmstead-http", &on(SERVER)), 1);
        assert_eq!(problems("benches/Cargo.toml", "olmstead-benches", &on(SERVER)), 0);
    }

    #[test]
    fn a_backend_sees_the_suite_in_its_tests_only() {
        let (path, name) = ("backends/rocksdb/Cargo.toml", "olmstead-rocksdb");
        assert_eq!(problems(path, name, "[dev-dependencies]\nolmstead-conformance.workspace = true"), 0);
        assert_eq!(problems(path, name, "[dependencies]\nolmstead-conformance.workspace = true"), 1);
    }

    #[test]
    fn a_new_crate_needs_a_place() {
        assert_eq!(problems("crates/new/Cargo.toml", "olmstead-new", ""), 1);
    }
}
