//! Device lists: joins, invitations, leaves, bans, encryption turned on, changes of keys, and several readers.

use std::collections::{BTreeMap, BTreeSet};

use olmstead_conformance::{
    driver::Trial,
    oracle::device_lists::{Change, Membership, Oracle},
    random::Random,
};
use serde_json::{Value, json};

use crate::harness::{
    Client, Server, Syncing, at, device_lists_changed, device_lists_left,
    keys::{CrossSigning, DeviceKeys},
    unique,
};

/// The user 0 founds the rooms, stays in them, and has no keys.
const USERS: usize = 6;
const ROOMS: usize = 3;
const DEVICES: [&str; 2] = ["PHONE", "LAPTOP"];
/// So many of a reader's last tokens are remembered.
const TOKENS: usize = 12;

/// A user and the number of a device.
type Slot = (usize, usize);

/// DL-1, DL-2, DL-3, DL-4, DL-6, DL-8, DL-9, DL-10, DL-11, DL-12, DL-13, DL-14, DL-16, DL-17, DL-18, DL-19, ENC-17: over
/// 10,000 random steps every sync, repeated sync and `keys/changes` names whom it must, and nobody it must not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn device_lists_are_as_predicted() {
    super::check("device lists", World::new).await;
}

#[derive(Debug, Clone)]
enum Command {
    Join(usize, usize),
    Leave(usize, usize),
    Invite(usize, usize),
    Kick(usize, usize),
    Ban(usize, usize),
    Unban(usize, usize),
    Forget(usize, usize),
    Encrypt(usize),
    Speak(usize),
    Identity(Slot, usize),
    Rename(Slot),
    Delete(Slot),
    CrossSign(usize),
    UserSigning(usize),
    SignDevice(Slot),
    SignUser(usize, usize),
    Sync(usize, usize),
    Repeat(usize, usize),
    Changes(usize, usize, usize),
}

struct Device {
    client: Client,
    keys: Vec<DeviceKeys>,
    /// Which of the keys are uploaded, and whether the current self-signing key has signed them.
    uploaded: Option<(usize, bool)>,
}

struct World {
    oracle: Oracle,
    readers: Vec<Client>,
    rooms: Vec<String>,
    devices: BTreeMap<Slot, Device>,
    identities: BTreeMap<usize, CrossSigning>,
    /// Who signed whose current master key with the current user-signing key.
    signed: BTreeSet<(usize, usize)>,
    /// To each reader its tokens, with their times.
    tokens: Vec<Vec<(usize, String)>>,
}

impl World {
    async fn new(server: Server) -> Self {
        let readers: [Client; USERS] = server.users(["founder", "alice", "bob", "carol", "dave", "erin"]).await;
        let mut rooms = Vec::new();
        for _ in 0..ROOMS {
            rooms.push(readers[0].create_room(json!({"preset": "public_chat"})).await);
        }
        let mut oracle = Oracle::new(USERS, ROOMS);
        for room in 0..ROOMS {
            oracle.set_membership(room, 0, Membership::Joined);
        }
        let mut tokens = vec![Vec::new()];
        for reader in &readers[1..] {
            let first = reader.sync(None).await;
            assert!(device_lists_changed(&first).is_empty() && device_lists_left(&first).is_empty(), "DL-4: {first}");
            tokens.push(vec![(oracle.now(), next_batch(&first))]);
        }
        let (devices, identities, signed) = Default::default();
        Self { oracle, readers: readers.into(), rooms, devices, identities, signed, tokens }
    }

