//! `olmstead e2ee doctor`

use clap::Args;
use olmstead_service::admin::e2ee::doctor::{Finding, Identity, Kind, Response, shared};
use serde::Serialize;

use crate::cli::{
    api::{Api, ApiError, encoded},
    progress::Progress,
};

#[derive(Debug, Args)]
pub(in crate::cli) struct Command {
    /// Look at this user only, and not at all of them.
    #[arg(long, value_name = "USER")]
    user: Option<String>,
}

/// All pages.
#[derive(Debug, Default, Serialize)]
struct Report {
    findings: Vec<Finding>,
    users: u64,
    devices: u64,
}

impl Command {
    pub(in crate::cli) async fn run(&self, api: &Api) -> Result<(), ApiError> {
        let report = self.look(api).await?;
        if api.is_json() {
            api.print_json(&report)?;
        } else {
            for finding in &report.findings {
                print!("{}", text(finding));
            }
            let found = match report.findings.len() {
                0 => "nothing is wrong".to_owned(),
                1 => "one thing is wrong".to_owned(),
                count => format!("{count} things are wrong"),
            };
            println!("{} devices of {} users were looked at: {found}.", report.devices, report.users);
        }
        if report.findings.is_empty() { Ok(()) } else { Err(ApiError::Found) }
    }

    async fn look(&self, api: &Api) -> Result<Report, ApiError> {
        let mut report = Report::default();
        let mut identities: Vec<Identity> = Vec::new();
        let progress = Progress::start("users");
        let mut query = self.user.as_ref().map(|user| format!("?user={}", encoded(user))).unwrap_or_default();
        loop {
            let page: Response = api.get(&format!("/e2ee/doctor{query}")).await?.read()?;
            report.users += page.users;
            report.devices += page.devices;
            // The same key may be on two pages, so those that are shared are looked for at the end.
            report.findings.extend(page.findings.into_iter().filter(|found| found.kind != Kind::SharedIdentityKey));
            progress.at(report.users);
            identities.extend(page.identities);
            match page.next {
                Some(next) => query = format!("?limit=200&from={}", encoded(next.as_str())),
                None => break,
            }
        }
        report.findings.extend(shared(&identities));
        Ok(report)
    }
}

fn text(finding: &Finding) -> String {
    let device = finding.device_id.as_ref().map(|device| format!(" {device}")).unwrap_or_default();
    format!(
        "{}{device}: {}\n  users see: {}\n  remedy:    {}\n\n",
        finding.user_id, finding.found, finding.users_see, finding.remedy
    )
}
