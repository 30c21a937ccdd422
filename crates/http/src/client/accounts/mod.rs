//! Registering, logging in and out, tokens, passwords, the end of an account, and what administrators do with accounts.

mod admin_register;
mod deactivate;
mod login;
mod login_token;
mod logout;
mod moderation;
mod openid;
mod password;
mod refresh;
mod register;
mod register_available;
mod registration_token;
mod third_party_ids;
mod whoami;

use axum::{
    Router,
    routing::{get, post},
};
use olmstead_service::{Context, accounts::NewLogin};
use serde_json::{Map, Value, json};

use crate::{App, routes::ClientRoutes as _};

/// The endpoints of accounts and sessions.
pub(super) fn routes() -> Router<App> {
    Router::new()
        .v3("/register", post(register::post))
        .v3("/register/available", get(register_available::get))
        .v1("/register/m.login.registration_token/validity", get(registration_token::get))
        .v3("/login", get(login::get).post(login::post))
        .v1("/login/get_token", post(login_token::post))
        .v3("/logout", post(logout::post))
        .v3("/logout/all", post(logout::post_all))
        .v3("/refresh", post(refresh::post))
        .v1("/refresh", post(refresh::post))
        .v3("/account/whoami", get(whoami::get))
        .v3("/account/password", post(password::post))
        .v3("/account/deactivate", post(deactivate::post))
        .v3("/account/3pid", get(third_party_ids::get))
        .v3("/user/{user_id}/openid/request_token", post(openid::post))
        .route("/_matrix/federation/v1/openid/userinfo", get(openid::user_info))
        .v1("/admin/lock/{user_id}", get(moderation::get_lock).put(moderation::put_lock))
        .v1("/admin/suspend/{user_id}", get(moderation::get_suspension).put(moderation::put_suspension))
        .route("/_synapse/admin/v1/register", get(admin_register::get).post(admin_register::post))
}

/// The members that answers to a login and a registration share.
fn login_members(cx: &Context, login: &NewLogin) -> Map<String, Value> {
    let mut members = Map::new();
    let mut put = |name: &str, value: Value| members.insert(name.to_owned(), value);
    put("user_id", login.user_id.as_str().into());
    put("device_id", login.device_id.as_str().into());
    put("access_token", login.tokens.access_token.clone().into());
    // Deprecated, and still read by some.
    put("home_server", cx.config.server_name.as_str().into());
    if let Some(token) = &login.tokens.refresh_token {
        put("refresh_token", token.clone().into());
    }
    if let Some(lifetime) = login.tokens.expires_in_ms {
        put("expires_in_ms", lifetime.into());
    }
    members
}

/// What `.well-known/matrix/client` says, where the operator named a public address.
pub(super) fn well_known(cx: &Context) -> Option<Value> {
    let base_url = cx.config.public_base_url.as_ref()?;
    Some(json!({"m.homeserver": {"base_url": base_url}}))
}
