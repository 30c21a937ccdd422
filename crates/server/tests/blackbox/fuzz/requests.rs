//! A request that makes sense, for each route.

use olmstead_conformance::random::Random;
use serde_json::{Value, json};

use super::world::World;
use crate::{
    harness::{Client, segment, unique},
    rules::access::routes::Route,
};

/// What is in a path, a query and a body.
pub(super) struct Request {
    pub(super) parts: Vec<(String, String)>,
    pub(super) query: Vec<(String, String)>,
    pub(super) body: Value,
}

/// Parameters that some route or other reads.
pub(super) const PARAMETERS: [&str; 30] = [
    "since",
    "from",
    "to",
    "at",
    "dir",
    "limit",
    "filter",
    "full_state",
    "set_presence",
    "version",
    "kind",
    "user_id",
    "access_token",
    "membership",
    "not_membership",
    "ts",
    "suggested_only",
    "max_depth",
    "username",
    "token",
    "server",
    "via",
    "width",
    "height",
    "method",
    "animated",
    "filename",
    "order_by",
    "recurse",
    "include",
];

/// The request by which this caller would use the route.
pub(super) fn sensible(world: &World, route: &Route, caller: &Client, random: &mut Random) -> Request {
    let mut room = random.pick(&world.rooms).clone();
    let mut user = random.pick(&world.names).clone();
    // Often somebody asks for the very place where another hides something. Their own they might give away.
    let others: Vec<_> = world.hiders.iter().filter(|(hider, _)| hider != caller.user_id()).collect();
    let pries = random.once_in(3);
    if pries {
        (user, room) = (*random.pick(&others)).clone();
    }
    let parts = route.template.split(['{', '}']).skip(1).step_by(2).map(|name| {
        let value = match name {
            "user_id" if pries => user.clone(),
            "type" if pries && route.template.contains("/rooms/") => "org.example".to_owned(),
            "type" if pries => "org.example.private".to_owned(),
            "user_id" if random.below(4) < if route.own { 3 } else { 2 } => caller.user_id().to_owned(),
            "user_id" => user.clone(),
            "room_id" | "room_id_or_alias" => room.clone(),
            "room_alias" => "#alias:localhost".to_owned(),
            "event_id" => random.pick(&world.events).clone(),
            "server" => "localhost".to_owned(),
            "media_id" => world.media.clone(),
            "device_id" => caller.device_id().to_owned(),
            "receipt_type" => (*random.pick(&["m.read", "m.read.private", "m.fully_read"])).to_owned(),
            "kind" => (*random.pick(&["override", "content", "room", "sender", "underride"])).to_owned(),
            "rule_id" => (*random.pick(&[".m.rule.master", "one", "two"])).to_owned(),
            "key" => (*random.pick(&["displayname", "avatar_url", "m.tz"])).to_owned(),
            "version" => random.below(4).to_string(),
            "type" => (*random.pick(&[
                "org.example",
                "org.example.private",
                "m.direct",
                "m.ignored_user_list",
                "m.fully_read",
            ]))
            .to_owned(),
            "event_type" => {
                (*random.pick(&["m.room.message", "m.room.topic", "m.room.member", "m.room.encrypted", "m.reaction"]))
                    .to_owned()
            }
            "state_key" => (*random.pick(&["", "x", caller.user_id()])).to_owned(),
            "rel_type" => "m.thread".to_owned(),
            "tag" => "u.work".to_owned(),
            "filter_id" => "0".to_owned(),
            "transaction_id" | "session_id" => unique(),
            _ => "one".to_owned(),
        };
        (name.to_owned(), segment(&value))
    });
    let parts = parts.collect();
    let mut query = Vec::new();
    let path = route.template.as_str();
    let mut ask = |name: &str, value: &str| query.push((name.to_owned(), value.to_owned()));
    if path.contains("/room_keys/keys") {
        ask("version", "1");
    }
    if path.contains("/thumbnail/") {
        ask("width", "32");
        ask("height", "32");
    }
    if path.ends_with("/messages") {
        ask("dir", "b");
    }
    if path.ends_with("/keys/changes") {
        ask("from", &world.since);
        ask("to", &world.since);
    }
    if path.ends_with("/timestamp_to_event") {
        ask("ts", "0");
        ask("dir", "f");
    }
    if path.ends_with("/sync") && random.once_in(2) {
        ask("since", &world.since);
    }
    if path.ends_with("/available") {
        ask("username", &unique());
    }
    if path.contains("/media/download") || path.contains("/media/thumbnail") {
        ask("timeout_ms", "0");
    }
    if path.ends_with("/register") && random.once_in(2) {
        ask("kind", "guest");
    }
    Request { parts, query, body: body(path, &user, &room, caller, world, random) }
}

