//! A server inside the test process, through the library.

use std::{net::SocketAddr, sync::mpsc, thread, time::Duration};

use tokio::{net::TcpListener, sync::oneshot};

use super::{Engine, engine::Place};

/// What makes a server other than usual.
pub(super) type Setting = Box<dyn FnOnce(olmstead::ServerBuilder) -> olmstead::ServerBuilder + Send>;

/// A server on a thread and a runtime of its own, so that it outlives the runtime of the test that asked first.
pub(super) struct InProcess {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl InProcess {
    pub(super) fn start(engine: Engine, setting: Setting) -> Self {
        let (ready, started) = mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = thread::Builder::new()
            .name("server".to_owned())
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_multi_thread()
                    .worker_threads(2)
                    .enable_all()
                    .build()
                    .expect("a runtime");
                let place = Place::new(engine);
                runtime.block_on(async {
                    let builder = place.choose(olmstead::Server::builder("localhost"));
                    let server = setting(builder.open_registration()).build().await.expect("a server");
                    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
                    ready.send(listener.local_addr().expect("an address")).expect("a test that waits");
                    let stop = async move {
                        let _ = stopped.await;
                    };
                    server.serve(listener, stop).await.expect("the server ends well");
                });
            })
            .expect("a thread");
        let address = started.recv_timeout(Duration::from_secs(60)).expect("the server starts");
        Self { address, stop: Some(stop), thread: Some(thread) }
    }

    pub(super) fn base(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for InProcess {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            if !thread::panicking() {
                ended.expect("the server ends without a panic");
            }
        }
    }
}
