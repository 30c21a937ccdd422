//! Accounts and devices, by their commands and by the API.

use std::time::Duration;

use serde_json::{Value, json};

use super::support::{Managed, OPERATOR};
use crate::harness::{Client, deadline, within};

fn password_of(printed: &str) -> String {
    let line = printed.lines().find_map(|line| line.strip_prefix("Password: "));
    line.unwrap_or_else(|| panic!("a password: {printed}")).to_owned()
}

async fn log_in(managed: &Managed, user: &str, password: &str) -> Result<Client, (u16, String)> {
    let anonymous = managed.server.anonymous();
    let identifier = json!({"type": "m.id.user", "user": user});
    let body = json!({"type": "m.login.password", "identifier": identifier, "password": password});
    let answer = anonymous.post("/login", body).await;
    if answer.status == 200 {
        return Ok(anonymous.logged_in(&answer.ok(), password.to_owned()));
    }
    Err((answer.status, answer.errcode()))
}

/// An account is made with a password that is given or chosen, and its user logs in with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_is_made() {
    let Some(managed) = Managed::start().await else { return };
    let printed = managed.run(&["user", "create", "alice"]).await.ok();
    assert!(printed.contains("@alice:localhost is made."), "{printed}");
    log_in(&managed, "alice", &password_of(&printed)).await.unwrap();
    let create = ["user", "create", "root", "--password-stdin", "--admin", "--display-name", "The root"];
    let printed = managed.run_with(&create, "correct horse\nignored\n").await.ok();
    assert!(!printed.contains("Password"), "{printed}");
    let root = log_in(&managed, "root", "correct horse").await.unwrap();
    let alice = log_in(&managed, "alice", "wrong").await.map(drop);
    assert_eq!(alice.unwrap_err(), (403, "M_FORBIDDEN".to_owned()));
    root.get("/_matrix/client/v1/admin/lock/@alice:localhost").await.ok();
    assert_eq!(root.get("/profile/@root:localhost").await.ok()["displayname"], "The root");
    assert!(root.get("/pushrules/").await.ok()["global"].is_object());

    assert!(managed.run(&["user", "create", "alice"]).await.failed().contains("M_USER_IN_USE"));
    assert!(managed.run(&["user", "create", "Not Good"]).await.failed().contains("M_INVALID_USERNAME"));
    assert!(
        managed.run_with(&["user", "create", "bob", "--password-stdin"], "\n").await.failed().contains("no password")
    );
    let (status, answer) = managed.ask("POST", "/users", Some(json!({"username": "bob", "password": ""}))).await;
    assert_eq!((status, &answer["errcode"]), (400, &json!("M_WEAK_PASSWORD")));
    let (status, answer) = managed.ask("POST", "/users", Some(json!({}))).await;
    assert_eq!((status, &answer["errcode"]), (400, &json!("M_MISSING_PARAM")));
    let made = ["@alice:localhost", "@root:localhost"].map(|user| ("user.create".to_owned(), user.to_owned()));
    assert_eq!(managed.record().await, made);
    let (_, answer) = managed.ask("GET", "/audit", None).await;
    assert_eq!(
        (&answer["entries"][0]["operator"], &answer["entries"][0]["details"]),
        (&json!(OPERATOR), &json!("admin"))
    );
}

