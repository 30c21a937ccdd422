//! Push rules and pushers.

mod actions;
mod all;
mod enabled;
mod pushers;
mod rule;

use axum::{
    Router,
    routing::{get, post},
};
use olmstead_service::Refusal;
use ruma::push::RuleKind;

use crate::{
    App,
    error::{ApiError, ApiResult},
    routes::ClientRoutes as _,
};

/// The endpoints of push rules and pushers.
pub(super) fn routes() -> Router<App> {
    Router::new()
        // The spec has the final slash; some clients leave it out.
        .v3("/pushrules/", get(all::get))
        .v3("/pushrules", get(all::get))
        .v3("/pushrules/global/", get(all::get_global))
        .v3("/pushrules/global", get(all::get_global))
        .v3("/pushrules/global/{kind}/{rule_id}", get(rule::get).put(rule::put).delete(rule::delete))
        .v3("/pushrules/global/{kind}/{rule_id}/enabled", get(enabled::get).put(enabled::put))
        .v3("/pushrules/global/{kind}/{rule_id}/actions", get(actions::get).put(actions::put))
        .v3("/pushers", get(pushers::get))
        .v3("/pushers/set", post(pushers::set))
}

/// The kind a path names.
fn kind(name: &str) -> ApiResult<RuleKind> {
    match name {
        "override" => Ok(RuleKind::Override),
        "underride" => Ok(RuleKind::Underride),
        "sender" => Ok(RuleKind::Sender),
        "room" => Ok(RuleKind::Room),
        "content" => Ok(RuleKind::Content),
        _ => Err(ApiError::refused(Refusal::InvalidParam, "There is no such kind of push rule.")),
    }
}
