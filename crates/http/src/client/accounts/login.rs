//! `GET` and `POST /_matrix/client/v3/login`.

use axum::extract::State;
use olmstead_service::{
    Refusal,
    accounts::{
        DeviceWishes,
        login::{self, Proof},
    },
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    App,
    error::{ApiError, ApiResult},
    extract::{Json, JsonBody},
};

#[derive(Debug, Deserialize)]
pub(super) struct Login {
    #[serde(rename = "type")]
    kind: String,
    identifier: Option<Identifier>,
    /// The name, as it was sent before there were identifiers.
    user: Option<String>,
    /// A third-party address, as it was sent before there were identifiers.
    address: Option<String>,
    password: Option<String>,
    token: Option<String>,
    device_id: Option<String>,
    initial_device_display_name: Option<String>,
    refresh_token: Option<bool>,
}

#[derive(Debug, Deserialize)]
struct Identifier {
    #[serde(rename = "type")]
    kind: String,
    user: Option<String>,
}

pub(super) async fn get() -> Json<Value> {
    Json(json!({"flows": [
        {"type": "m.login.password"},
        {"type": "m.login.token", "get_login_token": true},
    ]}))
}

pub(super) async fn post(
    State(app): State<App>,
    JsonBody(mut wish): JsonBody<Login>,
) -> ApiResult<Json<Map<String, Value>>> {
    let device = DeviceWishes {
        device_id: wish.device_id.take(),
        initial_display_name: wish.initial_device_display_name.take(),
        refresh_token: wish.refresh_token.unwrap_or(false),
    };
    let login = login::login(&app.cx, proof(wish)?, &device).await?;
    let mut answer = super::login_members(&app.cx, &login);
    if let Some(well_known) = super::well_known(&app.cx) {
        answer.insert("well_known".to_owned(), well_known);
    }
    Ok(Json(answer))
}

fn proof(wish: Login) -> ApiResult<Proof> {
    let missing = |name: &str| ApiError::refused(Refusal::MissingParam, format!("{name} is missing."));
    match wish.kind.as_str() {
        "m.login.password" => {
            let user = match (wish.identifier, wish.user) {
                (Some(Identifier { kind, user }), _) if kind == "m.id.user" => {
                    user.ok_or_else(|| missing("identifier.user"))?
                }
                // No account here has such an address, and that is what is told.
                (Some(Identifier { kind, .. }), _) if kind == "m.id.thirdparty" || kind == "m.id.phone" => {
                    return Err(ApiError::refused(Refusal::Forbidden, "The user name or the password is wrong."));
                }
                (Some(_), _) => {
                    return Err(ApiError::refused(Refusal::Unknown, "This type of identifier is not known."));
                }
                (None, Some(user)) => user,
                (None, None) if wish.address.is_some() => {
                    return Err(ApiError::refused(Refusal::Forbidden, "The user name or the password is wrong."));
                }
                (None, None) => return Err(missing("identifier")),
            };
            Ok(Proof::Password { user, password: wish.password.ok_or_else(|| missing("password"))? })
        }
        "m.login.token" => Ok(Proof::Token(wish.token.ok_or_else(|| missing("token"))?)),
        _ => Err(ApiError::refused(Refusal::Unknown, "This type of login is not known.")),
    }
}
