//! The stream of changes, see [`crate::stream`].

use async_trait::async_trait;
use olmstead_domain::position::Position;
use olmstead_storage::{
    Changes, Result,
    changes::{Changed, Horizon},
};
use tokio::sync::watch;

use crate::RocksStore;

#[async_trait]
impl Changes for RocksStore {
    async fn horizon(&self) -> Result<Horizon> {
        Ok(self.stream().horizon())
    }

    async fn changed(&self, from: Position, to: Position) -> Result<Changed> {
        Ok(self.stream().changed(from, to))
    }

    fn hint(&self) -> watch::Receiver<Position> {
        self.stream().hint()
    }
}
