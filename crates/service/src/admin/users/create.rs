//! `POST /_olmstead/admin/v1/users`: makes an account, whoever may register.

use ruma::OwnedUserId;
use serde::{Deserialize, Serialize};

use crate::{
    Context, Result, Secret,
    accounts::{
        passwords,
        provision::{Wish, provision},
        usernames,
    },
    admin::audit::{Operator, recorded},
};

/// Random bytes of a password that the server chooses.
const PASSWORD_BYTES: usize = 18;

/// The body.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Request {
    /// The localpart.
    pub username: String,
    /// The password; without one the server chooses one.
    #[serde(default)]
    pub password: Option<Secret>,
    /// Whether the account may use the administrators' endpoints of the client API.
    #[serde(default)]
    pub admin: bool,
    /// The first display name; the localpart when absent.
    #[serde(default)]
    pub display_name: Option<String>,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    /// The id.
    pub user_id: OwnedUserId,
    /// The password, if the server chose it. It is shown this once.
    pub password: Option<Secret>,
}

/// Makes the account.
///
/// # Errors
/// [`crate::Refusal::InvalidUsername`], `UserInUse`, `WeakPassword`, and `InvalidParam` for a password that is too long.
pub async fn create(cx: &Context, operator: &Operator, request: Request) -> Result<Response> {
    let (password, chosen) = password(cx, request.password)?;
    let user_id = usernames::available(cx, &request.username).await?;
    let details = if request.admin { "admin" } else { "" };
    recorded(cx, operator, ("user.create", user_id.as_str(), details), async {
        let wish =
            Wish { username: request.username, password, admin: request.admin, display_name: request.display_name };
        provision(cx, wish, None).await
    })
    .await?;
    Ok(Response { user_id, password: chosen })
}

/// A password that is good enough; one that was chosen here comes back a second time, to be told.
pub(super) fn password(cx: &Context, given: Option<Secret>) -> Result<(String, Option<Secret>)> {
    match given {
        Some(password) => {
            passwords::check_new(password.reveal())?;
            Ok((password.reveal().to_owned(), None))
        }
        None => {
            let password = cx.random_text(PASSWORD_BYTES);
            Ok((password.clone(), Some(password.into())))
        }
    }
}
