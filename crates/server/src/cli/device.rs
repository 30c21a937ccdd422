//! `olmstead device …`

use clap::Subcommand;
use olmstead_service::admin::users::devices::{Device, Response};

use super::{
    api::{Api, ApiError, confirm, encoded},
    table::{maybe_time, table, time},
    user::path,
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// The devices of a user that are logged in.
    ///
    /// Example: olmstead device list @alice:example.org
    List {
        /// An id, or the name of a user of this server.
        user: String,
    },
    /// Log a device out for good, with its keys and what waits for it.
    ///
    /// Example: olmstead device delete @alice:example.org ABCDEFGHIJ
    Delete {
        /// An id, or the name of a user of this server.
        user: String,
        /// The device.
        device: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
}

impl Command {
    pub(super) async fn run(&self, api: &Api) -> Result<(), ApiError> {
        match self {
            Self::List { user } => {
                let answer = api.get(&path(user, "/devices")).await?;
                answer.print(api, |found: Response| print!("{}", devices(&found.devices)))
            }
            Self::Delete { user, device, yes } => {
                let question =
                    format!("Log out {device} of {user} for good? Message keys that are in no backup are lost.");
                confirm(&question, *yes)?;
                let answer = api.delete(&path(user, &format!("/devices/{}", encoded(device)))).await?;
                answer.print(api, |_: serde_json::Value| println!("{device} of {user} is gone."))
            }
        }
    }
}

/// Devices as a table.
pub(super) fn devices(devices: &[Device]) -> String {
    let row = |device: &Device| {
        vec![
            device.device_id.to_string(),
            device.display_name.clone().unwrap_or_default(),
            time(device.created_at),
            maybe_time(device.last_seen_at),
            device.last_seen_ip.clone().unwrap_or_default(),
        ]
    };
    let names = ["device", "name", "created (UTC)", "last seen (UTC)", "from"];
    table(&names, &devices.iter().map(row).collect::<Vec<_>>())
}