    /// Sets a membership when the present one lets it.
    async fn r#move(&mut self, (user, room): (usize, usize), to: Membership, action: &str) -> Result<(), String> {
        use Membership::{Banned, Invited, Joined, Out};
        let from = self.oracle.membership(room, user);
        let allowed = match action {
            "join" => matches!(from, Out | Invited),
            "leave" | "kick" => matches!(from, Joined | Invited),
            "invite" => from == Out,
            "ban" => from != Banned,
            _ => from == Banned,
        };
        if !allowed {
            return Ok(());
        }
        let path = at!("/rooms/{}/{}", self.rooms[room], action);
        let by_self = matches!(action, "join" | "leave");
        let who = &self.readers[if by_self { user } else { 0 }];
        let body = if by_self { json!({}) } else { json!({"user_id": self.readers[user].user_id()}) };
        who.post(path, body).await.ok();
        self.oracle.set_membership(room, user, to);
        Ok(())
    }

    async fn identity(&mut self, slot: Slot, which: usize) {
        let user = &self.readers[slot.0];
        let is_known = self.devices.contains_key(&slot);
        if !is_known {
            let client = user.login(DEVICES[slot.1]).await;
            let keys = (0..2).map(|_| DeviceKeys::new(&client)).collect();
            self.devices.insert(slot, Device { client, keys, uploaded: None });
        }
        let device = self.devices.get_mut(&slot).expect("just made");
        device.client.post("/keys/upload", json!({"device_keys": device.keys[which].signed()})).await.ok();
        if device.uploaded.is_none_or(|(uploaded, _)| uploaded != which) {
            device.uploaded = Some((which, false));
            self.oracle.change_keys(slot.0, Change::Certain);
        }
    }

    async fn delete(&mut self, slot: Slot) {
        let Some(device) = self.devices.remove(&slot) else { return };
        device.client.logout().await;
        if device.uploaded.is_some() {
            self.oracle.change_keys(slot.0, Change::Certain);
        }
    }

    async fn cross_sign(&mut self, user: usize) {
        let identity = CrossSigning::new(self.readers[user].user_id());
        self.readers[user].post("/keys/device_signing/upload", identity.upload()).with_password().await.ok();
        self.identities.insert(user, identity);
        self.signed.retain(|(by, of)| *by != user && *of != user);
        for (slot, device) in &mut self.devices {
            if let Some((_, signed)) = device.uploaded.as_mut().filter(|_| slot.0 == user) {
                *signed = false;
            }
        }
        self.oracle.change_keys(user, Change::Certain);
    }

    async fn user_signing(&mut self, user: usize) {
        let Some(identity) = self.identities.get_mut(&user) else { return };
        identity.user_signing = CrossSigning::new(self.readers[user].user_id()).user_signing;
        let body = json!({"user_signing_key": identity.user_signing_key()});
        self.readers[user].post("/keys/device_signing/upload", body).with_password().await.ok();
        self.signed.retain(|(by, _)| *by != user);
        self.oracle.change_for(user, user, Change::Certain);
    }

    async fn sign_device(&mut self, slot: Slot) -> Result<(), String> {
        let (Some(device), Some(identity)) = (self.devices.get_mut(&slot), self.identities.get(&slot.0)) else {
            return Ok(());
        };
        let Some((which, signed)) = &mut device.uploaded else { return Ok(()) };
        let object = identity.sign_device(&device.keys[*which].signed());
        let user = self.readers[slot.0].user_id();
        upload_signature(&device.client, json!({user: {device.client.device_id(): object}})).await?;
        let change = if std::mem::replace(signed, true) { Change::Possible } else { Change::Certain };
        self.oracle.change_keys(slot.0, change);
        Ok(())
    }

    async fn sign_user(&mut self, by: usize, of: usize) -> Result<(), String> {
        let (Some(signer), Some(target)) = (self.identities.get(&by), self.identities.get(&of)) else { return Ok(()) };
        if by == of {
            return Ok(());
        }
        let object = signer.sign_user(&target.master_key());
        let (user, key) = (self.readers[of].user_id(), target.master.public_key().to_base64());
        upload_signature(&self.readers[by], json!({user: {key: object}})).await?;
        let change = if self.signed.insert((by, of)) { Change::Certain } else { Change::Possible };
        self.oracle.change_for(by, of, change);
        Ok(())
    }

    /// A sync that goes on, with one of several filters: none of them may hide a device list.
    async fn sync(&mut self, user: usize, filter: usize) -> Result<(), String> {
        let (since, token) = self.tokens[user].last().expect("a token").clone();
        let response = self.syncing(user, &token, filter).now().await;
        let bounds = self.oracle.sync(user, since);
        self.holds(&response["device_lists"], &bounds, &format!("sync of {user} since {since}"))?;
        let tokens = &mut self.tokens[user];
        tokens.push((self.oracle.now(), next_batch(&response)));
        tokens.drain(..tokens.len().saturating_sub(TOKENS));
        Ok(())
    }

    fn syncing(&self, user: usize, token: &str, filter: usize) -> Syncing {
        let syncing = self.readers[user].syncing().since(token);
        match filter {
            0 => syncing.filter(&json!({"room": {"timeline": {"limit": 1}, "state": {"lazy_load_members": true}}})),
            1 => syncing.filter(&json!({"room": {"rooms": [], "include_leave": true}})),
            2 => syncing.filter(&json!({"room": {"not_rooms": self.rooms, "timeline": {"types": []}}})),
            _ => syncing,
        }
    }

    fn holds(
        &self,
        lists: &Value,
        bounds: &olmstead_conformance::oracle::device_lists::Bounds,
        what: &str,
    ) -> Result<(), String> {
        let answer = json!({"device_lists": lists});
        let numbers = |users: Vec<String>| -> Result<BTreeSet<usize>, String> {
            let count = users.len();
            let number = |user: &String| self.readers.iter().position(|reader| reader.user_id() == user);
            let numbers: Option<BTreeSet<usize>> = users.iter().map(number).collect();
            let numbers = numbers.ok_or_else(|| format!("{what}: a stranger in {users:?}"))?;
            if numbers.len() == count {
                Ok(numbers)
            } else {
                Err(format!("{what}: somebody is named twice: {users:?}"))
            }
        };
        let (changed, left) = (numbers(device_lists_changed(&answer))?, numbers(device_lists_left(&answer))?);
        bounds.check(&changed, &left).map_err(|fault| format!("{what}: {fault}"))
    }
}

