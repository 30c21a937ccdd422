//! `olmstead registration-token …`

use std::time::{SystemTime, UNIX_EPOCH};

use clap::Subcommand;
use olmstead_service::admin::registration_tokens::{New, Response, Token};

use super::{
    api::{Api, ApiError, encoded},
    table::{duration, table, time},
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a token that lets people register where `registration.mode` is `token`.
    ///
    /// Examples:
    ///   olmstead registration-token create --uses 1 --expires 7d
    ///   olmstead registration-token create summer-party
    #[command(verbatim_doc_comment)]
    Create {
        /// The token; the server chooses one when it is absent.
        token: Option<String>,
        /// How many accounts may be made with it; any number when absent.
        #[arg(long, value_name = "N")]
        uses: Option<u64>,
        /// For how long it works: a number and `s`, `m`, `h` or `d`; without end when absent.
        #[arg(long, value_name = "TIME", value_parser = duration)]
        expires: Option<u64>,
    },
    /// All tokens but that of the configuration.
    ///
    /// Example: olmstead registration-token list
    List,
    /// Delete a token. Accounts that were made with it stay.
    ///
    /// Example: olmstead registration-token delete summer-party
    Delete {
        /// The token.
        token: String,
    },
}

impl Command {
    pub(super) async fn run(&self, api: &Api) -> Result<(), ApiError> {
        match self {
            Self::Create { token, uses, expires } => {
                let expires_at = expires.map(|span| now().saturating_add(span));
                let wish = New { token: token.clone(), uses_allowed: *uses, expires_at };
                let answer = api.post("/registration_tokens", &wish).await?;
                // Alone on its line, so that a script may take it without --json.
                answer.print(api, |made: Token| println!("{}", made.token.token))
            }
            Self::List => {
                let (mut tokens, _) =
                    api.pages("/registration_tokens", None, None, |page: Response| (page.tokens, page.next)).await?;
                tokens.sort_by(|one, other| {
                    (one.token.created_at, &one.token.token).cmp(&(other.token.created_at, &other.token.token))
                });
                if api.is_json() {
                    return api.print_json(&Response { tokens, next: None });
                }
                print!("{}", table(&NAMES, &tokens.iter().map(row).collect::<Vec<_>>()));
                Ok(())
            }
            Self::Delete { token } => {
                let answer = api.delete(&format!("/registration_tokens/{}", encoded(token))).await?;
                answer.print(api, |_: serde_json::Value| println!("{token} lets nobody in any more."))
            }
        }
    }
}

const NAMES: [&str; 5] = ["token", "uses", "created (UTC)", "until (UTC)", "works"];

fn row(shown: &Token) -> Vec<String> {
    let token = &shown.token;
    let allowed = token.uses_allowed.map_or_else(|| "any number".to_owned(), |allowed| allowed.to_string());
    vec![
        token.token.clone(),
        format!("{} of {allowed}", token.uses_completed),
        time(token.created_at),
        token.expires_at.map_or_else(|| "no end".to_owned(), time),
        if shown.valid { "yes" } else { "no" }.to_owned(),
    ]
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
