//! A store that is watched: every command is a span and a measurement, whatever the engine.

mod e2ee;
mod rooms;
mod users;

use std::{path::Path, time::Instant};

use async_trait::async_trait;
use olmstead_domain::position::Position;
use olmstead_storage::{
    Changes, Maintenance, Result, SharedStorage, Storage, StorageError,
    changes::{Changed, Horizon},
    maintenance::StoreFacts,
};
use opentelemetry::KeyValue;
use tokio::sync::watch;
use tracing::{Instrument as _, Span, field::Empty};

use crate::{Health, Telemetry};

/// A store around another that measures its commands. Reads and writes are those of the store within.
pub(crate) struct Observed {
    inner: SharedStorage,
    telemetry: Telemetry,
    engine: &'static str,
}

/// Forwards methods of a storage trait, each watched under its name; what is done otherwise comes last, after a `+`.
macro_rules! watched {
    (
        $trait:ident:
        $($name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*
        $(+ { $($other:tt)* })?
    ) => {
        #[async_trait]
        impl $trait for Observed {
            $(
                async fn $name(&self, $($argument: $type),*) -> Result<$answer> {
                    self.watch(stringify!($name), self.inner.$name($($argument),*)).await
                }
            )*
            $($($other)*)?
        }
    };
}
use watched;

impl Observed {
    pub(crate) fn new(inner: SharedStorage, telemetry: Telemetry) -> Self {
        let engine = inner.engine();
        Self { inner, telemetry, engine }
    }

    fn health(&self) -> &Health {
        self.telemetry.health()
    }

    async fn watch<T>(&self, command: &'static str, work: impl Future<Output = Result<T>> + Send) -> Result<T> {
        // Of what the server does by itself, day and night, there would be nothing to learn from a span.
        let span = if Span::current().is_none() {
            Span::none()
        } else {
            tracing::debug_span!(
                "storage",
                otel.name = command,
                otel.kind = "client",
                otel.status_code = Empty,
                db.system.name = self.engine,
                db.operation.name = command,
                outcome = Empty,
            )
        };
        let began = Instant::now();
        let answer = work.instrument(span.clone()).await;
        let outcome = outcome(&answer);
        span.record("outcome", outcome);
        mark(&span, &answer);
        let labels = [
            KeyValue::new("command", command),
            KeyValue::new("engine", self.engine),
            KeyValue::new("outcome", outcome),
        ];
        self.telemetry.meters().storage.record(began.elapsed().as_secs_f64(), &labels);
        answer
    }
}

/// How a command went, in few words.
fn outcome<T>(answer: &Result<T>) -> &'static str {
    match answer {
        Ok(_) => "ok",
        Err(StorageError::Conflict) => "conflict",
        Err(StorageError::Unavailable { .. }) => "unavailable",
        Err(StorageError::Refused { .. }) => "refused",
        Err(StorageError::Corrupt { .. }) => "corrupt",
    }
}

fn mark<T>(span: &Span, answer: &Result<T>) {
    if answer.is_err() {
        span.record("otel.status_code", "ERROR");
    }
}

#[async_trait]
impl Changes for Observed {
    async fn horizon(&self) -> Result<Horizon> {
        self.watch("horizon", self.inner.horizon()).await
    }

    async fn changed(&self, from: Position, to: Position) -> Result<Changed> {
        self.watch("changed", self.inner.changed(from, to)).await
    }

    fn hint(&self) -> watch::Receiver<Position> {
        self.inner.hint()
    }
}

#[async_trait]
impl Maintenance for Observed {
    async fn store_facts(&self) -> Result<StoreFacts> {
        self.watch("store_facts", self.inner.store_facts()).await
    }

    async fn checkpoint(&self, directory: &Path) -> Result<Option<StoreFacts>> {
        self.watch("checkpoint", self.inner.checkpoint(directory)).await
    }

    async fn failed(&self) -> String {
        self.inner.failed().await
    }
}

#[async_trait]
impl Storage for Observed {
    fn engine(&self) -> &'static str {
        self.engine
    }

    async fn signing_key(&self, fresh: ([u8; 32], String)) -> Result<([u8; 32], String)> {
        self.watch("signing_key", self.inner.signing_key(fresh)).await
    }

    async fn server_name(&self, name: &str) -> Result<String> {
        self.watch("server_name", self.inner.server_name(name)).await
    }

    async fn ping(&self) -> Result<()> {
        self.watch("ping", self.inner.ping()).await
    }

    async fn close(&self) -> Result<()> {
        self.watch("close", self.inner.close()).await
    }
}
