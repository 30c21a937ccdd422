//! `olmstead audit`

use clap::Args;
use olmstead_service::admin::audit::Response;

use super::{
    api::{Api, ApiError},
    table::{table, time},
};

#[derive(Debug, Args)]
pub(super) struct Command {
    /// How many entries.
    #[arg(long, default_value_t = 50, value_name = "N")]
    limit: usize,
    /// Entries with smaller numbers only.
    #[arg(long, value_name = "NUMBER")]
    before: Option<u64>,
}

impl Command {
    pub(super) async fn run(&self, api: &Api) -> Result<(), ApiError> {
        let before = self.before.map(|before| format!("&before={before}")).unwrap_or_default();
        let answer = api.get(&format!("/audit?limit={}{before}", self.limit)).await?;
        answer.print(api, |response: Response| {
            let rows: Vec<_> = response
                .entries
                .into_iter()
                .map(|numbered| {
                    let entry = numbered.entry;
                    vec![
                        numbered.number.to_string(),
                        time(entry.at),
                        entry.operator,
                        entry.action,
                        entry.target,
                        entry.details,
                    ]
                })
                .collect();
            print!("{}", table(&["number", "time (UTC)", "operator", "action", "target", "details"], &rows));
        })
    }
}
