//! The way to the admin API of a running server.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use bytes::Bytes;
use clap::Args;
use http_body_util::{BodyExt as _, Full};
use hyper::{Method, Request, StatusCode, header};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use olmstead::{Config, ServerError, config::Secret};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// For one answer.
const PATIENCE: Duration = Duration::from_secs(120);

/// Entries that are asked for at once.
const PAGE: usize = 500;

/// Why a command did not do what it should, in sentences for an operator.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// The configuration or the server failed.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// It is not known where the server is or what lets one in.
    #[error("{0}")]
    NotReachable(String),
    /// Nobody answers there.
    #[error("{url} does not answer: {problem}")]
    Silent {
        /// Where.
        url: String,
        /// What went wrong.
        problem: String,
    },
    /// The server refused.
    #[error("{message} ({status}, {code})")]
    Refused {
        /// The status.
        status: StatusCode,
        /// The errcode.
        code: String,
        /// The sentence.
        message: String,
    },
    /// The answer is not what this version understands.
    #[error("the server answered something that this version of the command does not understand: {0}")]
    Strange(String),
    /// What was asked for is not there.
    #[error("{0}")]
    NotThere(String),
    /// Something is wrong with what was looked at, which was told already.
    #[error("see above")]
    Found,
    /// The operator said no.
    #[error("nothing was done")]
    Declined,
    /// The terminal or a file failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Where the server is, and what lets one in.
#[derive(Debug, Clone, Args)]
pub(crate) struct Reach {
    /// The configuration of the server: its `admin.listen` and `admin.tokens` are used where nothing else is said.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The admin address, such as `http://127.0.0.1:9008`. Also OLMSTEAD_ADMIN_URL.
    #[arg(long, global = true, value_name = "URL")]
    url: Option<String>,
    /// A file with the token of an operator. The token itself may be in OLMSTEAD_ADMIN_TOKEN.
    #[arg(long, global = true, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Which of the tokens of the configuration to use, if there are several.
    #[arg(long, global = true, value_name = "NAME")]
    operator: Option<String>,
    /// Print the answer of the server as JSON.
    #[arg(long, global = true)]
    json: bool,
}

impl Reach {
    /// Runs a command that asks the server.
    pub(crate) fn run(&self, command: impl AsyncFnOnce(&Api) -> Result<(), ApiError>) -> Result<(), ApiError> {
        let api = self.api()?;
        tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(command(&api))
    }

    fn api(&self) -> Result<Api, ApiError> {
        let variable = |name| std::env::var(name).ok().filter(|text| !text.is_empty());
        let mut config = None;
        let mut url = self.url.clone().or_else(|| variable("OLMSTEAD_ADMIN_URL"));
        let mut token = match &self.token_file {
            Some(file) => Some(std::fs::read_to_string(file)?.trim().to_owned()),
            None => variable("OLMSTEAD_ADMIN_TOKEN"),
        };
        if url.is_none() || token.is_none() {
            config = Some(Config::load(self.config.as_deref())?);
        }
        if let Some(config) = &config {
            if url.is_none() {
                url = config.admin.listen.first().map(|listen| from_here(listen));
            }
            if token.is_none() {
                token = Some(self.choose(config)?.reveal().to_owned());
            }
        }
        let missing = |what: &str| ApiError::NotReachable(what.to_owned());
        let url = url.ok_or_else(|| {
            missing("it is not known where the server is: admin.listen is not set, and neither are --url and OLMSTEAD_ADMIN_URL")
        })?;
        let token = token.ok_or_else(|| missing("there is no token of an operator"))?;
        Ok(Api {
            client: Client::builder(TokioExecutor::new()).build_http(),
            url: url.trim_end_matches('/').to_owned(),
            token,
            json: self.json,
        })
    }

    fn choose<'a>(&self, config: &'a Config) -> Result<&'a Secret, ApiError> {
        let tokens = &config.admin.tokens;
        let problem = match (&self.operator, tokens.len()) {
            (Some(name), _) => match tokens.get(name) {
                Some(token) => return Ok(token),
                None => format!("admin.tokens has no \"{name}\""),
            },
            (None, 1) => match tokens.values().next() {
                Some(token) => return Ok(token),
                None => String::new(),
            },
            (None, 0) => "there is no token: set admin.tokens, OLMSTEAD_ADMIN_TOKEN or --token-file".to_owned(),
            (None, _) => {
                let names: Vec<&str> = tokens.keys().map(String::as_str).collect();
                format!("admin.tokens has several: say with --operator which ({})", names.join(", "))
            }
        };
        Err(ApiError::NotReachable(problem))
    }
}

/// An address to listen on, as one reaches it from this machine.
fn from_here(listen: &str) -> String {
    match listen.parse::<SocketAddr>() {
        Ok(address) if address.ip().is_unspecified() && address.is_ipv4() => {
            format!("http://127.0.0.1:{}", address.port())
        }
        Ok(address) if address.ip().is_unspecified() => format!("http://[::1]:{}", address.port()),
        _ => format!("http://{listen}"),
    }
}

/// The admin API.
pub(crate) struct Api {
    client: Client<HttpConnector, Full<Bytes>>,
    url: String,
    token: String,
    json: bool,
}

impl Api {
    /// Asks for something. `path` is what comes after the prefix of the API, with its query.
    pub(crate) async fn get(&self, path: &str) -> Result<Answer, ApiError> {
        self.send(Method::GET, path, Bytes::new()).await
    }

