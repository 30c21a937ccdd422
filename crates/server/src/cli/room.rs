//! `olmstead room …`

use clap::Subcommand;
use olmstead_service::admin::rooms::{Response, Room, RoomReport};
use ruma::OwnedRoomId;

use super::{
    api::{Api, ApiError, encoded},
    table::{facts, maybe_time, table},
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Rooms in order of their ids, all of them unless --limit is given.
    ///
    /// Example: olmstead room list --limit 50
    List {
        /// How many at most; all when absent.
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
        /// Rooms after this one.
        #[arg(long, value_name = "ROOM")]
        from: Option<OwnedRoomId>,
    },
    /// All about a room but what was said there.
    ///
    /// Example: olmstead room show '!abc:example.org'
    Show {
        /// The id.
        room: OwnedRoomId,
    },
}

impl Command {
    pub(super) async fn run(&self, api: &Api) -> Result<(), ApiError> {
        match self {
            Self::List { limit, from } => {
                let from = from.as_ref().map(ToString::to_string);
                let page = |page: Response| (page.rooms, page.next.map(|room| room.to_string()));
                let (rooms, next) = api.pages("/rooms", from, *limit, page).await?;
                if api.is_json() {
                    return api.print_json(&serde_json::json!({"rooms": rooms, "next": next}));
                }
                print!("{}", table(&NAMES, &rooms.iter().map(row).collect::<Vec<_>>()));
                if let Some(next) = next {
                    println!("There may be more: --from '{next}'");
                }
                Ok(())
            }
            Self::Show { room } => {
                let answer = api.get(&format!("/rooms/{}", encoded(room.as_str()))).await?;
                answer.print(api, |room: RoomReport| print!("{}", shown(&room)))
            }
        }
    }
}

const NAMES: [&str; 6] = ["room", "name", "version", "encrypted", "members", "last activity (UTC)"];

fn row(room: &Room) -> Vec<String> {
    vec![
        room.room_id.to_string(),
        name(room),
        room.version.clone(),
        if room.encrypted { "yes" } else { "no" }.to_owned(),
        room.joined.to_string(),
        maybe_time(room.last_activity),
    ]
}

fn name(room: &Room) -> String {
    room.name.clone().or_else(|| room.canonical_alias.clone()).unwrap_or_default()
}

fn shown(report: &RoomReport) -> String {
    let room = &report.room;
    let encryption = match (room.encrypted, &report.algorithm) {
        (true, Some(algorithm)) => algorithm.clone(),
        (true, None) => "on".to_owned(),
        (false, _) => "off".to_owned(),
    };
    let mut text = facts(&[
        ("room", room.room_id.to_string()),
        ("name", room.name.clone().unwrap_or_default()),
        ("alias", room.canonical_alias.clone().unwrap_or_default()),
        ("topic", report.topic.clone().unwrap_or_default()),
        ("version", room.version.clone()),
        ("encryption", encryption),
        ("last activity (UTC)", maybe_time(room.last_activity)),
        ("replaced by", report.replaced_by.clone().unwrap_or_default()),
        ("joined", room.joined.to_string()),
        ("invited", room.invited.to_string()),
    ]);
    let members: Vec<_> = report.members.iter().map(|user| vec![user.to_string()]).collect();
    if !members.is_empty() {
        text.push('\n');
        text.push_str(&table(&["member"], &members));
    }
    text
}
