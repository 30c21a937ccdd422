//! What a server tells an operator.

mod collector;
mod dashboard;
mod metrics;
mod traces;

use std::sync::Arc;

use crate::harness::{Engine, Place, Server, Special, in_place};

/// A process with these settings, and as many on the same store as there can be, two at most.
async fn nodes(settings: impl Fn(usize) -> Vec<(&'static str, String)>) -> Option<Vec<Server>> {
    let place = in_place(|| Arc::new(Place::new(Engine::chosen()))).await;
    let count = if Engine::chosen() == Engine::Postgres { 2 } else { 1 };
    let mut nodes = Vec::new();
    for node in 0..count {
        nodes.push(
            Server::special_process(place.clone(), Special { settings: settings(node), ..Special::default() }).await?,
        );
    }
    Some(nodes)
}
