//! Extractors and responders: JSON bodies with the spec's errors, queries, path parts, and ruma's request types.

use axum::{
    body::Body,
    extract::{FromRequest, FromRequestParts, RawPathParams, Request},
    http::{HeaderValue, header, request::Parts},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use olmstead_domain::json::RawJson;
use olmstead_service::{Refusal, ServiceError};
use ruma::api::{IncomingRequest, IncomingRequestExt as _, OutgoingResponse, OutgoingResponseExt as _};
use serde::{Serialize, de::DeserializeOwned};

use crate::{App, error::ApiError, limits};

/// The largest body of an ordinary request, bytes. Larger ones are refused before they are read (GEN-10).
pub const BODY_LIMIT: usize = 8 * 1024 * 1024;
/// The largest body of a key backup upload, bytes: room for a first upload of 100,000 keys (BKP-35).
pub const BACKUP_BODY_LIMIT: usize = 96 * 1024 * 1024;

/// What a field that must be there and is not is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// `M_MISSING_PARAM`.
    MissingParam,
    /// `M_BAD_JSON`.
    BadJson,
}

/// Reads a body whole, up to a limit. A `Content-Length` above it is refused before anything is read.
pub async fn read_body(body: Body, headers: &axum::http::HeaderMap, limit: usize) -> Result<Bytes, ApiError> {
    let announced =
        headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
    if announced.is_some_and(|length: u64| length > limit as u64) {
        return Err(too_large(limit));
    }
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.downcast_ref::<LengthLimitError>().is_some() => Err(too_large(limit)),
        Err(error) => {
            Err(limits::body_error(&*error)
                .unwrap_or_else(|| ApiError::refused(Refusal::NotJson, "The body ended early.")))
        }
    }
}

fn too_large(limit: usize) -> ApiError {
    ApiError::refused(Refusal::TooLarge, format!("The body is larger than {limit} bytes."))
}

/// Parses a JSON body with the spec's distinctions (GEN-5). An empty body counts as `{}`, as clients send it; an array is
/// refused, since a struct also reads an array of its members.
pub fn parse_json<T: DeserializeOwned>(body: &[u8], missing: Missing) -> Result<T, ApiError> {
    refuse_array(body)?;
    let text = utf8(body)?;
    let text = if text.bytes().all(|byte| byte.is_ascii_whitespace()) { "{}" } else { text };
    serde_json::from_str(text)
        .map_err(|error| if is_json(text) { json_error(&error.to_string(), missing) } else { not_json() })
}

impl App {
    /// As [`parse_json`], without keeping others waiting for a large body.
    pub(crate) async fn parse<T: DeserializeOwned + Send + 'static>(
        &self,
        body: Bytes,
        missing: Missing,
    ) -> Result<T, ApiError> {
        self.limits.parse(body.len(), move || parse_json(&body, missing)).await?
    }
}

/// A body as text. Asked of all of it at once: a parser does not look at bytes of members it has no use for.
fn utf8(body: &[u8]) -> Result<&str, ApiError> {
    std::str::from_utf8(body).map_err(|_| not_json())
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

fn not_json() -> ApiError {
    ApiError::refused(Refusal::NotJson, "The body is not JSON.")
}

/// Refuses an array as the body, which no request is.
fn refuse_array(body: &[u8]) -> Result<(), ApiError> {
    if body.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'[') {
        return Ok(());
    }
    let bad = ApiError::refused(Refusal::BadJson, "The body must be a JSON object.");
    Err(if is_json(utf8(body)?) { bad } else { not_json() })
}

/// A well-formed JSON of the wrong shape, in the words of the deserialiser without its line and column.
pub fn json_error(message: &str, missing: Missing) -> ApiError {
    let sentence = message.split(" at line ").next().unwrap_or(message);
    let refusal = if missing == Missing::MissingParam && message.starts_with("missing field") {
        Refusal::MissingParam
    } else {
        Refusal::BadJson
    };
    ApiError::refused(refusal, format!("The body does not have the right shape: {sentence}."))
}

/// A JSON body of the usual size; a missing field is `M_MISSING_PARAM`. Take `Bytes` through [`RawBody`] and call
/// `App::parse` where something else is wanted.
#[derive(Debug, Clone)]
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned + Send + 'static> FromRequest<App> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let bytes = read_body(body, &parts.headers, BODY_LIMIT).await?;
        Ok(Self(app.parse(bytes, Missing::MissingParam).await?))
    }
}

