//! Hashing passwords with Argon2id, off the runtime's threads and a bounded number at a time.

use argon2::{
    Argon2,
    password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString},
};

use crate::{Context, Refusal, Result, ServiceError};

/// The most bytes a password may have.
const MAX_PASSWORD: usize = 512;
/// Random bytes of a salt.
const SALT_BYTES: usize = 16;

/// Checks a new password. Its strength is the user's to judge; it must only be there.
///
/// # Errors
/// [`Refusal::WeakPassword`] or [`Refusal::InvalidParam`].
pub(crate) fn check_new(password: &str) -> Result<()> {
    if password.is_empty() {
        return Err(ServiceError::refused(Refusal::WeakPassword, "The password must not be empty."));
    }
    if password.len() > MAX_PASSWORD {
        let message = format!("A password has at most {MAX_PASSWORD} bytes.");
        return Err(ServiceError::invalid_param(message));
    }
    Ok(())
}

/// Hashes a new password to a PHC string.
pub(crate) async fn hash(cx: &Context, password: String) -> Result<String> {
    let salt = salt(cx)?;
    off_thread(cx, move || {
        let hash = Argon2::default().hash_password(password.as_bytes(), &salt);
        hash.map(|hash| hash.to_string()).map_err(internal)
    })
    .await?
}

/// Whether the password is the one of the hash. Without a hash the answer is no, and takes as long (so that nobody
/// learns from the time whether there is such an account).
pub(crate) async fn verify(cx: &Context, password: String, hash: Option<String>) -> Result<bool> {
    if password.len() > MAX_PASSWORD {
        return Ok(false);
    }
    let salt = salt(cx)?;
    off_thread(cx, move || match hash {
        Some(hash) => PasswordHash::new(&hash)
            .map(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
            .map_err(internal),
        None => Argon2::default().hash_password(password.as_bytes(), &salt).map(|_| false).map_err(internal),
    })
    .await?
}

fn salt(cx: &Context) -> Result<SaltString> {
    let mut bytes = [0; SALT_BYTES];
    cx.environment.random(&mut bytes);
    SaltString::encode_b64(&bytes).map_err(internal)
}

fn internal(error: argon2::password_hash::Error) -> ServiceError {
    ServiceError::Internal(format!("password hashing failed: {error}"))
}

/// Runs heavy work on the blocking pool, within the bound for such work.
pub(crate) async fn off_thread<T: Send + 'static>(
    cx: &Context,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    let closed = |_| ServiceError::Internal("the server is stopping".to_owned());
    let _permit = cx.hashing.acquire().await.map_err(closed)?;
    tokio::task::spawn_blocking(work).await.map_err(|error| ServiceError::Internal(error.to_string()))
}
