//! The one place where failures become HTTP statuses and Matrix errcodes.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use olmstead_service::{Refusal, ServiceError};
use olmstead_storage::StorageError;
use serde_json::{Map, Value, json};

/// A failed request. Anything a use case returns converts into it with `?`.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct ApiError(#[from] pub ServiceError);

impl From<StorageError> for ApiError {
    fn from(error: StorageError) -> Self {
        Self(error.into())
    }
}

impl ApiError {
    /// A refusal with its sentence.
    pub fn refused(refusal: Refusal, message: impl Into<String>) -> Self {
        Self(ServiceError::refused(refusal, message))
    }
}

/// The answer of every handler.
pub type ApiResult<T> = Result<T, ApiError>;

/// Status and errcode of a refusal.
#[must_use]
pub fn status_and_code(refusal: Refusal) -> (StatusCode, &'static str) {
    use StatusCode as S;
    match refusal {
        Refusal::BadJson => (S::BAD_REQUEST, "M_BAD_JSON"),
        Refusal::NotJson => (S::BAD_REQUEST, "M_NOT_JSON"),
        Refusal::InvalidParam => (S::BAD_REQUEST, "M_INVALID_PARAM"),
        Refusal::MissingParam => (S::BAD_REQUEST, "M_MISSING_PARAM"),
        Refusal::InvalidSignature => (S::BAD_REQUEST, "M_INVALID_SIGNATURE"),
        Refusal::Forbidden => (S::FORBIDDEN, "M_FORBIDDEN"),
        Refusal::NotFound => (S::NOT_FOUND, "M_NOT_FOUND"),
        Refusal::TooLarge => (S::PAYLOAD_TOO_LARGE, "M_TOO_LARGE"),
        Refusal::UnsupportedRoomVersion => (S::BAD_REQUEST, "M_UNSUPPORTED_ROOM_VERSION"),
        Refusal::IncompatibleRoomVersion => (S::BAD_REQUEST, "M_INCOMPATIBLE_ROOM_VERSION"),
        Refusal::UserInUse => (S::BAD_REQUEST, "M_USER_IN_USE"),
        Refusal::InvalidUsername => (S::BAD_REQUEST, "M_INVALID_USERNAME"),
        Refusal::Exclusive => (S::BAD_REQUEST, "M_EXCLUSIVE"),
        Refusal::WeakPassword => (S::BAD_REQUEST, "M_WEAK_PASSWORD"),
        Refusal::UserDeactivated => (S::FORBIDDEN, "M_USER_DEACTIVATED"),
        Refusal::UserSuspended => (S::FORBIDDEN, "M_USER_SUSPENDED"),
        Refusal::GuestAccessForbidden => (S::FORBIDDEN, "M_GUEST_ACCESS_FORBIDDEN"),
        Refusal::RoomInUse => (S::BAD_REQUEST, "M_ROOM_IN_USE"),
        Refusal::InvalidRoomState => (S::BAD_REQUEST, "M_INVALID_ROOM_STATE"),
        Refusal::AliasInUse => (S::CONFLICT, "M_UNKNOWN"),
        Refusal::InviteBlocked => (S::FORBIDDEN, "M_INVITE_BLOCKED"),
        Refusal::BadAlias => (S::BAD_REQUEST, "M_BAD_ALIAS"),
        Refusal::BadState => (S::BAD_REQUEST, "M_BAD_STATE"),
        Refusal::BadStateKey => (S::FORBIDDEN, "M_FORBIDDEN"),
        Refusal::Unrecognized => (S::NOT_FOUND, "M_UNRECOGNIZED"),
        Refusal::NotAllowedHere => (S::METHOD_NOT_ALLOWED, "M_BAD_JSON"),
        Refusal::InvalidProfileKey => (S::BAD_REQUEST, "M_INVALID_PARAM"),
        Refusal::ProfileTooLarge => (S::BAD_REQUEST, "M_PROFILE_TOO_LARGE"),
        Refusal::CannotOverwriteMedia => (S::CONFLICT, "M_CANNOT_OVERWRITE_MEDIA"),
        Refusal::NotYetUploaded => (S::GATEWAY_TIMEOUT, "M_NOT_YET_UPLOADED"),
        Refusal::DuplicateAnnotation => (S::BAD_REQUEST, "M_DUPLICATE_ANNOTATION"),
        Refusal::DuplicateOneTimeKey => (S::BAD_REQUEST, "M_UNKNOWN"),
        Refusal::ProfileKeyTooLarge => (S::BAD_REQUEST, "M_KEY_TOO_LARGE"),
        Refusal::UnknownPos => (S::BAD_REQUEST, "M_UNKNOWN_POS"),
        Refusal::TooSlow => (S::REQUEST_TIMEOUT, "M_UNKNOWN"),
        Refusal::NoRoom => (S::SERVICE_UNAVAILABLE, "M_UNKNOWN"),
        Refusal::Unknown => (S::BAD_REQUEST, "M_UNKNOWN"),
    }
}

