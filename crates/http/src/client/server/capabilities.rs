//! `GET /_matrix/client/v3/capabilities`.

use axum::extract::State;
use serde_json::{Value, json};

use crate::{
    App,
    auth::{AnyActive, Auth},
    extract::Json,
};

pub(super) async fn get(State(app): State<App>, auth: Auth<AnyActive>) -> Json<Value> {
    let full = !auth.guest;
    let mut capabilities = json!({
        "m.change_password": {"enabled": full},
        "m.room_versions": {
            "default": app.cx.config.default_room_version,
            "available": {"10": "stable", "11": "stable", "12": "stable"},
        },
        "m.profile_fields": if full { json!({"enabled": true}) } else {
            json!({"enabled": true, "allowed": ["displayname"]})
        },
        "m.set_displayname": {"enabled": true},
        "m.set_avatar_url": {"enabled": full},
        "m.3pid_changes": {"enabled": false},
        "m.get_login_token": {"enabled": full},
    });
    if auth.admin {
        capabilities["m.account_moderation"] = json!({"suspend": true, "lock": true});
    }
    Json(json!({"capabilities": capabilities}))
}
