//! A server that is a process, as the system sees it.

use std::{process::ExitStatus, sync::Arc, time::Duration};

use super::{
    Server,
    binary::{Binary, Said, Special},
    deadline,
    engine::Place,
    server::{Running, blocking},
    within,
};

impl Server {
    /// The number of the process.
    pub fn process_id(&self) -> u32 {
        self.running().binary(0).process_id()
    }

    /// Waits until the process ends by itself; [`Server::restart`] starts it again.
    pub async fn ends(&self) -> ExitStatus {
        let running = Arc::clone(self.running());
        until_end(move || running.binary(0).take_end()).await
    }

    /// A server that does not start with its data at this place: how it ended, and what it said.
    pub async fn refuses(place: &Arc<Place>, special: Special) -> (ExitStatus, String) {
        let said = Said::default();
        let special = Special { said: Some(said.clone()), ..special };
        let place = Arc::clone(place);
        let mut binary = blocking(move || Binary::special(place, special)).await;
        binary.spawn();
        let status = until_end(move || binary.take_end()).await;
        // The last of it may be on its way.
        let spoken = async {
            let mut again = tokio::time::interval(Duration::from_millis(10));
            while !said.text().contains("olmstead: ") {
                again.tick().await;
            }
        };
        within("the server says why", deadline(), spoken).await;
        (status, said.text())
    }
}

async fn until_end(mut end: impl FnMut() -> Option<ExitStatus>) -> ExitStatus {
    let ended = async {
        let mut again = tokio::time::interval(Duration::from_millis(20));
        loop {
            again.tick().await;
            if let Some(status) = end() {
                return status;
            }
        }
    };
    within("the server ends", deadline().max(Duration::from_secs(60)), ended).await
}