/// The body of an error: always `errcode` and `error` (GEN-1).
fn body(code: &str, message: &str) -> Map<String, Value> {
    let mut body = Map::new();
    body.insert("errcode".to_owned(), code.into());
    body.insert("error".to_owned(), message.into());
    body
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let message = self.0.to_string();
        let (status, value) = match self.0 {
            ServiceError::Refused { refusal: Refusal::NoRoom, message } => return unavailable(&message),
            ServiceError::Refused { refusal: Refusal::TooSlow, message } => {
                let (status, code) = status_and_code(Refusal::TooSlow);
                // The rest of the body is not worth waiting for.
                let close = [(header::CONNECTION, HeaderValue::from_static("close"))];
                return (status, close, Json(Value::from(body(code, &message)))).into_response();
            }
            ServiceError::Refused { refusal, message } => {
                let (status, code) = status_and_code(refusal);
                (status, body(code, &message).into())
            }
            ServiceError::WrongRoomKeysVersion { current_version } => {
                let mut body = body("M_WRONG_ROOM_KEYS_VERSION", &message);
                body.insert("current_version".to_owned(), current_version.into());
                (StatusCode::FORBIDDEN, body.into())
            }
            ServiceError::Uia(value) => (StatusCode::UNAUTHORIZED, *value),
            ServiceError::MissingToken => (StatusCode::UNAUTHORIZED, body("M_MISSING_TOKEN", &message).into()),
            ServiceError::UnknownToken { soft_logout } => {
                let mut body = body("M_UNKNOWN_TOKEN", &message);
                body.insert("soft_logout".to_owned(), soft_logout.into());
                (StatusCode::UNAUTHORIZED, body.into())
            }
            ServiceError::UserLocked => {
                let mut body = body("M_USER_LOCKED", &message);
                body.insert("soft_logout".to_owned(), true.into());
                (StatusCode::UNAUTHORIZED, body.into())
            }
            ServiceError::LimitExceeded { retry_after_ms } => {
                let mut body = body("M_LIMIT_EXCEEDED", &message);
                body.insert("retry_after_ms".to_owned(), retry_after_ms.into());
                let mut response = (StatusCode::TOO_MANY_REQUESTS, Json(Value::from(body))).into_response();
                let seconds = HeaderValue::from(retry_after_ms.div_ceil(1000));
                response.headers_mut().insert(header::RETRY_AFTER, seconds);
                return response;
            }
            ServiceError::UserLimitExceeded { message, info_uri } => {
                let mut body = body("M_USER_LIMIT_EXCEEDED", &message);
                body.insert("info_uri".to_owned(), info_uri.into());
                (StatusCode::FORBIDDEN, body.into())
            }
            // The cause is for the log only: an engine's words never reach a client.
            error @ ServiceError::Storage(StorageError::Unavailable { .. } | StorageError::Conflict) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the store could not do it now");
                return unavailable("The server cannot do this now; try again.");
            }
            error @ (ServiceError::Storage(StorageError::Refused { .. } | StorageError::Corrupt { .. })
            | ServiceError::Internal(_)) => {
                tracing::error!(error = &error as &dyn std::error::Error, "request failed");
                let body = body("M_UNKNOWN", "The server could not do this; try again later.");
                (StatusCode::INTERNAL_SERVER_ERROR, body.into())
            }
        };
        (status, Json::<Value>(value)).into_response()
    }
}

/// What passes: the store is away for a moment, or others were always faster. 503 is a status on which clients and load
/// balancers try again; a request with a transaction id that was done after all is then answered with what it did.
pub(crate) fn unavailable(message: &str) -> Response {
    let retry = [(header::RETRY_AFTER, HeaderValue::from_static("1"))];
    (StatusCode::SERVICE_UNAVAILABLE, retry, Json(Value::from(body("M_UNKNOWN", message)))).into_response()
}

/// Any path that no route has (GEN-2).
pub async fn unknown_path() -> Response {
    let body = json!({"errcode": "M_UNRECOGNIZED", "error": "This server does not know this path."});
    (StatusCode::NOT_FOUND, Json(body)).into_response()
}

/// A known path with a method it does not have (GEN-2).
pub async fn unknown_method() -> Response {
    let body = json!({"errcode": "M_UNRECOGNIZED", "error": "This path does not have this method."});
    (StatusCode::METHOD_NOT_ALLOWED, Json(body)).into_response()
}

/// A handler that broke: said in the log, never more than this to the client.
pub(crate) fn broken(_: Box<dyn std::any::Any + Send>) -> Response {
    tracing::error!("a request handler panicked");
    let body = json!({"errcode": "M_UNKNOWN", "error": "The server could not do this."});
    (StatusCode::INTERNAL_SERVER_ERROR, Json(body)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(error: StorageError) -> (StatusCode, bool) {
        let response = ApiError::from(error).into_response();
        (response.status(), response.headers().contains_key(header::RETRY_AFTER))
    }

    /// GEN-22
    #[tokio::test]
    async fn a_limit_of_an_account_says_where_to_read_about_it() {
        let (message, info_uri) = ("No more than that.".to_owned(), "https://example.org/limits".to_owned());
        let response = ApiError(ServiceError::UserLimitExceeded { message, info_uri }).into_response();
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap_or_default();
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        assert_eq!(body["errcode"], "M_USER_LIMIT_EXCEEDED");
        assert_eq!(body["info_uri"], "https://example.org/limits");
    }

    #[test]
    fn what_passes_is_told_as_something_to_try_again() {
        let away = StorageError::Unavailable { message: "gone".to_owned(), source: None };
        assert_eq!(answer(away), (StatusCode::SERVICE_UNAVAILABLE, true));
        assert_eq!(answer(StorageError::Conflict), (StatusCode::SERVICE_UNAVAILABLE, true));
        assert_eq!(answer(StorageError::damaged("a row")), (StatusCode::INTERNAL_SERVER_ERROR, false));
        let refused = StorageError::Refused { message: "too long".to_owned(), source: None };
        assert_eq!(answer(refused), (StatusCode::INTERNAL_SERVER_ERROR, false));
    }
}
