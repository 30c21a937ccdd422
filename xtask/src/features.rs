//! The step `features`: engines are optional, one is required, and none brings another along.

use std::fs;

use crate::Failure;
use crate::engines::Engine;
use crate::process::{UNIFY, capture, cargo, check, describe, olmstead_binary};
use crate::server::{Data, Scratch, Server};

/// What C++ calls everything of RocksDB's, where it is in a binary.
const ROCKSDB_SYMBOL: &[u8] = b"_ZN7rocksdb";

/// Looks at what the builds with one engine and with none consist of.
///
/// # Errors
/// If an engine is where it was not asked for, or a build with no engine does not say one sentence.
pub(crate) fn resolve() -> Result<(), Failure> {
    for engine in Engine::ALL {
        let absent = match engine {
            Engine::RocksDb => ["sqlx", "olmstead_postgres"],
            Engine::Postgres => ["rocksdb", "olmstead_rocksdb"],
        };
        let mut tree = cargo(["tree", "-p", "olmstead", "--no-default-features", "--features", engine.name()])?;
        tree.args(["-e", "normal,build", "--prefix", "none", "--format", "{lib}"]);
        println!("$ {}", describe(&tree));
        let (ok, libraries, errors) = capture(&mut tree)?;
        if !ok {
            return Err(format!("cargo tree failed: {errors}"));
        }
        if let Some(library) = libraries.lines().find(|line| absent.iter().any(|name| line.contains(name))) {
            return Err(format!("with the feature `{}` alone the server still depends on {library}", engine.name()));
        }
        println!("only {}", engine.name());
    }

    let mut build = cargo(["check", "-p", "olmstead", "--no-default-features", "--lib"])?;
    println!("$ {} (must fail)", describe(&build));
    let (ok, _, errors) = capture(&mut build)?;
    println!("{}", no_engine_message(ok, &errors)?);
    Ok(())
}

/// Builds the server with PostgreSQL as its only engine and starts it on the cluster at this URL.
///
/// # Errors
/// If there is something of RocksDB's in it, or it does not serve.
pub(crate) fn postgres_only(cluster: &str) -> Result<(), Failure> {
    // With the whole workspace selected, all dependencies are those of the other builds.
    let mut build = cargo(["build", "--workspace", "--bin", "olmstead"])?;
    build.args(UNIFY).args(["--no-default-features", "--features", "olmstead/postgres"]);
    println!("$ {}", describe(&build));
    check(&mut build)?;
    let scratch = Scratch::new("features")?;
    // The next build puts another binary there.
    let binary = scratch.path().join("olmstead");
    fs::copy(olmstead_binary(false), &binary).map_err(|e| format!("cannot copy the binary: {e}"))?;
    let bytes = fs::read(&binary).map_err(|e| format!("cannot read the binary: {e}"))?;
    if bytes.windows(ROCKSDB_SYMBOL.len()).any(|window| window == ROCKSDB_SYMBOL) {
        return Err("the binary with the feature `postgres` alone has symbols of RocksDB in it".to_owned());
    }
    let result = serves(&binary, cluster, &scratch);
    if result.is_err() {
        scratch.show_log();
    }
    result
}

fn serves(binary: &std::path::Path, cluster: &str, scratch: &Scratch) -> Result<(), Failure> {
    let data = Data::database(cluster)?;
    let server = Server::start(binary, &data, scratch)?;
    if !server.answers("/_matrix/client/versions") {
        return Err("the server with PostgreSQL alone does not answer /_matrix/client/versions".to_owned());
    }
    println!("the binary with PostgreSQL alone has no symbol of RocksDB, starts and answers");
    server.stop()
}

/// The one error of a build with no engine.
fn no_engine_message(ok: bool, errors: &str) -> Result<&str, Failure> {
    if ok {
        return Err("a build with no storage engine must not succeed".to_owned());
    }
    let sentences: Vec<&str> = errors
        .lines()
        .filter(|line| line.starts_with("error") && !line.starts_with("error: could not compile"))
        .collect();
    let names_all = |text: &str| Engine::ALL.iter().all(|engine| text.contains(engine.name()));
    match sentences.as_slice() {
        [one] if one.contains("storage engine") && names_all(one) => Ok(one),
        _ => Err(format!(
            "a build with no engine must stop with one error that says `storage engine` and names the \
             feature flags; it said:\n{errors}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_with_no_engine_says_one_sentence() {
        let good = "error: choose at least one storage engine: enable the feature `rocksdb` or `postgres`\n --> x\n\
                    error: could not compile `olmstead`";
        assert!(no_engine_message(false, good).is_ok());
        assert!(no_engine_message(true, good).is_err());
        assert!(no_engine_message(false, "error: other\n").is_err());
        assert!(no_engine_message(false, &good.replace("postgres", "")).is_err());
        assert!(no_engine_message(false, &format!("{good}\nerror[E0432]: more")).is_err());
    }
}
