//! Clusters from the installed PostgreSQL. Tests for machines without it end at once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use olmstead_postgres_cluster::{Cluster, ClusterError, Database, Options, Shutdown, is_installed};

/// In the environment of a process that starts a cluster and then waits to be killed.
const CHILD: &str = "OLMSTEAD_TEST_CLUSTER_CHILD";

fn cluster(options: &Options) -> Option<Cluster> {
    if !is_installed() {
        eprintln!("left out: PostgreSQL is not installed");
        return None;
    }
    Some(Cluster::start(options).unwrap_or_else(|error| panic!("{error}")))
}

/// The directory of the socket in a URL.
fn directory(url: &str) -> &Path {
    Path::new(url.split("host=").nth(1).unwrap().split('&').next().unwrap())
}

/// Asks with psql; the answer without space around it.
fn ask(url: &str, statement: &str) -> String {
    let psql = if Path::new("/usr/bin/psql").exists() { "/usr/bin/psql" } else { "psql" };
    let output = Command::new(psql).args(["-X", "-A", "-t", "-d", url, "-c", statement]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_cluster_serves_survives_a_crash_and_leaves_nothing() {
    let Some(cluster) = cluster(&Options { tcp: true, ..Options::default() }) else { return };
    let maintenance = cluster.url("postgres");
    let home = directory(&maintenance).to_owned();
    let database = Database::create(&maintenance, "test").unwrap();
    ask(database.url(), "CREATE TABLE t (n int); INSERT INTO t VALUES (7)");
    cluster.restart(Shutdown::Immediate).unwrap();
    assert_eq!(ask(database.url(), "SELECT n FROM t"), "7");
    cluster.restart(Shutdown::Fast).unwrap();
    assert_eq!(ask(&cluster.tcp_url("postgres").unwrap(), "SHOW fsync"), "off");
    let count = "SELECT count(*) FROM pg_database WHERE datname LIKE 'test_%'";
    assert_eq!(ask(&maintenance, count), "1");
    drop(database);
    assert_eq!(ask(&maintenance, count), "0");
    assert!(matches!(Database::create("nonsense", "test"), Err(ClusterError::Url(_))));
    cluster.stop();
    assert!(!home.exists());
}

#[test]
fn kept_data_is_there_again() {
    let home = std::env::temp_dir().join(format!("olmstead-kept-{}", std::process::id()));
    let options = Options { durable: true, data: Some(home.clone()), ..Options::default() };
    let Some(first) = cluster(&options) else { return };
    ask(&first.url("postgres"), "CREATE TABLE t (n int); INSERT INTO t VALUES (7)");
    assert!(matches!(Cluster::start(&options), Err(ClusterError::InUse(_))));
    assert_eq!(ask(&first.url("postgres"), "SELECT n FROM t"), "7");
    drop(first);
    let second = Cluster::start(&options).unwrap();
    assert_eq!(ask(&second.url("postgres"), "SELECT n FROM t"), "7");
    assert_eq!(ask(&second.url("postgres"), "SHOW fsync"), "on");
    drop(second);
    std::fs::remove_dir_all(home).unwrap();
}

/// Not a test by itself: what the tests below start and kill.
#[test]
fn child() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let cluster = cluster(&Options::default()).unwrap();
    println!("url={}", cluster.url("postgres"));
    loop {
        std::thread::park();
    }
}

/// A process with a cluster of its own, and the cluster's URL.
fn child_with_cluster() -> (Child, String) {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["child", "--exact", "--nocapture"]).env(CHILD, "1").stdout(Stdio::piped());
    let mut child = child.spawn().unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let line = output.lines().map(Result::unwrap).find(|line| line.contains("url=")).unwrap();
    let url = line.split("url=").nth(1).unwrap().to_owned();
    assert_eq!(ask(&url, "SELECT 1"), "1");
    (child, url)
}

#[test]
fn a_killed_process_leaves_no_server() {
    if !is_installed() {
        return;
    }
    let (mut child, url) = child_with_cluster();
    child.kill().unwrap();
    child.wait().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while directory(&url).exists() {
        assert!(Instant::now() < deadline, "{url} is still there");
        std::thread::yield_now();
    }
}

#[test]
#[cfg(target_os = "linux")]
fn what_even_the_shell_could_not_clean_up_goes_at_the_next_start() {
    if !is_installed() {
        return;
    }
    let (mut child, url) = child_with_cluster();
    let home = directory(&url).to_owned();
    let keeper = std::fs::read_dir("/proc").unwrap().flatten().find(|process| {
        let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        line.contains("read -r ended") && line.contains(home.to_str().unwrap())
    });
    let keeper = keeper.unwrap().file_name().into_string().unwrap();
    assert!(Command::new("sh").args(["-c", "kill -KILL $0", &keeper]).status().unwrap().success());
    child.kill().unwrap();
    child.wait().unwrap();
    let server = std::fs::read_to_string(home.join("data/postmaster.pid")).unwrap();
    let server = Path::new("/proc").join(server.lines().next().unwrap());
    let deadline = Instant::now() + Duration::from_secs(60);
    // The lock is free as soon as the shell is gone, which is soon.
    while home.exists() {
        assert!(Instant::now() < deadline, "{url} is still there");
        drop(cluster(&Options::default()));
    }
    // The server may be a zombie, if nobody waits for it.
    assert!(!server.join("cwd").read_link().is_ok_and(|cwd| cwd.exists()));
}
