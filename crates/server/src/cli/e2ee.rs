//! `olmstead e2ee inspect|doctor|repair`

mod doctor;
mod inspect;
mod repair;

use clap::Subcommand;

use super::api::{Api, ApiError};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// All about the encryption of a user: devices, keys, who signed what, what waits, backups.
    ///
    /// Example: olmstead e2ee inspect @alice:example.org
    Inspect(inspect::Command),
    /// Look for what makes messages undecryptable, with what users see of it and what to do.
    ///
    /// Exits with 1 if something was found.
    ///
    /// Example: olmstead e2ee doctor --user @alice:example.org
    Doctor(doctor::Command),
    /// Make clients do what they failed to do.
    ///
    /// Asks before it acts, and what is done is recorded (`olmstead audit`).
    #[command(subcommand)]
    Repair(repair::Command),
}

impl Command {
    pub(super) async fn run(&self, api: &Api) -> Result<(), ApiError> {
        match self {
            Self::Inspect(command) => command.run(api).await,
            Self::Doctor(command) => command.run(api).await,
            Self::Repair(command) => command.run(api).await,
        }
    }
}
