//! `POST /_matrix/client/v3/account/password`.

use axum::extract::State;
use olmstead_service::accounts::password;
use serde::Deserialize;

use crate::{
    App,
    auth::Auth,
    error::ApiResult,
    extract::{Empty, ObjectBody},
};

#[derive(Debug, Deserialize)]
struct Wish {
    new_password: String,
    #[serde(default = "yes")]
    logout_devices: bool,
}

const fn yes() -> bool {
    true
}

pub(super) async fn post(State(app): State<App>, auth: Auth, body: ObjectBody) -> ApiResult<Empty> {
    let wish: Wish = body.read()?;
    password::change(&app.cx, &auth, wish.new_password, wish.logout_devices, &body.0).await?;
    Ok(Empty)
}
