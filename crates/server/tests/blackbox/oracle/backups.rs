//! Key backups: versions made, changed and deleted, keys put one by one and in bulk, read and deleted.

use std::collections::BTreeMap;

use olmstead_conformance::{
    driver::{Trial, same},
    oracle::backups::{Backups, Key, Outcome, Place},
    random::Random,
};
use serde_json::{Value, json};

use crate::harness::{Client, Response, Server, at};

const USERS: usize = 2;
const ROOMS: [&str; 3] = ["!a:example.org", "!ab:example.org", "!a/b%2F:example.org"];
const SESSIONS: [&str; 4] = ["s", "s/1", "s+=", "ß s"];

/// Numbers of a room and a session.
type At = (usize, usize);

/// BKP-1, BKP-2, BKP-3, BKP-4, BKP-5, BKP-8, BKP-9, BKP-10, BKP-12, BKP-13, BKP-14, BKP-15, BKP-16, BKP-17, BKP-18, BKP-20,
/// BKP-21, BKP-22, BKP-23, BKP-24, BKP-25, BKP-26, BKP-27, BKP-28, BKP-32: over 10,000 random steps every version holds the
/// keys that the rule chooses, and says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backups_are_as_predicted() {
    super::check("backups", World::new).await;
}

#[derive(Debug, Clone)]
enum Command {
    Create(usize),
    Update(usize, usize),
    Delete(usize, usize),
    /// By how many members the path is narrowed: all rooms, one room, one session.
    Put(usize, usize, usize, BTreeMap<At, (bool, u64, u64)>),
    DeleteKeys(usize, usize, usize, At),
    Read(usize, usize, usize, At),
    Newest(usize),
}

struct User {
    client: Client,
    backups: Backups,
    /// What the server calls the versions.
    names: Vec<String>,
    /// The etag of each version, and how often its keys had changed then.
    etags: BTreeMap<usize, (String, u64)>,
}

struct World {
    users: Vec<User>,
    made: u64,
}

impl World {
    async fn new(server: Server) -> Self {
        let clients: [Client; USERS] = server.users(["alice", "bob"]).await;
        let user = |client| User { client, backups: Backups::default(), names: Vec::new(), etags: BTreeMap::new() };
        Self { users: clients.into_iter().map(user).collect(), made: 0 }
    }
}

impl User {
    /// A version: the newest that was made, or one so many before it; none of ours beyond the first.
    fn number(&self, back: usize) -> (usize, String) {
        let number = self.names.len().checked_sub(back + 1);
        let number = number.unwrap_or(self.names.len() + 7);
        (number, self.names.get(number).cloned().unwrap_or_else(|| "9999999".to_owned()))
    }

    /// Holds `etag` and `count` against the oracle: the etag is another exactly if the keys changed.
    fn check_state(&mut self, number: usize, answer: &Value) -> Result<(), String> {
        let version = self.backups.version(number).ok_or("the oracle has no such version")?;
        same("count", answer["count"].as_u64(), u64::try_from(version.keys.len()).ok())?;
        let etag = answer["etag"].as_str().ok_or("no etag")?.to_owned();
        let now = (etag, version.changes);
        match self.etags.insert(number, now.clone()) {
            Some(before) if (before.0 == now.0) != (before.1 == now.1) => Err(format!("etag {before:?}, then {now:?}")),
            _ => Ok(()),
        }
    }

    fn check_outcome(&mut self, number: usize, outcome: Outcome, answer: &Response) -> Result<(), String> {
        match outcome {
            Outcome::Done => {
                same("status", answer.status, 200)?;
                self.check_state(number, &answer.json())
            }
            Outcome::NotFound => same("error", (answer.status, answer.errcode().as_str()), (404, "M_NOT_FOUND")),
            Outcome::NotCurrent(current) => {
                let code = answer.errcode();
                same("error", (answer.status, code.as_str()), (403, "M_WRONG_ROOM_KEYS_VERSION"))?;
                same("current_version", answer.json()["current_version"].as_str(), Some(&self.names[current]))
            }
        }
    }

