//! The way to a collector: HTTP without TLS, by the server's own runtime.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use tokio::runtime::Handle;

/// For one message. What is not sent in time is dropped: nothing here may hold up the server.
const PATIENCE: Duration = Duration::from_secs(10);
/// A collector answers with a few words.
const MOST: usize = 64 << 10;

/// Sends from whatever thread by one runtime.
#[derive(Debug)]
pub(super) struct Collector {
    client: Client<HttpConnector, Full<Bytes>>,
    runtime: Handle,
}

impl Collector {
    pub(super) fn new(runtime: Handle) -> Self {
        Self { client: Client::builder(TokioExecutor::new()).build_http(), runtime }
    }
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let sent = async move {
            let response = client.request(request.map(Full::new)).await?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, MOST).collect().await?.to_bytes();
            Ok::<_, HttpError>(Response::from_parts(head, body))
        };
        // The exporters wait on threads of their own, where there is no runtime.
        self.runtime.spawn(async move { tokio::time::timeout(PATIENCE, sent).await }).await??
    }
}