impl Trial for World {
    type Command = Command;

    fn command(random: &mut Random) -> Command {
        let (user, room) = (1 + random.below(USERS - 1), random.below(ROOMS));
        let slot = (user, random.below(DEVICES.len()));
        match random.below(400) {
            0..45 => Command::Join(user, room),
            45..75 => Command::Leave(user, room),
            75..95 => Command::Invite(user, room),
            95..105 => Command::Kick(user, room),
            105..113 => Command::Ban(user, room),
            113..123 => Command::Unban(user, room),
            123..130 => Command::Forget(user, room),
            130..132 => Command::Encrypt(room),
            132..140 => Command::Speak(room),
            140..175 => Command::Identity(slot, random.below(2)),
            175..182 => Command::Rename(slot),
            182..190 => Command::Delete(slot),
            190..194 => Command::CrossSign(user),
            194..196 => Command::UserSigning(user),
            196..210 => Command::SignDevice(slot),
            210..220 => Command::SignUser(user, 1 + random.below(USERS - 1)),
            220..330 => Command::Sync(user, random.below(8)),
            330..365 => Command::Repeat(user, random.below(TOKENS)),
            _ => Command::Changes(user, random.below(TOKENS), random.below(TOKENS)),
        }
    }

    async fn step(&mut self, command: &Command) -> Result<(), String> {
        use Membership::{Banned, Invited, Joined, Out};
        match *command {
            Command::Join(user, room) => self.r#move((user, room), Joined, "join").await?,
            Command::Leave(user, room) => self.r#move((user, room), Out, "leave").await?,
            Command::Invite(user, room) => self.r#move((user, room), Invited, "invite").await?,
            Command::Kick(user, room) => self.r#move((user, room), Out, "kick").await?,
            Command::Ban(user, room) => self.r#move((user, room), Banned, "ban").await?,
            Command::Unban(user, room) => self.r#move((user, room), Out, "unban").await?,
            Command::Forget(user, room) => {
                if matches!(self.oracle.membership(room, user), Out | Banned) {
                    let answer = self.readers[user].post(at!("/rooms/{}/forget", self.rooms[room]), json!({})).await;
                    if answer.status >= 500 {
                        return Err(answer.to_string());
                    }
                }
            }
            Command::Encrypt(room) => {
                let content = json!({"algorithm": "m.megolm.v1.aes-sha2", "n": unique()});
                self.readers[0].send_state(&self.rooms[room], "m.room.encryption", "", content).await;
                self.oracle.encrypt(room);
            }
            Command::Speak(room) => {
                self.readers[0].send_text(&self.rooms[room], "hello").await;
            }
            Command::Identity(slot, which) => self.identity(slot, which).await,
            Command::Rename(slot) => {
                if let Some(device) = self.devices.get(&slot) {
                    let path = at!("/devices/{}", device.client.device_id());
                    device.client.put(path, json!({"display_name": unique()})).await.ok();
                    if device.uploaded.is_some() {
                        self.oracle.change_keys(slot.0, Change::Possible);
                    }
                }
            }
            Command::Delete(slot) => self.delete(slot).await,
            Command::CrossSign(user) => self.cross_sign(user).await,
            Command::UserSigning(user) => self.user_signing(user).await,
            Command::SignDevice(slot) => self.sign_device(slot).await?,
            Command::SignUser(by, of) => self.sign_user(by, of).await?,
            Command::Sync(user, filter) => self.sync(user, filter).await?,
            Command::Repeat(user, back) => {
                let (since, token) = self.tokens[user][back % self.tokens[user].len()].clone();
                let response = self.syncing(user, &token, 9).now().await;
                self.holds(&response["device_lists"], &self.oracle.sync(user, since), &format!("{user} from {since}"))?;
            }
            Command::Changes(user, a, b) => {
                let tokens = &self.tokens[user];
                let (a, b) = (a % tokens.len(), b % tokens.len());
                let ((from, first), (to, second)) = (&tokens[a.min(b)], &tokens[a.max(b)]);
                let call = self.readers[user].get("/keys/changes").query("from", first).query("to", second);
                let what = format!("keys/changes of {user} from {from} to {to}");
                self.holds(&call.await.ok(), &self.oracle.changes(user, *from, *to), &what)?;
            }
        }
        Ok(())
    }
}

fn next_batch(response: &Value) -> String {
    response["next_batch"].as_str().expect("next_batch").to_owned()
}

async fn upload_signature(client: &Client, body: Value) -> Result<(), String> {
    let answer = client.post("/keys/signatures/upload", body).await.ok();
    match answer["failures"].as_object() {
        Some(failures) if !failures.is_empty() => Err(format!("a good signature is refused: {answer}")),
        _ => Ok(()),
    }
}
