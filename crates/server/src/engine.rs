//! The storage engines this build has.

#[cfg(feature = "rocksdb")]
use std::path::Path;

use olmstead_storage::SharedStorage;

use crate::ServerError;

/// Opens the embedded engine in a directory, which is made if it is not there.
#[cfg(feature = "rocksdb")]
pub(crate) async fn rocksdb(path: &Path, options: olmstead_rocksdb::Options) -> Result<SharedStorage, ServerError> {
    let path = path.to_owned();
    #[cfg(feature = "drill-faults")]
    let options = crate::faults::rocksdb(options);
    let opened = tokio::task::spawn_blocking(move || olmstead_rocksdb::RocksStore::open(&path, options));
    match opened.await {
        Ok(Ok(store)) => Ok(store),
        Ok(Err(error)) => Err(ServerError::Open(error.to_string())),
        Err(error) => Err(ServerError::Open(error.to_string())),
    }
}

/// Connects to the database at a URL, which is set up if it is empty.
#[cfg(feature = "postgres")]
pub(crate) async fn postgres(
    url: &crate::config::Secret,
    options: olmstead_postgres::Options,
) -> Result<SharedStorage, ServerError> {
    #[cfg(feature = "drill-faults")]
    let options = crate::faults::postgres(options);
    match olmstead_postgres::PostgresStore::open(url.reveal(), options).await {
        Ok(store) => Ok(store),
        Err(error) => Err(ServerError::Open(error.to_string())),
    }
}