/// A body as bytes, at most `LIMIT` of them.
#[derive(Debug, Clone)]
pub struct RawBody<const LIMIT: usize = BODY_LIMIT>(pub Bytes);

impl<S: Send + Sync, const LIMIT: usize> FromRequest<S> for RawBody<LIMIT> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        Ok(Self(read_body(body, &parts.headers, LIMIT).await?))
    }
}

/// The query; a missing parameter is `M_MISSING_PARAM`, a wrong one `M_INVALID_PARAM`.
#[derive(Debug, Clone)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        match axum::extract::Query::<T>::try_from_uri(&parts.uri) {
            Ok(query) => Ok(Self(query.0)),
            Err(rejection) => {
                let message = rejection.body_text();
                let refusal =
                    if message.contains("missing field") { Refusal::MissingParam } else { Refusal::InvalidParam };
                Err(ApiError::refused(refusal, format!("The query is not right: {message}.")))
            }
        }
    }
}

/// The variable parts of the path, percent-decoded once (GEN-21), parsed into `T`, a type or tuple of types that
/// deserialise from text, such as ruma's identifiers. A part of the wrong form is `M_INVALID_PARAM`.
#[derive(Debug, Clone)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match axum::extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(path) => Ok(Self(path.0)),
            Err(rejection) => Err(ApiError::refused(
                Refusal::InvalidParam,
                format!("The path is not right: {}.", rejection.body_text()),
            )),
        }
    }
}

/// A request in ruma's type for the endpoint, with a body of at most `LIMIT` bytes.
#[derive(Debug, Clone)]
pub struct Ruma<T, const LIMIT: usize = BODY_LIMIT>(pub T);

impl<T: IncomingRequest + Send + 'static, const LIMIT: usize> FromRequest<App> for Ruma<T, LIMIT> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        let (mut parts, body) = request.into_parts();
        let path = RawPathParams::from_request_parts(&mut parts, app)
            .await
            .map_err(|_| ApiError::refused(Refusal::InvalidParam, "The path is not right."))?;
        let arguments: Vec<String> = path.iter().map(|(_, value)| value.to_owned()).collect();
        let bytes = read_body(body, &parts.headers, LIMIT).await?;
        app.limits.parse(bytes.len(), move || read_ruma(parts, &bytes, &arguments)).await?.map(Self)
    }
}

fn read_ruma<T: IncomingRequest>(parts: Parts, body: &[u8], arguments: &[String]) -> Result<T, ApiError> {
    if T::METHOD != axum::http::Method::GET && !body.is_empty() {
        refuse_array(body)?;
        if !is_json(utf8(body)?) {
            return Err(not_json());
        }
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    T::try_from_http_request(http::Request::from_parts(parts, body), &arguments)
        .map_err(|error| json_error(&error.to_string(), Missing::MissingParam))
}

/// An answer in ruma's type for the endpoint.
#[derive(Debug, Clone)]
pub struct RumaReply<T>(pub T);

impl<T: OutgoingResponse> IntoResponse for RumaReply<T> {
    fn into_response(self) -> Response {
        match self.0.try_into_http_response::<Vec<u8>>() {
            Ok(response) => response.map(Body::from),
            Err(error) => ApiError(ServiceError::Internal(error.to_string())).into_response(),
        }
    }
}

/// A JSON answer.
#[derive(Debug, Clone)]
pub struct Json<T>(pub T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(body) => ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response(),
            Err(error) => ApiError(ServiceError::Internal(error.to_string())).into_response(),
        }
    }
}

/// A JSON answer that is text already.
#[derive(Debug, Clone)]
pub struct JsonText(pub String);

impl IntoResponse for JsonText {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], self.0).into_response()
    }
}

/// The answer `{}`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Empty;

impl IntoResponse for Empty {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], "{}").into_response()
    }
}

/// A body that is a JSON object, as its text: for what is kept unread, and for user-interactive authentication, which
/// looks at the whole body.
#[derive(Debug, Clone)]
pub struct ObjectBody(pub RawJson);

impl ObjectBody {
    /// Reads the object as a type, with the errors of [`JsonBody`].
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        parse_json(self.0.get().as_bytes(), Missing::MissingParam)
    }
}

impl FromRequest<App> for ObjectBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        let RawBody(bytes) = RawBody::<BODY_LIMIT>::from_request(request, app).await?;
        let body: RawJson = app.parse(bytes, Missing::MissingParam).await?;
        if body.is_object() {
            Ok(Self(body))
        } else {
            Err(ApiError::refused(Refusal::BadJson, "The body must be a JSON object."))
        }
    }
}