    fn check_info(&mut self, number: usize, answer: &Response) -> Result<(), String> {
        let Some(version) = self.backups.version(number) else {
            return same("error", (answer.status, answer.errcode().as_str()), (404, "M_NOT_FOUND"));
        };
        let info = answer.json();
        same("version", info["version"].as_str(), Some(&self.names[number]))?;
        same("algorithm", info["algorithm"].as_str(), Some("m.megolm_backup.v1.curve25519-aes-sha2"))?;
        same("auth_data", info["auth_data"]["n"].as_u64(), Some(version.auth_data))?;
        self.check_state(number, &info)
    }
}

fn auth_data(number: u64) -> Value {
    json!({"algorithm": "m.megolm_backup.v1.curve25519-aes-sha2", "auth_data": {"n": number}})
}

fn place((room, session): At) -> Place {
    (ROOMS[room].to_owned(), SESSIONS[session].to_owned())
}

fn path(depth: usize, at: At) -> String {
    match depth {
        0 => "/room_keys/keys".to_owned(),
        1 => at!("/room_keys/keys/{}", ROOMS[at.0]),
        _ => at!("/room_keys/keys/{}/{}", ROOMS[at.0], SESSIONS[at.1]),
    }
}

/// The room and session that a path of this depth selects.
fn selection(depth: usize, at: At) -> (Option<&'static str>, Option<&'static str>) {
    ((depth > 0).then(|| ROOMS[at.0]), (depth > 1).then(|| SESSIONS[at.1]))
}

fn write(key: &Key) -> Value {
    json!({
        "first_message_index": key.first_message_index,
        "forwarded_count": key.forwarded_count,
        "is_verified": key.is_verified,
        "session_data": {"n": key.which, "ephemeral": "x", "deep": {"er": [1, null]}},
    })
}

fn read(data: &Value) -> Result<Key, String> {
    let key = Key {
        is_verified: data["is_verified"].as_bool().ok_or("is_verified")?,
        first_message_index: data["first_message_index"].as_u64().ok_or("first_message_index")?,
        forwarded_count: data["forwarded_count"].as_u64().ok_or("forwarded_count")?,
        which: data["session_data"]["n"].as_u64().ok_or("session_data")?,
    };
    same("the data", data, &write(&key))?;
    Ok(key)
}

fn at(random: &mut Random) -> At {
    (random.below(ROOMS.len()), random.below(SESSIONS.len()))
}

impl Trial for World {
    type Command = Command;

    fn command(random: &mut Random) -> Command {
        let user = random.below(USERS);
        let back = if random.once_in(6) { 1 + random.below(14) } else { 0 };
        let depth = random.below(3);
        match random.below(100) {
            0..6 => Command::Create(user),
            6..12 => Command::Update(user, back),
            12..16 => Command::Delete(user, back),
            16..56 => {
                let many = if depth == 2 { 1 } else { 1 + random.below(5) };
                let key = |random: &mut Random| (random.once_in(3), random.number() % 3, random.number() % 3);
                Command::Put(user, back, depth, (0..many).map(|_| (at(random), key(random))).collect())
            }
            56..62 => Command::DeleteKeys(user, back, depth, at(random)),
            62..90 => Command::Read(user, back, depth, at(random)),
            _ => Command::Newest(user),
        }
    }

