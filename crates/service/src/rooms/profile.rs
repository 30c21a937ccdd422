//! What member events tell about a user.

use olmstead_domain::rooms::membership::Profile;
use ruma::UserId;

use crate::{Context, Result};

/// The user's profile as it goes into member events; empty for an unknown user.
pub async fn member_profile(cx: &Context, user_id: &UserId) -> Result<Profile> {
    let fields = cx.storage.profile(user_id).await?.unwrap_or_default();
    let text =
        |name: &str| fields.iter().find(|(field, _)| field == name).and_then(|(_, value)| value.read::<String>().ok());
    Ok(Profile { displayname: text("displayname"), avatar_url: text("avatar_url") })
}
