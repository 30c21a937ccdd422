//! Uploaded media.

use bytes::Bytes;
use olmstead_storage::media::MediaInfo;

use crate::{
    Store,
    support::{parallel, user_id},
};

fn info(size: usize, uploaded: bool) -> MediaInfo {
    MediaInfo {
        user_id: user_id("alice"),
        content_type: Some("application/octet-stream".to_owned()),
        file_name: Some("caf\u{e9} \"x\".bin".to_owned()),
        size: u64::try_from(size).unwrap(),
        created_at: 1_000,
        uploaded,
        unauthenticated: false,
    }
}

fn content(size: usize, salt: usize) -> Bytes {
    (0..size).map(|at| u8::try_from((at * 31 + at / 251 + salt) % 256).unwrap()).collect()
}

/// Bytes come back exactly, of any size (MED-5).
pub async fn media_comes_back_byte_for_byte(store: Store) {
    for size in [0, 1, 255, 65_536, 3_000_001] {
        let (id, bytes) = (format!("size{size}"), content(size, 0));
        assert!(store.put_media(&id, info(size, true), Some(bytes.clone())).await.unwrap());
        assert_eq!(store.media_info(&id).await.unwrap(), Some(info(size, true)));
        assert_eq!(store.media_content(&id).await.unwrap(), Some(bytes));
    }
    assert_eq!(store.media_info("unknown").await.unwrap(), None);
    assert_eq!(store.media_content("unknown").await.unwrap(), None);
}

/// An id may be reserved first, and is then filled once.
pub async fn a_reserved_id_is_filled_once(store: Store) {
    assert!(store.put_media("id", info(0, false), None).await.unwrap());
    assert_eq!(store.media_info("id").await.unwrap(), Some(info(0, false)));
    assert_eq!(store.media_content("id").await.unwrap(), None);
    let store = store.reopen().await;
    assert!(store.put_media("id", info(10, true), Some(content(10, 1))).await.unwrap());
    assert_eq!(store.media_info("id").await.unwrap(), Some(info(10, true)));
    assert!(!store.put_media("id", info(20, true), Some(content(20, 2))).await.unwrap());
    assert_eq!(store.media_content("id").await.unwrap(), Some(content(10, 1)));
    assert_eq!(store.media_info("id").await.unwrap(), Some(info(10, true)));
}

/// Of parallel uploads to one id one is stored, whole.
pub async fn content_is_stored_once(store: Store) {
    let answers = parallel(8, |task| {
        let store = store.clone();
        async move { store.put_media("id", info(5_000 + task, true), Some(content(5_000 + task, task))).await.unwrap() }
    })
    .await;
    let won: Vec<usize> = answers.iter().enumerate().filter(|(_, won)| **won).map(|(task, _)| task).collect();
    assert_eq!(won.len(), 1);
    assert_eq!(store.media_content("id").await.unwrap(), Some(content(5_000 + won[0], won[0])));
    assert_eq!(store.media_info("id").await.unwrap(), Some(info(5_000 + won[0], true)));
}

/// Media is there after a restart.
pub async fn media_survives_a_restart(store: Store) {
    store.put_media("id", info(100_000, true), Some(content(100_000, 3))).await.unwrap();
    let store = store.reopen().await;
    assert_eq!(store.media_content("id").await.unwrap(), Some(content(100_000, 3)));
    assert_eq!(store.media_info("id").await.unwrap(), Some(info(100_000, true)));
}