    async fn step(&mut self, command: &Command) -> Result<(), String> {
        self.made += 1;
        let made = self.made;
        match command {
            Command::Create(user) => {
                let user = &mut self.users[*user];
                let answer = user.client.post("/room_keys/version", auth_data(made)).await.ok();
                let name = answer["version"].as_str().ok_or("no version")?.to_owned();
                if user.names.contains(&name) {
                    return Err(format!("version {name} was there before"));
                }
                user.names.push(name);
                user.backups.create(made);
                Ok(())
            }
            Command::Update(user, back) => {
                let user = &mut self.users[*user];
                let (number, name) = user.number(*back);
                let answer = user.client.put(at!("/room_keys/version/{}", name), auth_data(made)).await;
                let status = match user.backups.update(number, made) {
                    Outcome::Done => 200,
                    _ => 404,
                };
                same("status of an update", answer.status, status)
            }
            Command::Delete(user, back) => {
                let user = &mut self.users[*user];
                let (number, name) = user.number(*back);
                let answer = user.client.delete(at!("/room_keys/version/{}", name)).await;
                let status = match user.backups.delete(number) {
                    Outcome::Done => 200,
                    _ => 404,
                };
                user.etags.remove(&number);
                same("status of a deletion", answer.status, status)
            }
            Command::Put(user, back, depth, keys) => {
                let user = &mut self.users[*user];
                let (number, name) = user.number(*back);
                let Some((first, _)) = keys.first_key_value() else { return Ok(()) };
                // A narrow path takes the keys of its room, or one key.
                let fits = |at: &At| *depth == 0 || (at.0 == first.0 && (*depth == 1 || at.1 == first.1));
                let mut put = Vec::new();
                let mut body = json!({});
                for ((at, (is_verified, index, count)), which) in keys.iter().filter(|(at, _)| fits(at)).zip(0..) {
                    let key = Key {
                        is_verified: *is_verified,
                        first_message_index: *index,
                        forwarded_count: *count,
                        which: made * 100 + which,
                    };
                    let (room, session) = place(*at);
                    match depth {
                        0 => body["rooms"][&room]["sessions"][&session] = write(&key),
                        1 => body["sessions"][&session] = write(&key),
                        _ => body = write(&key),
                    }
                    put.push(((room, session), key));
                }
                let answer = user.client.put(path(*depth, *first), body).query("version", name).await;
                let outcome = user.backups.put(number, &put);
                user.check_outcome(number, outcome, &answer)
            }
            Command::DeleteKeys(user, back, depth, at) => {
                let user = &mut self.users[*user];
                let (number, name) = user.number(*back);
                let answer = user.client.delete(path(*depth, *at)).query("version", name).await;
                let (room, session) = selection(*depth, *at);
                let outcome = user.backups.delete_keys(number, room, session);
                user.check_outcome(number, outcome, &answer)
            }
            Command::Read(user, back, depth, at) => {
                let user = &mut self.users[*user];
                let (number, name) = user.number(*back);
                let answer = user.client.get(at!("/room_keys/version/{}", name)).await;
                user.check_info(number, &answer)?;
                let answer = user.client.get(path(*depth, *at)).query("version", name).await;
                let (room, session) = selection(*depth, *at);
                let expected = user.backups.keys(number, room, session);
                let Some(expected) = expected.filter(|keys| *depth < 2 || !keys.is_empty()) else {
                    return same("error", (answer.status, answer.errcode().as_str()), (404, "M_NOT_FOUND"));
                };
                same("keys", found(*depth, *at, &answer.ok())?, expected)
            }
            Command::Newest(user) => {
                let user = &mut self.users[*user];
                let answer = user.client.get("/room_keys/version").await;
                // None of all is as none of a number that was never given out.
                let number = user.backups.current().unwrap_or(user.names.len());
                user.check_info(number, &answer)
            }
        }
    }
}

/// The keys in an answer to a path of this depth.
fn found(depth: usize, at: At, answer: &Value) -> Result<BTreeMap<Place, Key>, String> {
    let mut keys = BTreeMap::new();
    let mut add = |room: &str, sessions: &Value| -> Result<(), String> {
        for (session, data) in sessions["sessions"].as_object().ok_or("no sessions")? {
            keys.insert((room.to_owned(), session.clone()), read(data)?);
        }
        Ok(())
    };
    match depth {
        0 => {
            for (room, sessions) in answer["rooms"].as_object().ok_or("no rooms")? {
                add(room, sessions)?;
            }
        }
        1 => add(ROOMS[at.0], answer)?,
        _ => {
            keys.insert(place(at), read(answer)?);
        }
    }
    Ok(keys)
}
