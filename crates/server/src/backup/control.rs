//! Orders to a running server, by a socket in the directory of its store.
//!
//! Only the process that has an embedded store open can copy it. The socket is in a directory of its own that nobody but
//! its owner may enter, so whoever reaches it may read the store anyway. One line of JSON asks, one line answers.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use olmstead_domain::position::Epoch;
use olmstead_storage::{SharedStorage, maintenance::StoreFacts, with_causes};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{UnixListener, UnixStream},
    sync::watch,
};

/// How long a client may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest order or answer, bytes.
const LONGEST: u64 = 64 << 10;

/// What a server is asked to do.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Order {
    /// To copy its store into a directory.
    Checkpoint(PathBuf),
}

/// What it answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    /// What the copy is of.
    Copied { server_name: Option<String>, schema: u64, epoch: u64 },
    /// What went wrong.
    Failed(String),
}

/// The socket of the server whose store is in a directory.
pub(super) fn socket(store: &Path) -> PathBuf {
    store.join("control").join("socket")
}

/// Makes the socket. The store must be open, so that nobody else uses the one that may be left from a crash.
pub(crate) fn listen(store: &Path) -> io::Result<UnixListener> {
    let socket = socket(store);
    let directory = store.join("control");
    match fs::DirBuilder::new().mode(0o700).create(&directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::set_permissions(&directory, fs::Permissions::from_mode(0o700))?;
        }
        made => made?,
    }
    match fs::remove_file(&socket) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&socket)?;
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Answers one client after the other until the server stops.
pub(crate) async fn serve(storage: SharedStorage, listener: UnixListener, mut stopped: watch::Receiver<bool>) {
    loop {
        let next = async {
            match listener.accept().await {
                Ok((client, _)) => {
                    if let Err(error) = answer(&storage, client).await {
                        tracing::warn!(%error, "a client of the control socket was not answered");
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "the control socket failed");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        };
        tokio::select! {
            () = next => {}
            _ = stopped.wait_for(|stopped| *stopped) => return,
        }
    }
}

async fn answer(storage: &SharedStorage, client: UnixStream) -> io::Result<()> {
    let (reader, mut writer) = client.into_split();
    let mut line = String::new();
    let mut reader = BufReader::new(reader.take(LONGEST));
    tokio::time::timeout(PATIENCE, reader.read_line(&mut line)).await??;
    let answer = match serde_json::from_str(&line) {
        Ok(Order::Checkpoint(directory)) => match storage.checkpoint(&directory).await {
            Ok(Some(StoreFacts { server_name, schema, epoch: Epoch(epoch) })) => {
                tracing::info!(directory = %directory.display(), "copied the store for a backup");
                Answer::Copied { server_name, schema, epoch }
            }
            Ok(None) => Answer::Failed("the engine has no files of its own".to_owned()),
            Err(error) => Answer::Failed(with_causes(&error)),
        },
        Err(error) => Answer::Failed(format!("the order is not understood: {error}")),
    };
    let mut text = serde_json::to_string(&answer)?;
    text.push('\n');
    tokio::time::timeout(PATIENCE, writer.write_all(text.as_bytes())).await?
}

/// Asks the server on a store to copy it. `None` if none listens.
#[cfg(feature = "rocksdb")]
pub(super) async fn checkpoint(store: &Path, directory: &Path) -> io::Result<Option<Result<StoreFacts, String>>> {
    let mut client = match UnixStream::connect(socket(store)).await {
        Ok(client) => client,
        Err(error) if [io::ErrorKind::NotFound, io::ErrorKind::ConnectionRefused].contains(&error.kind()) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let mut order = serde_json::to_string(&Order::Checkpoint(directory.to_owned()))?;
    order.push('\n');
    client.write_all(order.as_bytes()).await?;
    let mut text = String::new();
    client.take(LONGEST).read_to_string(&mut text).await?;
    Ok(Some(match serde_json::from_str(&text)? {
        Answer::Copied { server_name, schema, epoch } => Ok(StoreFacts { server_name, schema, epoch: Epoch(epoch) }),
        Answer::Failed(what) => Err(what),
    }))
}
