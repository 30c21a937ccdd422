//! User-interactive authentication: the caller proves again who they are before something that must not be done with
//! a stolen token (UIA-1 to UIA-7).
//!
//! A session belongs to one user, one endpoint and one body, and ends with the request it authorises (UIA-7, XS-13).

use olmstead_domain::json::RawJson;
use olmstead_storage::devices::{Session, TokenHash};
use ruma::{OwnedUserId, UserId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    Context, Result, ServiceError,
    accounts::{
        failures, passwords,
        registration_tokens::{Invitation, invitation},
        usernames,
    },
};

/// The kind of short-lived value.
const KIND: &str = "uia";
/// How long a session lives, milliseconds.
const LIFETIME_MS: u64 = 30 * 60 * 1000;
/// Random bytes of a session id.
const SESSION_BYTES: usize = 24;

/// One stage of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// `m.login.dummy`: nothing to prove.
    Dummy,
    /// `m.login.password`: the caller's own password.
    Password,
    /// `m.login.registration_token`: a registration token.
    RegistrationToken,
}

impl Stage {
    /// The stage's type.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Dummy => "m.login.dummy",
            Self::Password => "m.login.password",
            Self::RegistrationToken => "m.login.registration_token",
        }
    }

    fn from_kind(kind: &str) -> Option<Self> {
        [Self::Dummy, Self::Password, Self::RegistrationToken].into_iter().find(|stage| stage.kind() == kind)
    }
}

/// The flows to choose from; the stages of each are done in order.
pub type Flows<'a> = &'a [&'a [Stage]];

/// The one flow of endpoints that guard an account: the password.
pub const PASSWORD: Flows<'static> = &[&[Stage::Password]];

/// A session as stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct State {
    user_id: Option<OwnedUserId>,
    endpoint: String,
    /// Hash of the body, or `None` while only empty bodies were seen: clients ask for the flows that way.
    body: Option<String>,
    completed: Vec<String>,
    /// The registration token that passed its stage, if its uses are counted. It is not used up by that.
    #[serde(default)]
    invited_by: Option<TokenHash>,
}

impl State {
    fn new(user_id: Option<&UserId>, endpoint: &str, body: Option<String>) -> Self {
        let (user_id, endpoint) = (user_id.map(UserId::to_owned), endpoint.to_owned());
        Self { user_id, endpoint, body, completed: Vec::new(), invited_by: None }
    }
}

/// What an authorised request brought along.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Passed {
    /// The registration token of which a use is to be counted. It was valid when its stage was passed.
    pub invited_by: Option<TokenHash>,
}

