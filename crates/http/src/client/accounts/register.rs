//! `POST /_matrix/client/v3/register`.

use axum::extract::State;
use olmstead_service::{
    Refusal,
    accounts::register::{self, Registered, Registration},
};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{
    App,
    error::{ApiError, ApiResult},
    extract::{Json, ObjectBody, Query},
};

#[derive(Debug, Deserialize)]
pub(super) struct Kind {
    kind: Option<String>,
}

/// Of a guest's body only the name of the device counts, whatever else is in it.
#[derive(Debug, Default, Deserialize)]
struct GuestWish {
    initial_device_display_name: Option<String>,
}

pub(super) async fn post(
    State(app): State<App>,
    Query(query): Query<Kind>,
    body: ObjectBody,
) -> ApiResult<Json<Map<String, Value>>> {
    let registered = match query.kind.as_deref() {
        None | Some("user") => register::register(&app.cx, body.read::<Registration>()?, &body.0).await?,
        Some("guest") => {
            let wish: GuestWish = body.read().unwrap_or_default();
            register::register_guest(&app.cx, wish.initial_device_display_name).await?
        }
        Some(_) => return Err(ApiError::refused(Refusal::InvalidParam, "kind is one of user and guest.")),
    };
    Ok(Json(answer(&app, &registered)))
}

fn answer(app: &App, registered: &Registered) -> Map<String, Value> {
    if let Some(login) = &registered.login {
        return super::login_members(&app.cx, login);
    }
    let mut members = Map::new();
    members.insert("user_id".to_owned(), registered.user_id.as_str().into());
    members.insert("home_server".to_owned(), app.cx.config.server_name.as_str().into());
    members
}
