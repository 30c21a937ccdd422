//! Doing one thing many times with so many clients at once, and measuring it.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, stream};

use crate::cpu::{Processes, Reading};

/// What a workload took.
#[derive(Debug, Clone, Default)]
pub struct Measured {
    /// How often it was done.
    pub operations: usize,
    /// How long each took, shortest first.
    pub times: Vec<Duration>,
    /// From the first to the last.
    pub wall: Duration,
    /// CPU seconds of the server.
    pub server: f64,
    /// CPU seconds of the database.
    pub database: f64,
    /// Memory of the server at the end, MiB.
    pub memory: f64,
}

impl Measured {
    /// Takes in another measure of the same work.
    pub fn join(&mut self, other: Self) {
        self.operations += other.operations;
        self.times.extend(other.times);
        self.wall += other.wall;
        self.server += other.server;
        self.database += other.database;
        self.memory = other.memory;
    }

    /// This and what followed it, taken as one operation.
    #[must_use]
    pub fn and(self, next: Self) -> Self {
        let wall = self.wall + next.wall;
        Self {
            operations: 1,
            times: vec![wall],
            wall,
            server: self.server + next.server,
            database: self.database + next.database,
            memory: next.memory,
        }
    }

    /// With the shortest time first, after [`Measured::join`].
    #[must_use]
    pub fn sorted(mut self) -> Self {
        self.times.sort_unstable();
        self
    }
}

/// Whose CPU time is measured.
#[derive(Debug, Clone)]
pub struct Meter {
    /// The server, or this program where it is the server.
    pub server: Processes,
    /// The database, if that is another program.
    pub database: Processes,
}

impl Meter {
    /// The CPU time of server and database until now.
    #[must_use]
    pub fn read(&self) -> [Reading; 2] {
        [self.server.read(), self.database.read()]
    }

    /// CPU seconds of server and database from a reading until now.
    #[must_use]
    pub fn since(&self, [server, database]: &[Reading; 2]) -> (f64, f64) {
        (self.server.read().since(server), self.database.read().since(database))
    }

    /// Memory of the server, MiB.
    #[must_use]
    // Memory is far below 2^52 bytes.
    #[allow(clippy::cast_precision_loss)]
    pub fn memory(&self) -> f64 {
        self.server.memory() as f64 / 1_048_576.0
    }

    /// Does `operation` with each of `items`, at most `clients` at once.
    pub async fn measure<T, F: Future>(
        &self,
        clients: usize,
        items: impl IntoIterator<Item = T>,
        operation: impl Fn(T) -> F,
    ) -> (Measured, Vec<F::Output>) {
        let before = self.read();
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
        let (server, database) = self.since(&before);
        let (mut times, outputs): (Vec<_>, Vec<_>) = done.into_iter().unzip();
        times.sort_unstable();
        let measured = Measured { operations: times.len(), times, wall, server, database, memory: self.memory() };
        (measured, outputs)
    }
}

/// Does something with each item, some at once, unmeasured.
pub async fn prepare<T, F: Future>(items: impl IntoIterator<Item = T>, operation: impl Fn(T) -> F) -> Vec<F::Output> {
    prepare_at_once(8, items, operation).await
}

/// Does something with each item, so many at once, unmeasured.
pub async fn prepare_at_once<T, F: Future>(
    at_once: usize,
    items: impl IntoIterator<Item = T>,
    operation: impl Fn(T) -> F,
) -> Vec<F::Output> {
    stream::iter(items.into_iter().map(operation)).buffered(at_once).collect().await
}
