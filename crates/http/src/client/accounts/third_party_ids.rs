//! `GET /_matrix/client/v3/account/3pid`: accounts here have no third-party identifiers, and the capability
//! `m.3pid_changes` says that none can be added.

use serde_json::{Value, json};

use crate::{
    auth::{Auth, SuspendedToo},
    extract::Json,
};

pub(super) async fn get(_: Auth<SuspendedToo>) -> Json<Value> {
    Json(json!({"threepids": []}))
}