/// The `auth` of a request.
#[derive(Debug, Default, Deserialize)]
struct Attempt {
    #[serde(rename = "type")]
    kind: Option<String>,
    session: Option<String>,
    identifier: Option<Identifier>,
    user: Option<String>,
    password: Option<String>,
    token: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Identifier {
    #[serde(rename = "type")]
    kind: Option<String>,
    user: Option<String>,
}

/// Why a stage was not passed.
struct StageFailed {
    errcode: &'static str,
    message: &'static str,
}

const INVITATION_REFUSED: StageFailed =
    StageFailed { errcode: "M_FORBIDDEN", message: "The registration token is not valid." };

/// Authorises a request of a logged-in user. `endpoint` names method and path with the values of its variables, such as
/// `DELETE /devices/ABC`; `body` is the whole body with `auth`.
///
/// # Errors
/// [`ServiceError::Uia`] with the body of the 401 as long as stages are missing or failed (UIA-1, UIA-2); another error
/// when something besides the authentication is wrong (UIA-6).
pub async fn authorise(
    cx: &Context,
    session: &Session,
    endpoint: &str,
    body: &RawJson,
    flows: Flows<'_>,
) -> Result<()> {
    run(cx, Some(&session.device.user_id), endpoint, body, flows).await.map(drop)
}

/// Authorises a request without a token.
///
/// # Errors
/// As [`authorise`].
pub async fn authorise_anonymous(cx: &Context, endpoint: &str, body: &RawJson, flows: Flows<'_>) -> Result<Passed> {
    run(cx, None, endpoint, body, flows).await
}

/// The 401 of a request that was authorised by a registration token which was spent, or ended, before the account was made:
/// everything begins anew.
///
/// # Errors
/// That is all it gives.
pub async fn refuse_invitation<T>(cx: &Context, endpoint: &str, body: &RawJson, flows: Flows<'_>) -> Result<T> {
    challenge_anew(cx, &State::new(None, endpoint, split(body)?.1), flows, Some(INVITATION_REFUSED)).await
}

/// Whether the body tries a stage.
///
/// # Errors
/// [`crate::Refusal::BadJson`] if the body or `auth` is not an object.
pub fn is_attempt(body: &RawJson) -> Result<bool> {
    Ok(split(body)?.0.is_some_and(|attempt| attempt.kind.is_some()))
}

async fn run(
    cx: &Context,
    user_id: Option<&UserId>,
    endpoint: &str,
    body: &RawJson,
    flows: Flows<'_>,
) -> Result<Passed> {
    let (attempt, body) = split(body)?;
    let fresh = State::new(user_id, endpoint, body);
    let Some(attempt) = attempt else {
        return challenge_anew(cx, &fresh, flows, None).await;
    };

    // Clients that know the flow beforehand send its first stage at once, without a session.
    let (id, stored, mut state) = match &attempt.session {
        None => (cx.random_text(SESSION_BYTES), None, fresh),
        Some(id) => match cx.storage.short_lived(KIND, id, cx.now()).await? {
            None => {
                let failed = StageFailed { errcode: "M_FORBIDDEN", message: "This session is not known or has ended." };
                return challenge_anew(cx, &fresh, flows, Some(failed)).await;
            }
            Some(bytes) => {
                let mut state: State = serde_json::from_slice(&bytes).map_err(internal)?;
                bind(&mut state, fresh)?;
                (id.clone(), Some(bytes), state)
            }
        },
    };

    if let Some(kind) = attempt.kind.as_deref().filter(|kind| !state.completed.iter().any(|done| done == kind)) {
        match pass(cx, user_id, kind, &attempt, &mut state, flows).await? {
            Ok(()) => state.completed.push(kind.to_owned()),
            Err(failed) => {
                if stored.is_none() {
                    save(cx, &id, &state).await?;
                }
                return Err(challenge(&id, &state, flows, Some(failed)));
            }
        }
    }

    if is_complete(&state.completed, flows) {
        // Of several requests that finish the same session only one goes on.
        if stored.is_some() && cx.storage.take_short_lived(KIND, &id, cx.now()).await?.is_none() {
            return Err(ServiceError::forbidden("This session was used for another request."));
        }
        return Ok(Passed { invited_by: state.invited_by });
    }
    match stored {
        None => save(cx, &id, &state).await?,
        Some(before) => {
            let after = serde_json::to_vec(&state).map_err(internal)?;
            let ends = cx.now().saturating_add(LIFETIME_MS);
            if !cx.storage.replace_short_lived(KIND, &id, &before, after, ends).await? {
                return Err(ServiceError::forbidden("This session was used for another request."));
            }
        }
    }
    Err(challenge(&id, &state, flows, None))
}

/// Checks that a stored session is for this request (UIA-7), and ties it to the body if it was not yet.
fn bind(state: &mut State, request: State) -> Result<()> {
    let other_body = state.body.is_some() && state.body != request.body;
    if state.user_id != request.user_id || state.endpoint != request.endpoint || other_body {
        return Err(ServiceError::forbidden("This session belongs to another request."));
    }
    state.body = request.body;
    Ok(())
}

/// Tries a stage.
async fn pass(
    cx: &Context,
    user_id: Option<&UserId>,
    kind: &str,
    attempt: &Attempt,
    state: &mut State,
    flows: Flows<'_>,
) -> Result<Result<(), StageFailed>> {
    let failed = |errcode, message| Ok(Err(StageFailed { errcode, message }));
    let is_next = flows.iter().any(|flow| next(flow, &state.completed).is_some_and(|stage| stage.kind() == kind));
    let Some(stage) = Stage::from_kind(kind).filter(|_| is_next) else {
        let known = flows.iter().flat_map(|flow| flow.iter()).any(|stage| stage.kind() == kind);
        return if known {
            failed("M_FORBIDDEN", "Another stage comes first.")
        } else {
            failed("M_UNRECOGNIZED", "No flow has this stage.")
        };
    };
    match stage {
        Stage::Dummy => Ok(Ok(())),
        Stage::RegistrationToken => {
            let token = attempt.token.as_deref().ok_or_else(|| ServiceError::missing_param("A token is needed."))?;
            match invitation(cx, token).await? {
                Some(Invitation::Endless) => state.invited_by = None,
                Some(Invitation::Counted(hash)) => state.invited_by = Some(hash),
                None => return Ok(Err(INVITATION_REFUSED)),
            }
            Ok(Ok(()))
        }
        Stage::Password => {
            let password = attempt.password.clone();
            let password = password.ok_or_else(|| ServiceError::missing_param("A password is needed."))?;
            let own = match named_user(attempt)? {
                Some(name) => usernames::login_name(cx, name).as_deref() == user_id,
                // A session says who it is for.
                None => true,
            };
            let account = match user_id {
                Some(user_id) => {
                    failures::check(cx, user_id).await?;
                    cx.storage.account(user_id).await?
                }
                None => None,
            };
            let hash = account.filter(|account| !account.deactivated).and_then(|account| account.password_hash);
            let right = passwords::verify(cx, password, hash).await?;
            if let Some(user_id) = user_id.filter(|_| !right) {
                failures::count(cx, user_id).await?;
            }
            if right && own { Ok(Ok(())) } else { failed("M_FORBIDDEN", "The user name or the password is wrong.") }
        }
    }
}

/// The user that an `m.login.password` stage names, by `identifier` or the older `user`.
fn named_user(attempt: &Attempt) -> Result<Option<&str>> {
    match &attempt.identifier {
        None => Ok(attempt.user.as_deref()),
        Some(Identifier { kind: Some(kind), user }) if kind == "m.id.user" => {
            user.as_deref().map(Some).ok_or_else(|| ServiceError::missing_param("The identifier has no user."))
        }
        // No account here has such an address.
        Some(Identifier { kind: Some(kind), .. }) if kind == "m.id.thirdparty" || kind == "m.id.phone" => {
            Err(ServiceError::forbidden("The user name or the password is wrong."))
        }
        Some(_) => Err(ServiceError::invalid_param("This type of identifier is not known.")),
    }
}

/// The stage that comes next in a flow, if the flow began with what is done.
fn next(flow: &[Stage], completed: &[String]) -> Option<Stage> {
    let begins = flow.iter().map(|stage| stage.kind()).take(completed.len()).eq(completed.iter().map(String::as_str));
    if begins { flow.get(completed.len()).copied() } else { None }
}

fn is_complete(completed: &[String], flows: Flows<'_>) -> bool {
    flows.iter().any(|flow| flow.iter().map(|stage| stage.kind()).eq(completed.iter().map(String::as_str)))
}

async fn challenge_anew<T>(cx: &Context, state: &State, flows: Flows<'_>, failed: Option<StageFailed>) -> Result<T> {
    let id = cx.random_text(SESSION_BYTES);
    save(cx, &id, state).await?;
    Err(challenge(&id, state, flows, failed))
}

async fn save(cx: &Context, id: &str, state: &State) -> Result<()> {
    let bytes = serde_json::to_vec(state).map_err(internal)?;
    Ok(cx.storage.put_short_lived(KIND, id, bytes, cx.now().saturating_add(LIFETIME_MS)).await?)
}

/// The body of the 401.
fn challenge(id: &str, state: &State, flows: Flows<'_>, failed: Option<StageFailed>) -> ServiceError {
    let flows: Vec<Value> =
        flows.iter().map(|flow| json!({"stages": flow.iter().map(|stage| stage.kind()).collect::<Vec<_>>()})).collect();
    let mut body = Map::new();
    if let Some(failed) = failed {
        body.insert("errcode".to_owned(), failed.errcode.into());
        body.insert("error".to_owned(), failed.message.into());
    }
    if !state.completed.is_empty() {
        body.insert("completed".to_owned(), state.completed.clone().into());
    }
    body.insert("flows".to_owned(), flows.into());
    body.insert("params".to_owned(), json!({}));
    body.insert("session".to_owned(), id.into());
    ServiceError::Uia(Box::new(Value::Object(body)))
}

/// Takes `auth` out of a body; the rest as a hash, or `None` when there is nothing else. An `auth` that says nothing
/// counts as absent.
fn split(body: &RawJson) -> Result<(Option<Attempt>, Option<String>)> {
    let mut members: Map<String, Value> =
        body.read().map_err(|_| ServiceError::bad_json("The body must be a JSON object."))?;
    let attempt = match members.remove("auth") {
        None | Some(Value::Null) => None,
        Some(auth @ Value::Object(_)) => {
            let attempt: Attempt = serde_json::from_value(auth)
                .map_err(|error| ServiceError::bad_json(format!("auth does not have the right shape: {error}")))?;
            (attempt.kind.is_some() || attempt.session.is_some()).then_some(attempt)
        }
        Some(_) => return Err(ServiceError::bad_json("auth must be an object.")),
    };
    let hash = (!members.is_empty()).then(|| {
        use base64::Engine as _;
        let mut hasher = Sha256::new();
        digest(&Value::Object(members), &mut hasher);
        base64::engine::general_purpose::STANDARD_NO_PAD.encode(hasher.finalize())
    });
    Ok((attempt, hash))
}

/// Hashes a value so that two are equal in hash if they are equal in meaning, whatever the order of members.
fn digest(value: &Value, hasher: &mut Sha256) {
    match value {
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_unstable_by_key(|(name, _)| *name);
            hasher.update(format!("{{{}", sorted.len()));
            for (name, value) in sorted {
                hasher.update(format!("{}:{name}", name.len()));
                digest(value, hasher);
            }
        }
        Value::Array(values) => {
            hasher.update(format!("[{}", values.len()));
            values.iter().for_each(|value| digest(value, hasher));
        }
        Value::String(text) => hasher.update(format!("\"{}:{text}", text.len())),
        other => hasher.update(format!("={other};")),
    }
}