    /// Has something done.
    pub(crate) async fn post(&self, path: &str, body: &impl Serialize) -> Result<Answer, ApiError> {
        let body = serde_json::to_vec(body).map_err(|error| ApiError::Strange(error.to_string()))?;
        self.send(Method::POST, path, body.into()).await
    }

    /// Has something put in the place of what there is.
    pub(crate) async fn put(&self, path: &str, body: &impl Serialize) -> Result<Answer, ApiError> {
        let body = serde_json::to_vec(body).map_err(|error| ApiError::Strange(error.to_string()))?;
        self.send(Method::PUT, path, body.into()).await
    }

    /// Has something deleted.
    pub(crate) async fn delete(&self, path: &str) -> Result<Answer, ApiError> {
        self.send(Method::DELETE, path, Bytes::new()).await
    }

    /// Reads page after page of a list, from after `from` on, to its end or `limit`; with it comes where to go on.
    pub(crate) async fn pages<P: DeserializeOwned, T>(
        &self,
        path: &str,
        mut from: Option<String>,
        limit: Option<usize>,
        entries: impl Fn(P) -> (Vec<T>, Option<String>),
    ) -> Result<(Vec<T>, Option<String>), ApiError> {
        let mut all = Vec::new();
        loop {
            let size = limit.map_or(PAGE, |limit| limit.saturating_sub(all.len()).clamp(1, PAGE));
            let after = from.as_deref().map(|from| format!("&from={}", encoded(from))).unwrap_or_default();
            let (page, next) = entries(self.get(&format!("{path}?limit={size}{after}")).await?.read()?);
            all.extend(page);
            if next.is_none() || limit.is_some_and(|limit| all.len() >= limit) {
                return Ok((all, next));
            }
            from = next;
        }
    }

    /// Whether answers are to be printed as they are.
    pub(crate) const fn is_json(&self) -> bool {
        self.json
    }

    /// Prints something as JSON.
    pub(crate) fn print_json(&self, value: &impl Serialize) -> Result<(), ApiError> {
        let value = serde_json::to_value(value).map_err(|error| ApiError::Strange(error.to_string()))?;
        println!("{value:#}");
        Ok(())
    }

    async fn send(&self, method: Method, path: &str, body: Bytes) -> Result<Answer, ApiError> {
        let silent = |problem: String| ApiError::Silent { url: self.url.clone(), problem };
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{}{path}", self.url, olmstead_http::admin::PREFIX))
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|error| ApiError::NotReachable(format!("{} is no URL: {error}", self.url)))?;
        let answer = async {
            let response = self.client.request(request).await.map_err(|error| silent(causes(&error)))?;
            let (head, body) = response.into_parts();
            let body = body.collect().await.map_err(|error| silent(causes(&error)))?.to_bytes();
            Ok::<_, ApiError>((head.status, body))
        };
        let answered = tokio::time::timeout(PATIENCE, answer).await;
        let (status, body) = answered.map_err(|_| silent(format!("not within {} s", PATIENCE.as_secs())))??;
        let body: Value = serde_json::from_slice(&body).map_err(|error| ApiError::Strange(error.to_string()))?;
        if status.is_success() {
            return Ok(Answer(body));
        }
        let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or("no reason given").to_owned();
        Err(ApiError::Refused { status, code: text("errcode"), message: text("error") })
    }
}

fn causes(error: &dyn std::error::Error) -> String {
    olmstead_storage::with_causes(error)
}

/// What the server answered.
#[derive(Debug, Clone)]
pub(crate) struct Answer(pub(crate) Value);

impl Answer {
    /// The answer read.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        T::deserialize(&self.0).map_err(|error| ApiError::Strange(error.to_string()))
    }

    /// Prints it as JSON if that is wanted, else as `show` does.
    pub(crate) fn print<T: DeserializeOwned>(&self, api: &Api, show: impl FnOnce(T)) -> Result<(), ApiError> {
        if api.is_json() {
            println!("{:#}", self.0);
        } else {
            show(self.read()?);
        }
        Ok(())
    }
}

/// Asks whether to go on; `yes` is an answer that was given before. Without a terminal the answer is no.
pub(crate) fn confirm(question: &str, yes: bool) -> Result<(), ApiError> {
    use std::io::{IsTerminal as _, Write as _};
    if yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        eprintln!("{question} Say so with --yes.");
        return Err(ApiError::Declined);
    }
    eprint!("{question} [y/N] ");
    std::io::stderr().flush()?;
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    if matches!(line.trim(), "y" | "Y" | "yes") { Ok(()) } else { Err(ApiError::Declined) }
}

/// A part of a path or a value of a query, encoded.
pub(crate) fn encoded(part: &str) -> String {
    part.bytes().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_to_listen_on_is_reached_from_here() {
        assert_eq!(from_here("0.0.0.0:9008"), "http://127.0.0.1:9008");
        assert_eq!(from_here("[::]:9008"), "http://[::1]:9008");
        assert_eq!(from_here("10.0.0.1:9008"), "http://10.0.0.1:9008");
        assert_eq!(from_here("localhost:9008"), "http://localhost:9008");
    }

    #[test]
    fn what_is_in_a_path_is_encoded() {
        assert_eq!(encoded("@a:b.c/d e"), "%40a%3Ab.c%2Fd%20e");
    }
}
