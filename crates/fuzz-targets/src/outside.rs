//! What reads requests and media, and what writes keys of stores.

/// Bodies: with an answer, and one of the statuses of the client's fault.
pub(crate) fn http_json(data: &[u8]) {
    olmstead_http::fuzzing::body(data);
}

/// Queries and the token in them.
pub(crate) fn http_query(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        olmstead_http::fuzzing::query(text);
    }
}

/// Content types and file names, with a line break between.
pub(crate) fn media_headers(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (kind, name) = text.split_once('\n').unwrap_or((&text, ""));
    olmstead_http::fuzzing::media_headers(kind, name);
}

/// Images, or what says so.
pub(crate) fn thumbnail(data: &[u8]) {
    olmstead_service::media::thumbnail::fuzz(data);
}

/// Keys of RocksDB.
pub(crate) fn rocksdb_keys(data: &[u8]) {
    olmstead_rocksdb::fuzzing::keys(data);
}

/// Texts in PostgreSQL.
pub(crate) fn postgres_text(data: &[u8]) {
    olmstead_postgres::fuzzing::text(data);
}
