//! The dashboard and the alerts ask for what a server measures.

use std::{collections::BTreeSet, path::Path, time::Duration};

use serde_json::json;

use super::metrics::{labels, metrics, serving, work};
use crate::harness::{Server, deadline};

/// Names in a query that are no metrics: functions, keywords, labels, suffixes.
fn names(text: &str) -> BTreeSet<String> {
    let words = text.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'));
    words
        .filter(|word| ["olmstead_", "http_server_"].iter().any(|start| word.starts_with(start)))
        .map(str::to_owned)
        .collect()
}

/// Labels that queries select or group by.
fn asked_labels(text: &str) -> BTreeSet<String> {
    let mut asked = BTreeSet::new();
    for (start, end) in [("by (", ")"), ("without (", ")"), ("{", "}")] {
        for part in text.split(start).skip(1).filter_map(|rest| rest.split(end).next()) {
            let words = part.split(',').map(|word| word.split(['=', '!', '~']).next().unwrap_or_default().trim());
            asked.extend(
                words
                    .filter(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'))
                    .map(str::to_owned),
            );
        }
    }
    asked
}

/// The queries of both files.
fn queries() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy");
    let read = |path: &str| std::fs::read_to_string(root.join(path)).expect("a file");
    let dashboard: serde_json::Value = serde_json::from_str(&read("grafana/olmstead.json")).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().expect("targets"));
    let mut queries: Vec<_> = targets.map(|target| target["expr"].as_str().expect("a query").to_owned()).collect();
    assert!(queries.len() > 10, "{queries:?}");
    let alerts = read("prometheus/alerts.yml");
    let of_alerts: Vec<_> =
        alerts.lines().filter_map(|line| line.trim().strip_prefix("expr: ")).map(str::to_owned).collect();
    assert_eq!(of_alerts.len(), alerts.matches("- alert: ").count());
    queries.extend(of_alerts);
    queries
}

/// Names and labels of what is measured, when the devices were looked at and somebody who waited was woken.
async fn all_measured(server: &Server, address: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let [waiting, busy] = server.users(["waiting", "busy"]).await;
    let mut waiting = waiting.syncing();
    waiting.now().await;
    let mut ticks = tokio::time::interval(Duration::from_millis(200));
    let looked = async {
        loop {
            ticks.tick().await;
            busy.send_to_device("org.example", json!({busy.user_id(): {"*": {}}})).await;
            let text = metrics(address).await;
            let measured = text.lines().filter(|line| !line.starts_with('#'));
            let measured: BTreeSet<_> =
                measured.filter_map(|line| line.split(['{', ' ']).next()).map(str::to_owned).collect();
            if ["olmstead_to_device_inbox_count", "olmstead_wakeups_latency_seconds_count"]
                .iter()
                .all(|name| measured.contains(*name))
            {
                return (measured, labels(&text));
            }
        }
    };
    tokio::select! {
        found = tokio::time::timeout(deadline(), looked) => found.expect("the devices were not looked at"),
        _ = waiting.peek(deadline() * 2) => unreachable!("nothing is for the one who waits"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dashboard_and_alerts_name_what_is_measured() {
    let Some((nodes, address)) = serving().await else { return };
    work(&nodes[0]).await;
    let (measured, known) = all_measured(&nodes[0], &address).await;
    for query in queries() {
        for name in names(&query).into_iter().filter(|name| !known.contains(name)) {
            assert!(measured.contains(&name), "{name}, asked for by\n{query}\nis not among {measured:#?}");
        }
        for label in asked_labels(&query) {
            assert!(known.contains(&label), "the label {label}, asked for by\n{query}\nis not among {known:?}");
        }
    }
}