/// A body that the route with this path takes.
fn body(path: &str, user: &str, room: &str, caller: &Client, world: &World, random: &mut Random) -> Value {
    let (own, device) = (caller.user_id(), caller.device_id());
    let tail =
        path.split("/_matrix/client/").nth(1).and_then(|rest| rest.split_once('/')).map_or(path, |(_, tail)| tail);
    let session = json!({"first_message_index": random.below(9), "forwarded_count": 0, "is_verified": true,
        "session_data": {"ciphertext": "abc"}});
    let signed = json!({"signatures": {own: {format!("ed25519:{device}"): "abc"}}});
    match tail {
        "keys/upload" => json!({
            "device_keys": {"user_id": own, "device_id": device, "algorithms": ["m.olm.v1.curve25519-aes-sha2"],
                "keys": {format!("ed25519:{device}"): "a", format!("curve25519:{device}"): "b"},
                "signatures": signed["signatures"]},
            "one_time_keys": {format!("signed_curve25519:{}", unique()): {"key": "a", "signatures": signed["signatures"]}},
            "fallback_keys": {"signed_curve25519:f": {"key": "f", "fallback": true, "signatures": signed["signatures"]}},
        }),
        "keys/query" => json!({"device_keys": {user: [], own: [device]}, "timeout": 100}),
        "keys/claim" => json!({"one_time_keys": {user: {device: "signed_curve25519"}}, "timeout": 100}),
        "keys/device_signing/upload" => json!({
            "master_key": {"user_id": own, "usage": ["master"], "keys": {"ed25519:abc": "abc"}},
            "self_signing_key": {"user_id": own, "usage": ["self_signing"], "keys": {"ed25519:b": "b"}, "signatures": {}},
            "auth": {"type": "m.login.password", "password": "wrong", "user": own}}),
        "keys/signatures/upload" => {
            json!({own: {device: {"user_id": own, "device_id": device, "keys": {}, "signatures": signed["signatures"]}}})
        }
        "sendToDevice/{event_type}/{transaction_id}" => {
            json!({"messages": {user: {"*": {"a": 1}}, own: {device: {"b": 2}}}})
        }
        "org.matrix.simplified_msc3575/sync" => json!({"conn_id": "a", "lists": {"all": {"ranges": [[0, 9]],
            "timeline_limit": 5, "required_state": [["*", "*"]], "filters": {"is_dm": false}}},
            "room_subscriptions": {room: {"timeline_limit": 1, "required_state": [["m.room.member", "$ME"]]}},
            "extensions": {"to_device": {"enabled": true, "limit": 10}, "e2ee": {"enabled": true},
                "account_data": {"enabled": true}, "receipts": {"enabled": true}, "typing": {"enabled": true}}}),
        "room_keys/version" | "room_keys/version/{version}" => {
            json!({"algorithm": "m.megolm_backup.v1.curve25519-aes-sha2",
            "auth_data": {"public_key": "abc", "signatures": {}}, "version": "1"})
        }
        "room_keys/keys" => json!({"rooms": {room: {"sessions": {"one": session}}}}),
        "room_keys/keys/{room_id}" => json!({"sessions": {"one": session}}),
        "room_keys/keys/{room_id}/{session_id}" => session,
        "org.matrix.msc3814.v1/dehydrated_device" => {
            json!({"device_id": "DEHYDRATED", "device_data": {"algorithm": "a"},
            "initial_device_display_name": "d", "device_keys": {"user_id": own, "device_id": "DEHYDRATED",
            "algorithms": [], "keys": {}, "signatures": {}}})
        }
        "devices/{device_id}" => json!({"display_name": "phone"}),
        "delete_devices" => json!({"devices": [device], "auth": {"type": "m.login.password", "password": "wrong"}}),
        "user/{user_id}/account_data/{type}" | "user/{user_id}/rooms/{room_id}/account_data/{type}" => {
            json!({"a": {"b": [1, 2, 3]}, "ignored_users": {}})
        }
        "user/{user_id}/rooms/{room_id}/tags/{tag}" => json!({"order": 0.5}),
        "user/{user_id}/filter" => {
            json!({"event_fields": ["content.body"], "event_format": "client", "presence": {"types": []},
            "room": {"rooms": [room], "timeline": {"limit": 5, "types": ["m.*"], "not_senders": [user]},
                "state": {"lazy_load_members": true}, "ephemeral": {"limit": 1}, "account_data": {"limit": 1}}})
        }
        "profile/{user_id}/{key}" => {
            json!({"displayname": "x", "avatar_url": "mxc://localhost/a", "m.tz": "Europe/Berlin"})
        }
        "presence/{user_id}/status" => json!({"presence": "online", "status_msg": "x"}),
        "user_directory/search" => json!({"search_term": "a", "limit": 5}),
        "pushrules/global/{kind}/{rule_id}" => {
            json!({"actions": ["notify", {"set_tweak": "highlight"}], "pattern": "a*",
            "conditions": [{"kind": "event_match", "key": "content.body", "pattern": "x?"},
                {"kind": "room_member_count", "is": "<=2"}]})
        }
        "pushrules/global/{kind}/{rule_id}/enabled" => json!({"enabled": true}),
        "pushrules/global/{kind}/{rule_id}/actions" => json!({"actions": []}),
        "pushers/set" => json!({"kind": "http", "app_id": "a", "pushkey": own, "app_display_name": "a",
            "device_display_name": "d", "lang": "en", "data": {"url": "https://push.example.org/_matrix/push/v1/notify"}}),
        "createRoom" => {
            json!({"preset": "private_chat", "name": "x", "topic": "y", "invite": [user], "is_direct": true,
            "room_version": "11", "creation_content": {"m.federate": false},
            "initial_state": [{"type": "m.room.encryption", "state_key": "", "content": {"algorithm": "m.megolm.v1.aes-sha2"}}],
            "power_level_content_override": {"users": {own: 100}}, "room_alias_name": unique()})
        }
        "rooms/{room_id}/invite" | "rooms/{room_id}/kick" | "rooms/{room_id}/ban" | "rooms/{room_id}/unban" => {
            json!({"user_id": user, "reason": "x"})
        }
        "rooms/{room_id}/typing/{user_id}" => json!({"typing": true, "timeout": 1000}),
        "rooms/{room_id}/receipt/{receipt_type}/{event_id}" => json!({"thread_id": "main"}),
        "rooms/{room_id}/read_markers" => {
            let event = random.pick(&world.events);
            json!({"m.fully_read": event, "m.read": event, "m.read.private": event})
        }
        "rooms/{room_id}/upgrade" => json!({"new_version": "12"}),
        "rooms/{room_id}/report" | "rooms/{room_id}/report/{event_id}" | "users/{user_id}/report" => {
            json!({"reason": "x", "score": -100})
        }
        "directory/room/{room_alias}" => json!({"room_id": room}),
        "directory/list/room/{room_id}" => json!({"visibility": "public"}),
        "publicRooms" => json!({"limit": 5, "filter": {"generic_search_term": "a", "room_types": [null]}}),
        "register" => json!({"username": unique(), "password": "a password", "device_id": "D"}),
        "login" => {
            json!({"type": "m.login.password", "identifier": {"type": "m.id.user", "user": own}, "password": "wrong"})
        }
        "refresh" => json!({"refresh_token": "olr_none"}),
        "account/password" | "account/deactivate" | "login/get_token" => {
            json!({"new_password": "n", "logout_devices": true,
            "auth": {"type": "m.login.password", "identifier": {"type": "m.id.user", "user": own}, "password": "wrong"}})
        }
        "admin/lock/{user_id}" | "admin/suspend/{user_id}" => json!({"locked": true, "suspended": true}),
        _ if path.contains("/state/") => json!({"topic": "x", "membership": "join", "displayname": "y", "name": "z"}),
        _ if path.contains("/send/") => json!({"msgtype": "m.text", "body": "x", "m.mentions": {"user_ids": [user]},
            "m.relates_to": {"rel_type": "m.thread", "event_id": random.pick(&world.events)}}),
        _ if path.contains("/_synapse/") => {
            json!({"nonce": "n", "username": "u", "password": "p", "admin": true, "mac": "00"})
        }
        _ => json!({"reason": "x"}),
    }
}
