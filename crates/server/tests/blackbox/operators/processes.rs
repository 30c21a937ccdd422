//! The binary as server and as command.

use std::sync::Arc;

use super::support::{TOKEN, run};
use crate::harness::{Engine, Place, Server, Special, free_address, in_place};

/// The commands find a server by the configuration that it runs with, and by its address and a file with the token.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_reach_a_server_by_its_configuration() {
    let admin = free_address();
    let settings = vec![("OLMSTEAD_ADMIN__LISTEN", admin.clone()), ("OLMSTEAD_ADMIN__TOKENS__OLGA", TOKEN.to_owned())];
    let place = in_place(|| Arc::new(Place::new(Engine::chosen()))).await;
    let special = Special { settings: settings.clone(), ..Special::default() };
    let Some(server) = Server::special_process(place, special).await else { return };
    let mut as_server: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    as_server.push(("OLMSTEAD_SERVER_NAME", "localhost"));
    let printed = run(&["user", "create", "alice"], &as_server).await.ok();
    let password = printed.lines().find_map(|line| line.strip_prefix("Password: ")).unwrap();
    let identifier = serde_json::json!({"type": "m.id.user", "user": "alice"});
    let body = serde_json::json!({"type": "m.login.password", "identifier": identifier, "password": password});
    server.anonymous().post("/login", body).await.ok();
    let files = tempfile::tempdir().unwrap();
    let file = files.path().join("token");
    std::fs::write(&file, format!("{TOKEN}\n")).unwrap();
    let url = format!("http://{admin}");
    let by_file = ["--url", url.as_str(), "--token-file", file.to_str().unwrap()];
    let listed = run(&[&["user", "list"], &by_file[..]].concat(), &[]).await.ok();
    assert!(listed.contains("@alice:localhost"), "{listed}");
    let stats = run(&[&["stats", "--json"], &by_file[..]].concat(), &[]).await.ok();
    assert!(stats.contains("\"census\""), "{stats}");
    assert!(run(&["audit"], &as_server).await.ok().contains("user.create"));
}

/// Where tokens let people in, there is one or somebody can make one.
#[tokio::test]
async fn tokens_can_be_had_where_they_are_asked_for() {
    let nowhere = tempfile::tempdir().unwrap();
    let nowhere = nowhere.path().join("store");
    let settings = [
        ("OLMSTEAD_SERVER_NAME", "localhost"),
        ("OLMSTEAD_LISTEN", "127.0.0.1:0"),
        ("OLMSTEAD_STORAGE__ENGINE", "rocksdb"),
        ("OLMSTEAD_STORAGE__PATH", nowhere.to_str().unwrap()),
        ("OLMSTEAD_STORAGE__CREATE", "false"),
        ("OLMSTEAD_REGISTRATION__MODE", "token"),
    ];
    let refused = run(&["serve"], &settings).await.failed();
    assert!(refused.contains("registration.token is not set") && refused.contains("admin.listen"), "{refused}");
    // With either, it is the store that is not there.
    for other in [("OLMSTEAD_ADMIN__LISTEN", "127.0.0.1:0"), ("OLMSTEAD_REGISTRATION__TOKEN", "fixed")] {
        let refused = run(&["serve"], &[&settings[..], &[other]].concat()).await.failed();
        assert!(refused.contains(nowhere.to_str().unwrap()), "{refused}");
    }
}

/// Each shell gets a script that knows the commands, and each command says how it is used.
#[tokio::test]
async fn commands_are_completed_and_explained() {
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&["completions", shell], &[]).await.ok();
        for word in ["registration-token", "reset-password", "e2ee", "--token-file"] {
            let word = if shell == "fish" { word.trim_start_matches("--") } else { word };
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    let commands = [
        ["user", "create"],
        ["user", "list"],
        ["user", "show"],
        ["user", "lock"],
        ["user", "suspend"],
        ["user", "deactivate"],
        ["user", "reset-password"],
        ["device", "list"],
        ["device", "delete"],
        ["registration-token", "create"],
        ["registration-token", "list"],
        ["registration-token", "delete"],
        ["room", "list"],
        ["room", "show"],
    ];
    for command in commands {
        let help = run(&[&command[..], &["--help"]].concat(), &[]).await.ok();
        let example = format!("olmstead {} {}", command[0], command[1]);
        assert!(help.contains("Example") && help.contains(&example), "{help}");
    }
}