/// All accounts are listed, in pages of any size, and found by name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_are_listed_and_found() {
    let Some(managed) = Managed::start().await else { return };
    let users = managed.server.users(["ann", "ben", "cid", "dan", "eve"]).await;
    let mut ids: Vec<&str> = users.iter().map(Client::user_id).collect();
    ids.sort_unstable();
    let listed = |answer: &Value| -> Vec<String> {
        let users = answer["users"].as_array().expect("users").iter();
        users.map(|user| user["user_id"].as_str().expect("an id").to_owned()).collect()
    };
    assert_eq!(listed(&managed.json("user", &["list"]).await), ids);
    for limit in [1, 2, 5, 6] {
        let (mut found, mut from) = (Vec::new(), String::new());
        loop {
            let (status, page) = managed.ask("GET", &format!("/users?limit={limit}{from}"), None).await;
            assert_eq!(status, 200, "{page}");
            found.extend(listed(&page));
            let Some(next) = page["next"].as_str() else { break };
            from = format!("&from={next}");
        }
        assert_eq!(found, ids, "in pages of {limit}");
    }
    let some = managed.json("user", &["list", "--limit", "3"]).await;
    assert_eq!((listed(&some).len(), some["next"].as_str()), (3, Some(ids[2])));
    let rest = managed.json("user", &["list", "--from", ids[2]]).await;
    assert_eq!((listed(&rest), &rest["next"]), (ids[3..].iter().map(ToString::to_string).collect(), &Value::Null));
    assert_eq!(listed(&managed.json("user", &["list", "--search", "CID-"]).await), [users[2].user_id()]);
    let text = managed.run(&["user", "list", "--limit", "2"]).await.ok();
    assert!(text.starts_with("USER ") && text.contains(&format!("--from {}", ids[1])), "{text}");
    assert_eq!(text.lines().count(), 4, "{text}");
    assert!(managed.run(&["user", "list", "--from", "@ann:elsewhere.org"]).await.failed().contains("M_INVALID_PARAM"));
    assert!(managed.record().await.is_empty(), "looking is not written down");
}

/// What is shown of an account is what it has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_is_shown() {
    let Some(managed) = Managed::start().await else { return };
    let alice = managed.server.user("alice").await;
    let phone = alice.login("PHONE").await;
    let room = alice.create_room(json!({})).await;
    let left = alice.create_room(json!({})).await;
    alice.leave(&left).await;
    let shown = managed.json("user", &["show", alice.user_id()]).await;
    let mut devices = [alice.device_id(), phone.device_id()];
    devices.sort_unstable();
    let found: Vec<&str> =
        shown["devices"].as_array().unwrap().iter().map(|device| device["device_id"].as_str().unwrap()).collect();
    assert_eq!(found, devices);
    assert_eq!(shown["joined_rooms"], json!([room]));
    assert_eq!((&shown["standing"], &shown["has_password"]), (&json!([]), &json!(true)));
    assert!(shown["last_seen_at"].is_u64(), "{shown}");
    // A name will do, and people read it, too.
    let name = alice.user_id()[1..].split(':').next().unwrap();
    let text = managed.run(&["user", "show", name]).await.ok();
    assert!(text.contains("PHONE") && text.contains(&room) && text.contains("standing"), "{text}");
    let listed = managed.json("device", &["list", alice.user_id()]).await;
    assert_eq!(listed["devices"], shown["devices"]);
    assert!(managed.run(&["device", "list", name]).await.ok().contains("PHONE"));
}

/// A lock and a suspension are met at once, and lifted; with the same outcome as for an administrator of the client API.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_is_locked_and_suspended() {
    let Some(managed) = Managed::start().await else { return };
    let alice = managed.server.user("alice").await;
    let room = alice.create_room(json!({})).await;
    let mut sync = alice.syncing();
    sync.now().await;
    sync.now().await;
    let wait = alice.get("/sync").query("since", sync.token()).query("timeout", 300_000).within(deadline());
    let waiting = tokio::spawn(async move { wait.await });
    for _ in 0..20 {
        alice.get("/account/whoami").await.ok();
    }
    assert!(!waiting.is_finished());
    let said = managed.run(&["user", "lock", alice.user_id()]).await.ok();
    assert!(said.contains("locked now"), "{said}");
    within("the lock is told", deadline(), waiting).await.unwrap().error(401, "M_USER_LOCKED");
    let (_, shown) = managed.ask("GET", &format!("/users/{}", alice.user_id()), None).await;
    assert_eq!(shown["standing"], json!(["locked"]));
    managed.run(&["user", "unlock", alice.user_id()]).await.ok();
    alice.get("/account/whoami").await.ok();

    let said = managed.json("user", &["suspend", alice.user_id()]).await;
    assert_eq!(said["standing"], json!(["suspended"]));
    let path = format!("/rooms/{room}/send/m.room.message/{}", crate::harness::unique());
    alice.put(&path, json!({"msgtype": "m.text", "body": "no"})).await.error(403, "M_USER_SUSPENDED");
    managed.run(&["user", "unsuspend", alice.user_id()]).await.ok();
    alice.send_text(&room, "yes").await;
    assert!(
        managed.record().await.iter().all(|(action, target)| action == "user.standing" && target == alice.user_id())
    );
    assert_eq!(managed.record().await.len(), 4);
}

