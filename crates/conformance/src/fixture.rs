//! What an engine gives to the suite, and how a case gets its store.

use olmstead_domain::backup::BackupVersion;
use olmstead_storage::backups::{BackupKey, BackupSelection, StoredBackupKey};
use ruma::UserId;
use std::{any::Any, env, future::Future, ops::Deref, pin::Pin, sync::Arc, time::Duration};

use async_trait::async_trait;
use olmstead_storage::{SharedStorage, Storage};

use crate::crash;

/// No case takes this long; one that does hangs.
const CASE_DEADLINE: Duration = Duration::from_secs(300);

/// How the suite gets stores of one engine.
#[async_trait]
pub trait Fixture: 'static {
    /// Where a store's data lies, such as a temporary directory or a database of its own. Dropping it deletes the data.
    type Place: Send + Sync + 'static;

    /// A new place with nothing in it.
    async fn place() -> Self::Place;

    /// The place in words that another process can open it by, such as a path or a URL.
    fn address(place: &Self::Place) -> String;

    /// Opens the store at an address: an empty one at a new place, the same data as before at a used one. The suite opens
    /// a place again only after it closed the store and dropped it, or killed its process.
    async fn open(address: &str) -> SharedStorage;

    /// A copy of the data at an address, at a place of its own, as an operator makes one by hand and uses later. The store
    /// is closed.
    async fn copy(address: &str) -> Self::Place;

    /// Another node on a store that is open. Engines for one process give the store itself.
    async fn node(address: &str, open: &SharedStorage) -> SharedStorage {
        let _ = address;
        Arc::clone(open)
    }
}

type Place = Arc<dyn Any + Send + Sync>;
type Opening<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The engine behind a store, without its type: cases are not generic.
struct Engine {
    place: fn() -> Opening<(Place, String)>,
    open: fn(String) -> Opening<SharedStorage>,
    copy: fn(String) -> Opening<(Place, String)>,
    node: fn(String, SharedStorage) -> Opening<SharedStorage>,
}

/// A store that a case works on. Clones are of the same store.
#[derive(Clone)]
pub struct Store {
    // Before `place`: a store is dropped before its data.
    storage: SharedStorage,
    place: Place,
    address: String,
    engine: Arc<Engine>,
    test_name: Arc<str>,
}

impl Store {
    async fn create(engine: Arc<Engine>, test_name: Arc<str>) -> Self {
        let (place, address) = (engine.place)().await;
        let storage = (engine.open)(address.clone()).await;
        Self { storage, place, address, engine, test_name }
    }

    /// Another store of the same engine, with nothing in it.
    pub async fn another(&self) -> Self {
        Self::create(Arc::clone(&self.engine), Arc::clone(&self.test_name)).await
    }

    /// Another node on the same data.
    pub(crate) async fn node(&self) -> Self {
        let storage = (self.engine.node)(self.address.clone(), Arc::clone(&self.storage)).await;
        Self { storage, ..self.clone() }
    }

    /// Closes the store and opens the same data again. No clone may be left.
    ///
    /// # Panics
    /// If the store does not close.
    pub async fn reopen(self) -> Self {
        self.close_and_leave().await.open().await
    }

    /// Closes the store and drops it, so that another process may open the data. No clone may be left.
    pub(crate) async fn close_and_leave(self) -> Vacant {
        self.storage.close().await.expect("the store closes");
        let Self { storage, place, address, engine, test_name } = self;
        assert_eq!(Arc::strong_count(&storage), 1, "the case still holds clones of the store");
        Vacant { place, address, engine, test_name }
    }
}

/// Data that this process has not open.
pub(crate) struct Vacant {
    place: Place,
    address: String,
    engine: Arc<Engine>,
    test_name: Arc<str>,
}

impl Vacant {
    /// Opens the data.
    pub(crate) async fn open(self) -> Store {
        let Self { place, address, engine, test_name } = self;
        let storage = (engine.open)(address.clone()).await;
        Store { storage, place, address, engine, test_name }
    }

    /// See [`Fixture::copy`].
    pub(crate) async fn copy(&self) -> Self {
        let (place, address) = (self.engine.copy)(self.address.clone()).await;
        Self { place, address, engine: Arc::clone(&self.engine), test_name: Arc::clone(&self.test_name) }
    }

    /// See [`Fixture::address`].
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The test's name in the test binary, to start it in another process.
    pub(crate) fn test_name(&self) -> &str {
        &self.test_name
    }
}

impl Store {
    /// [`olmstead_storage::Backups::backup_keys`], with the data of the keys read.
    pub(crate) async fn backup_keys(
        &self,
        user_id: &UserId,
        version: BackupVersion,
        selection: BackupSelection<'_>,
    ) -> olmstead_storage::Result<Option<Vec<BackupKey>>> {
        let stored = self.storage.backup_keys(user_id, version, selection).await?;
        stored.map(|keys| keys.into_iter().map(StoredBackupKey::read).collect()).transpose()
    }
}

impl Deref for Store {
    type Target = dyn Storage;

    fn deref(&self) -> &Self::Target {
        &*self.storage
    }
}

/// Runs one case on a fresh store. `test_path` is the path of the test function, with its crate.
///
/// # Panics
/// If the case fails.
pub fn run<F: Fixture, C>(case: C, test_path: &str)
where
    C: AsyncFnOnce(Store),
{
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let engine = Arc::new(Engine {
            place: || {
                Box::pin(async {
                    let place = F::place().await;
                    let address = F::address(&place);
                    (Arc::new(place) as Place, address)
                })
            },
            copy: |address| {
                Box::pin(async move {
                    let place = F::copy(&address).await;
                    let address = F::address(&place);
                    (Arc::new(place) as Place, address)
                })
            },
            open: |address| Box::pin(async move { F::open(&address).await }),
            node: |address, open| Box::pin(async move { F::node(&address, &open).await }),
        });
        // libtest names a test by its path in the crate.
        let test_name: Arc<str> = test_path.split_once("::").map_or(test_path, |(_, name)| name).into();
        if let Ok(address) = env::var(crash::ADDRESS) {
            let place = Arc::new(());
            return crash::child(Vacant { place, address, engine, test_name }.open().await).await;
        }
        let store = Store::create(engine, test_name).await;
        tokio::time::timeout(CASE_DEADLINE, case(store)).await.expect("the case ends in time");
    });
}
