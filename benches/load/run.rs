//! Doing one thing many times with so many clients at once, and measuring it.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, stream};

use crate::cpu::Processes;

/// What a workload took.
#[derive(Debug, Clone, Default)]
pub(crate) struct Measured {
    /// How often it was done.
    pub(crate) operations: usize,
    /// How long each took, shortest first.
    pub(crate) times: Vec<Duration>,
    /// From the first to the last.
    pub(crate) wall: Duration,
    /// CPU seconds of the server.
    pub(crate) server: f64,
    /// CPU seconds of the database.
    pub(crate) database: f64,
    /// Memory of the server at the end, MiB.
    pub(crate) memory: f64,
}

/// Whose CPU time is measured.
#[derive(Debug, Clone)]
pub(crate) struct Meter {
    pub(crate) server: Processes,
    pub(crate) database: Processes,
}

impl Meter {
    /// Does `operation` with each of `items`, at most `clients` at once.
    pub(crate) async fn measure<T, F: Future>(
        &self,
        clients: usize,
        items: impl IntoIterator<Item = T>,
        operation: impl Fn(T) -> F,
    ) -> (Measured, Vec<F::Output>) {
        let before = (self.server.cpu(), self.database.cpu());
        let began = Instant::now();
        let done: Vec<(Duration, F::Output)> = stream::iter(items)
            .map(|item| {
                let operation = operation(item);
                async {
                    let began = Instant::now();
                    let output = operation.await;
                    (began.elapsed(), output)
                }
            })
            .buffer_unordered(clients)
            .collect()
            .await;
        let wall = began.elapsed();
        let (server, database) = (self.server.cpu() - before.0, self.database.cpu() - before.1);
        let (mut times, outputs): (Vec<_>, Vec<_>) = done.into_iter().unzip();
        times.sort_unstable();
        let measured =
            Measured { operations: times.len(), times, wall, server, database, memory: self.server.memory() };
        (measured, outputs)
    }
}

/// Does something with each item, some at once, unmeasured.
pub(crate) async fn prepare<T, F: Future>(
    items: impl IntoIterator<Item = T>,
    operation: impl Fn(T) -> F,
) -> Vec<F::Output> {
    stream::iter(items.into_iter().map(operation)).buffered(8).collect().await
}
