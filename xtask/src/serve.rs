//! `serve`: a server for development, with one command.

use std::env;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use olmstead_postgres_cluster::{Cluster, Options};

use crate::Failure;
use crate::args::{Args, split_option};
use crate::engines::Engine;
use crate::manifest;
use crate::process::{build_olmstead, check, olmstead_binary, rocksdb_is_built};
use crate::setup::{self, Needs};

const LISTEN: &str = "127.0.0.1:8008";

/// Builds the server and becomes it, so that signals reach it directly.
pub(crate) fn run(mut args: Args) -> Result<(), Failure> {
    let mut release = false;
    let mut engine = None;
    let mut server_args = Vec::new();
    while let Some(arg) = args.next() {
        match split_option(&arg) {
            ("--release", None) => release = true,
            (name @ "--engine", inline) => engine = Some(Engine::parse(&args.value(name, inline)?)?),
            ("--", None) => {
                server_args = args.rest();
                break;
            }
            _ => {
                return Err(format!("unexpected argument `{arg}`: the server's own go after `--`"));
            }
        }
    }
    let configured = configured_keys(&server_args)?;

    let is_set =
        |key: &str| env::var_os(variable(key)).is_some() || configured.iter().any(|configured| covers(configured, key));
    let own_cluster = engine == Some(Engine::Postgres) && !is_set("storage.url");

    setup::run(if own_cluster { Needs::postgres() } else { Needs::build() })?;
    if !rocksdb_is_built(release) {
        println!("This first build compiles RocksDB: about 16 minutes on two cores. Later ones reuse it.");
    }
    check(&mut build_olmstead(release)?)?;

    let mut server = Command::new(olmstead_binary(release));
    server.arg("serve").args(&server_args);
    let mut listens_here = false;
    for (key, value) in defaults() {
        if is_set(key) {
            continue;
        }
        listens_here |= key == "listen";
        server.env(variable(key), value);
    }
    if let Some(engine) = engine {
        server.env(variable("storage.engine"), engine.name());
    }
    if own_cluster {
        let options =
            Options { durable: true, data: Some(data_directory("olmstead-data-postgres")), ..Options::default() };
        let cluster = Cluster::start(&options).map_err(|e| e.to_string())?;
        server.env(variable("storage.url"), cluster.url("postgres"));
        // The server never reads its input, but as long as it has it, PostgreSQL runs.
        server.stdin(cluster.into_leash().map_or_else(Stdio::null, Stdio::from));
    }
    if listens_here {
        announce();
    }
    let failure = server.exec();
    Err(format!("cannot run {}: {failure}", olmstead_binary(release).display()))
}

/// What a development server gets unless the environment or the configuration file says otherwise.
fn defaults() -> [(&'static str, String); 5] {
    let data = data_directory("olmstead-data");
    [
        ("server_name", "localhost".to_owned()),
        ("listen", format!("[\"{LISTEN}\"]")),
        ("storage.engine", "rocksdb".to_owned()),
        ("storage.path", data.display().to_string()),
        ("registration.mode", "open".to_owned()),
    ]
}

/// A directory in the repository's root; relative where that is shorter.
fn data_directory(name: &str) -> PathBuf {
    let here = env::current_dir().unwrap_or_default();
    let root = crate::env::root();
    if here == root { Path::new(".").join(name) } else { root.join(name) }
}

/// The environment variable of a configuration key.
fn variable(key: &str) -> String {
    format!("OLMSTEAD_{}", key.replace('.', "__").to_uppercase())
}

/// Whether a key set in the file also sets `key`: itself, or the table above it.
fn covers(set: &str, key: &str) -> bool {
    key.strip_prefix(set).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// The keys in the file given with `--config`.
fn configured_keys(server_args: &[String]) -> Result<Vec<String>, Failure> {
    let mut args = Args::new(server_args.iter().cloned());
    while let Some(arg) = args.next() {
        let (name, inline) = split_option(&arg);
        if name == "--config" {
            let file = args.value(name, inline)?;
            let text = fs::read_to_string(&file).map_err(|e| format!("cannot read {file}: {e}"))?;
            return Ok(manifest::keys(&text).into_iter().collect());
        }
    }
    Ok(Vec::new())
}

fn announce() {
    println!(
        "
Point a Matrix client at http://{LISTEN} and create an account there, or register with

    curl -X POST http://{LISTEN}/_matrix/client/v3/register -H 'Content-Type: application/json' \\
      -d '{{\"auth\":{{\"type\":\"m.login.dummy\"}},\"username\":\"alice\",\"password\":\"correct horse battery\"}}'
"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_become_variables() {
        assert_eq!(variable("server_name"), "OLMSTEAD_SERVER_NAME");
        assert_eq!(variable("storage.path"), "OLMSTEAD_STORAGE__PATH");
    }

    #[test]
    fn a_table_covers_what_is_in_it() {
        assert!(covers("storage", "storage.path"));
        assert!(covers("storage.path", "storage.path"));
        assert!(!covers("storage.pa", "storage.path"));
    }
}
