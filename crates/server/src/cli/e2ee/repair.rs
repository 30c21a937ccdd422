//! `olmstead e2ee repair`

use clap::{Args, Subcommand};
use olmstead_service::admin::e2ee::repair::{Mend, Request, Response};
use ruma::OwnedUserId;

use crate::cli::{
    api::{Api, ApiError, confirm},
    table::{duration, span},
};

/// How it is done.
#[derive(Debug, Args)]
pub(in crate::cli) struct How {
    /// Only tell what would be done.
    #[arg(long)]
    dry_run: bool,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Command {
    /// Drop all one-time keys of a device, so that it uploads new ones.
    ///
    /// For a client that lost its state and whose keys nobody can use any more. Its fallback key stays until there is a
    /// new one.
    ///
    /// Example: olmstead e2ee repair drop-one-time-keys @alice:example.org ABCDEFGHIJ
    DropOneTimeKeys {
        /// The user's id.
        user: OwnedUserId,
        /// The device.
        device: String,
        #[command(flatten)]
        how: How,
    },
    /// Tell everyone who shares a room with a user that the device list changed, so that their clients ask for it.
    ///
    /// For clients that have old keys of the user's devices.
    ///
    /// Example: olmstead e2ee repair announce-device-list @alice:example.org
    AnnounceDeviceList {
        /// The user's id.
        user: OwnedUserId,
        #[command(flatten)]
        how: How,
    },
    /// Drop old to-device messages that wait for a device. They are lost.
    ///
    /// Example: olmstead e2ee repair drop-inbox @alice:example.org ABCDEFGHIJ --older-than 30d
    DropInbox {
        /// The user's id.
        user: OwnedUserId,
        /// The device.
        device: String,
        /// How old at least: a number and `s`, `m`, `h` or `d`.
        #[arg(long, value_name = "TIME", value_parser = duration)]
        older_than: u64,
        #[command(flatten)]
        how: How,
    },
}

impl Command {
    pub(in crate::cli) async fn run(&self, api: &Api) -> Result<(), ApiError> {
        let (user, how, mend, what) = match self {
            Self::DropOneTimeKeys { user, device, how } => {
                let mend = Mend::DropOneTimeKeys { device_id: device.as_str().into() };
                (user, how, mend, format!("one-time keys of {user} {device}"))
            }
            Self::AnnounceDeviceList { user, how } => {
                (user, how, Mend::AnnounceDeviceList, format!("announcements of the device list of {user}"))
            }
            Self::DropInbox { user, device, older_than, how } => {
                let mend = Mend::DropInbox { device_id: device.as_str().into(), older_than_ms: *older_than };
                (user, how, mend, format!("messages for {user} {device} that are older than {}", span(*older_than)))
            }
        };
        let mut request = Request { user_id: user.clone(), mend, dry_run: true };
        if !how.yes || how.dry_run {
            let answer = api.post("/e2ee/repair", &request).await?;
            if how.dry_run {
                return answer.print(api, |found: Response| println!("Would be about {} {what}.", found.affected));
            }
            let Response { affected, .. } = answer.read()?;
            let verb = if matches!(self, Self::AnnounceDeviceList { .. }) { "Make" } else { "Drop" };
            confirm(&format!("{verb} {affected} {what}?"), false)?;
        }
        request.dry_run = false;
        let answer = api.post("/e2ee/repair", &request).await?;
        answer.print(api, |done: Response| println!("Done: {} {what}.", done.affected))
    }
}
