//! `olmstead e2ee doctor`

use std::collections::HashMap;

use clap::Args;
use olmstead_service::admin::e2ee::doctor::{Finding, Identity, Response, shared};
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
        let mut seen: HashMap<String, Seen> = HashMap::new();
        let progress = Progress::start("users");
        let mut query = self.user.as_ref().map(|user| format!("?user={}", encoded(user))).unwrap_or_default();
        loop {
            let page: Response = api.get(&format!("/e2ee/doctor{query}")).await?.read()?;
            report.users += page.users;
            report.devices += page.devices;
            report.findings.extend(page.findings);
            progress.at(report.users);
            for identity in page.identities {
                seen.entry(identity.key.clone()).or_default().meet(identity, report.users);
            }
            match page.next {
                Some(next) => query = format!("?limit=200&from={}", encoded(next.as_str())),
                None => break,
            }
        }
        // What is on one page was found there.
        for Seen { met } in seen.into_values().filter(|seen| seen.met.len() > 1) {
            let identities: Vec<Identity> = met.iter().map(|(identity, _)| identity.clone()).collect();
            let over_pages = met.iter().any(|(_, page)| Some(*page) != met.first().map(|(_, first)| *first));
            if over_pages {
                report.findings.retain(|finding| !is_of(finding, &identities));
                report.findings.extend(shared(&identities));
            }
        }
        Ok(report)
    }
}

/// Devices with one key, and the pages they were on.
#[derive(Debug, Default)]
struct Seen {
    met: Vec<(Identity, u64)>,
}

impl Seen {
    fn meet(&mut self, identity: Identity, page: u64) {
        self.met.push((identity, page));
    }
}

/// Whether a finding is about the shared key of these devices, of which it may not name all.
fn is_of(finding: &Finding, identities: &[Identity]) -> bool {
    finding.kind == olmstead_service::admin::e2ee::doctor::Kind::SharedIdentityKey
        && identities.iter().any(|identity| {
            identity.user_id == finding.user_id && Some(&identity.device_id) == finding.device_id.as_ref()
        })
}

fn text(finding: &Finding) -> String {
    let device = finding.device_id.as_ref().map(|device| format!(" {device}")).unwrap_or_default();
    format!(
        "{}{device}: {}\n  users see: {}\n  remedy:    {}\n\n",
        finding.user_id, finding.found, finding.users_see, finding.remedy
    )
}
