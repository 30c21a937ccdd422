//! Random commands on the store and on a model of plain maps: the answers are the same.

use crate::{Store, model};

/// One-time keys, fallback keys and identity keys, over logins and deletions.
pub async fn keys_agree_with_the_model(store: Store) {
    model::check::<model::keys::Model>("keys", store).await;
}

/// Inboxes, transactions and acknowledgements.
pub async fn inboxes_agree_with_the_model(store: Store) {
    model::check::<model::inboxes::Model>("inboxes", store).await;
}

/// Versions and keys of backups.
pub async fn backups_agree_with_the_model(store: Store) {
    model::check::<model::backups::Model>("backups", store).await;
}

/// The log of changes of device lists. The store may name more users than the model where several change at once, but
/// never fewer; here nothing is at once, so it names the same.
pub async fn device_lists_agree_with_the_model(store: Store) {
    model::check::<model::device_lists::Model>("device_lists", store).await;
}

/// Memberships, members at places, shared rooms, forgotten rooms.
pub async fn memberships_agree_with_the_model(store: Store) {
    model::check::<model::memberships::Model>("memberships", store).await;
}