/// The account leaves its rooms, whose members are told of its devices and of its leave, and nothing of it works any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_is_deactivated() {
    let Some(managed) = Managed::start().await else { return };
    let [alice, bob] = managed.server.users(["alice", "bob"]).await;
    let room = bob.encrypted_room(&[&alice]).await;
    crate::harness::keys::DeviceKeys::new(&alice).upload(&alice, 3, true).await;
    alice.put(crate::harness::at!("/user/{}/account_data/org.example", alice.user_id()), json!({"a": 1})).await.ok();
    let mut sync = bob.syncing();
    sync.now().await;
    let asked = managed.run(&["user", "deactivate", alice.user_id(), "--erase"]).await.failed();
    assert!(asked.contains("in 1 rooms") && asked.contains("--yes"), "{asked}");
    alice.get("/account/whoami").await.ok();
    assert!(managed.record().await.is_empty());

    managed.run(&["user", "deactivate", alice.user_id(), "--erase", "--yes"]).await.ok();
    alice.get("/account/whoami").await.error(401, "M_UNKNOWN_TOKEN");
    let members = bob.get(format!("/rooms/{room}/joined_members")).await.ok();
    assert!(members["joined"].get(alice.user_id()).is_none(), "{members}");
    sync.until("alice is gone", |answer| {
        let told = crate::harness::device_lists_left(answer);
        told.iter().any(|user| user == alice.user_id()).then_some(())
    })
    .await;
    let refused = log_in(&managed, alice.user_id(), alice.password()).await.map(drop);
    assert_eq!(refused.unwrap_err(), (403, "M_USER_DEACTIVATED".to_owned()));
    let (_, shown) = managed.ask("GET", &format!("/users/{}", alice.user_id()), None).await;
    assert_eq!((&shown["standing"], &shown["has_password"]), (&json!(["deactivated"]), &json!(false)));
    assert_eq!((&shown["devices"], &shown["joined_rooms"]), (&json!([]), &json!([])));
    for again in [["user", "deactivate", alice.user_id(), "--yes"], ["user", "lock", alice.user_id(), "--json"]] {
        assert!(managed.run(&again).await.failed().contains("M_USER_DEACTIVATED"));
    }
    assert!(
        managed
            .run(&["user", "create", &alice.user_id()[1..].replace(":localhost", "")])
            .await
            .failed()
            .contains("M_USER_IN_USE")
    );
    assert_eq!(managed.record().await, [("user.deactivate".to_owned(), alice.user_id().to_owned())]);
}

/// The old password is of no use any more; devices stay or go as is asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_is_reset() {
    let Some(managed) = Managed::start().await else { return };
    let alice = managed.server.user("alice").await;
    let printed = managed.run(&["user", "reset-password", alice.user_id()]).await.ok();
    alice.get("/account/whoami").await.ok();
    assert_eq!(log_in(&managed, alice.user_id(), alice.password()).await.map(drop).unwrap_err().0, 403);
    let phone = log_in(&managed, alice.user_id(), &password_of(&printed)).await.unwrap();
    let reset = ["user", "reset-password", alice.user_id(), "--password-stdin", "--logout"];
    assert!(managed.run_with(&reset, "third time lucky").await.ok().contains("2 devices were logged out"));
    for gone in [&alice, &phone] {
        gone.get("/account/whoami").await.error(401, "M_UNKNOWN_TOKEN");
    }
    log_in(&managed, alice.user_id(), "third time lucky").await.unwrap();
    let guest = managed.server.guest().await;
    assert!(managed.run(&["user", "reset-password", guest.user_id()]).await.failed().contains("guest"));
    let reset = ("user.reset_password".to_owned(), alice.user_id().to_owned());
    assert_eq!(managed.record().await, [reset.clone(), reset]);
}

