//! `GET /_matrix/client/v3/voip/turnServer`: there is no TURN server, which an empty object says.

use crate::{
    auth::{AnyActive, Auth},
    extract::Empty,
};

pub(super) async fn get(_: Auth<AnyActive>) -> Empty {
    Empty
}