fn internal(error: serde_json::Error) -> ServiceError {
    ServiceError::Internal(error.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn raw(text: &str) -> RawJson {
        RawJson::from_text(text.to_owned()).unwrap()
    }

    fn state(body: Option<&str>) -> State {
        State::new(None, "e", body.map(str::to_owned))
    }

    #[test]
    fn a_body_is_the_same_whatever_its_order_and_auth() {
        let one = split(&raw(r#"{"a":1,"b":{"c":[1,"2"],"d":null}}"#)).unwrap().1;
        let two = split(&raw(r#"{"b":{"d":null,"c":[1,"2"]},"auth":{"session":"x"},"a":1}"#)).unwrap().1;
        assert_eq!(one, two);
        for other in
            [r#"{"a":1}"#, r#"{"a":"1","b":{"c":[1,"2"],"d":null}}"#, r#"{"a":1,"b":{"c":["1","2"],"d":null}}"#]
        {
            assert_ne!(split(&raw(other)).unwrap().1, one, "{other}");
        }
    }

    #[test]
    fn an_empty_auth_is_none() {
        for body in ["{}", r#"{"auth":null}"#, r#"{"auth":{}}"#] {
            let (attempt, hash) = split(&raw(body)).unwrap();
            assert!(attempt.is_none() && hash.is_none(), "{body}");
        }
        assert!(split(&raw("[]")).is_err());
        assert!(split(&raw(r#"{"auth":1}"#)).is_err());
        assert!(!is_attempt(&raw(r#"{"auth":{"session":"x"}}"#)).unwrap());
        assert!(is_attempt(&raw(r#"{"auth":{"type":"m.login.dummy"}}"#)).unwrap());
    }

    #[test]
    fn a_session_is_tied_to_its_request() {
        assert!(bind(&mut state(Some("x")), state(Some("x"))).is_ok());
        assert!(bind(&mut state(Some("x")), state(Some("y"))).is_err());
        assert!(bind(&mut state(Some("x")), state(None)).is_err());
        assert!(bind(&mut state(None), State { endpoint: "f".to_owned(), ..state(None) }).is_err());
        let alice = ruma::user_id!("@alice:example.org").to_owned();
        assert!(bind(&mut state(None), State { user_id: Some(alice), ..state(None) }).is_err());
    }

    #[test]
    fn a_session_begun_with_an_empty_body_is_tied_by_the_next() {
        let mut begun = state(None);
        bind(&mut begun, state(Some("x"))).unwrap();
        assert!(bind(&mut begun, state(Some("y"))).is_err());
    }

    #[test]
    fn stages_run_in_order() {
        let flow = [Stage::RegistrationToken, Stage::Dummy];
        let done = |kinds: &[&str]| kinds.iter().map(|kind| (*kind).to_owned()).collect::<Vec<_>>();
        assert_eq!(next(&flow, &[]), Some(Stage::RegistrationToken));
        assert_eq!(next(&flow, &done(&["m.login.registration_token"])), Some(Stage::Dummy));
        assert_eq!(next(&flow, &done(&["m.login.dummy"])), None);
        assert!(!is_complete(&done(&["m.login.dummy"]), &[&flow]));
        assert!(is_complete(&done(&["m.login.registration_token", "m.login.dummy"]), &[&flow]));
    }
}
