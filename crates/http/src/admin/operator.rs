//! Who may use the admin API: whoever has the token of an operator.

use std::sync::Arc;

use axum::{
    extract::{FromRequestParts, Request, State},
    http::request::Parts,
    middleware::Next,
    response::Response,
};
use olmstead_service::{Secret, ServiceError, admin::audit::Operator};
use olmstead_storage::devices::TokenHash;

use crate::{
    auth::{authorization, bearer, hash_token},
    error::ApiError,
};

/// An operator and the token that lets him in.
#[derive(Debug, Clone)]
pub struct OperatorToken {
    /// The name, for the record of what was done.
    pub name: String,
    /// The token.
    pub token: Secret,
}

/// All operators.
#[derive(Clone)]
pub(super) struct Operators(Arc<[(TokenHash, Operator)]>);

impl Operators {
    pub(super) fn new(operators: &[OperatorToken]) -> Self {
        let hashed = |operator: &OperatorToken| (hash_token(operator.token.reveal()), Operator(operator.name.clone()));
        Self(operators.iter().map(hashed).collect())
    }

    /// Compares hashes, so that the time it takes says nothing of a token; and all of them, so that it says nothing of how
    /// many there are before.
    fn find(&self, token: &str) -> Option<Operator> {
        let hash = hash_token(token);
        self.0.iter().fold(None, |found, (known, operator)| if *known == hash { Some(operator.clone()) } else { found })
    }
}

/// The layer that lets in operators only. A token in the query is no token here: it would be in logs.
pub(super) async fn let_in(
    State(operators): State<Operators>,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let Some(token) = authorization(request.headers()).and_then(bearer) else {
        return Err(ServiceError::MissingToken.into());
    };
    let Some(operator) = operators.find(token) else {
        return Err(ServiceError::UnknownToken { soft_logout: false }.into());
    };
    request.extensions_mut().insert(By(operator));
    Ok(next.run(request).await)
}

/// The operator who makes a request.
#[derive(Debug, Clone)]
pub(super) struct By(pub(super) Operator);

impl<S: Send + Sync> FromRequestParts<S> for By {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| ServiceError::MissingToken.into())
    }
}