/// A device goes with all that is its own, and everybody is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_is_deleted() {
    let Some(managed) = Managed::start().await else { return };
    let [alice, bob] = managed.server.users(["alice", "bob"]).await;
    bob.encrypted_room(&[&alice]).await;
    let phone = alice.login("PHONE/ 1").await;
    crate::harness::keys::DeviceKeys::new(&phone).upload(&phone, 3, true).await;
    let mut sync = bob.syncing();
    sync.now().await;
    let delete = ["device", "delete", alice.user_id(), "PHONE/ 1"];
    assert!(managed.run(&delete).await.failed().contains("--yes"));
    phone.get("/account/whoami").await.ok();
    managed.run(&[&delete[..], &["--yes"]].concat()).await.ok();
    phone.get("/account/whoami").await.error(401, "M_UNKNOWN_TOKEN");
    alice.get("/account/whoami").await.ok();
    sync.until_changed(alice.user_id()).await;
    assert!(managed.run(&[&delete[..], &["--yes"]].concat()).await.failed().contains("M_NOT_FOUND"));
    assert_eq!(managed.record().await, [("device.delete".to_owned(), format!("{} PHONE/ 1", alice.user_id()))]);
}

/// What is not there, or not of this server, is told apart, and nothing is written down.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_ids_are_refused() {
    let Some(managed) = Managed::start().await else { return };
    let alice = managed.server.user("alice").await;
    let requests = |user: &str| {
        [
            ("GET", format!("/users/{user}"), None),
            ("GET", format!("/users/{user}/devices"), None),
            ("PUT", format!("/users/{user}/standing"), Some(json!({"locked": true}))),
            ("PUT", format!("/users/{user}/password"), Some(json!({"logout": true}))),
            ("POST", format!("/users/{user}/deactivate"), Some(json!({}))),
            ("DELETE", format!("/users/{user}/devices/PHONE"), None),
        ]
    };
    let users = [
        ("@nobody:localhost", 404, "M_NOT_FOUND"),
        ("nobody", 404, "M_NOT_FOUND"),
        ("@alice:elsewhere.org", 400, "M_INVALID_PARAM"),
        ("@:", 400, "M_INVALID_PARAM"),
        ("a%00b%20c%3Ad", 400, "M_INVALID_PARAM"),
    ];
    for (user, status, errcode) in users {
        for (method, path, body) in requests(user) {
            let (code, answer) = managed.ask(method, &path, body).await;
            assert_eq!((code, answer["errcode"].as_str()), (status, Some(errcode)), "{method} {path}: {answer}");
        }
    }
    let of_alice = format!("/users/{}", alice.user_id());
    for (body, errcode) in [
        (json!({}), "M_MISSING_PARAM"),
        (json!({"locked": "yes"}), "M_BAD_JSON"),
        (json!({"admin": true}), "M_BAD_JSON"),
        (json!([]), "M_BAD_JSON"),
    ] {
        let (code, answer) = managed.ask("PUT", &format!("{of_alice}/standing"), Some(body.clone())).await;
        assert_eq!((code, answer["errcode"].as_str()), (400, Some(errcode)), "{body}");
    }
    let (code, answer) = managed.ask("DELETE", &format!("{of_alice}/devices/NONE"), None).await;
    assert_eq!((code, answer["errcode"].as_str()), (404, Some("M_NOT_FOUND")));
    assert!(managed.record().await.is_empty());
    alice.get("/account/whoami").within(Duration::from_secs(20)).await.ok();
}
