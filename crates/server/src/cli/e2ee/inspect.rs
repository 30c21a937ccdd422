//! `olmstead e2ee inspect`

use std::collections::BTreeMap;

use clap::Args;
use olmstead_service::admin::e2ee::inspect::{DeviceReport, SignatureReport, UserReport};

use crate::cli::{
    api::{Api, ApiError, encoded},
    table::{table, time},
};

#[derive(Debug, Args)]
pub(in crate::cli) struct Command {
    /// The user: an id such as `@alice:example.org`, or a name of this server such as `alice`.
    user: String,
    /// This device only.
    device: Option<String>,
}

impl Command {
    pub(in crate::cli) async fn run(&self, api: &Api) -> Result<(), ApiError> {
        let answer = api.get(&format!("/e2ee/users/{}", encoded(&self.user))).await?;
        let mut report: UserReport = answer.read()?;
        if let Some(device) = &self.device {
            report.devices.retain(|one| one.device_id == device.as_str());
            if report.devices.is_empty() {
                return Err(ApiError::NotThere(format!("{} has no device {device}", report.user_id)));
            }
        }
        if api.is_json() {
            return api.print_json(&report);
        }
        print!("{}", text(&report));
        Ok(())
    }
}

fn text(report: &UserReport) -> String {
    let mut text = format!("{}\ncreated {} UTC", report.user_id, time(report.created_at));
    if !report.standing.is_empty() {
        text.push_str(&format!(", {}", report.standing.join(", ")));
    }
    if let Some(position) = report.list_changed {
        text.push_str(&format!("\ndevice list last changed at position {position}"));
    }
    text.push_str("\n\n");
    if report.cross_signing.is_empty() {
        text.push_str("No cross-signing keys.\n");
    } else {
        let rows: Vec<_> = report
            .cross_signing
            .iter()
            .map(|(role, key)| vec![role.clone(), key.public_key.clone(), signers(&key.signed_by)])
            .collect();
        text.push_str(&table(&["cross-signing", "public key", "signed by"], &rows));
    }
    text.push('\n');
    if report.devices.is_empty() {
        text.push_str("No devices.\n");
    }
    for device in &report.devices {
        text.push_str(&of_device(device));
    }
    if !report.backups.is_empty() {
        let rows: Vec<_> = report
            .backups
            .iter()
            .map(|one| vec![one.version.clone(), one.count.to_string(), one.etag.clone(), one.algorithm.clone()])
            .collect();
        text.push('\n');
        text.push_str(&table(&["backup", "keys", "etag", "algorithm"], &rows));
    }
    text
}

fn of_device(device: &DeviceReport) -> String {
    let name = device.display_name.as_deref().map(|name| format!(" \"{name}\"")).unwrap_or_default();
    let kind = if device.dehydrated { " (dehydrated)" } else { "" };
    let mut lines = vec![(String::new(), String::new())];
    let mut line = |name: &str, text: String| lines.push((name.to_owned(), text));
    let seen = device.last_seen_at.map_or_else(|| "never".to_owned(), |at| format!("{} UTC", time(at)));
    line("last seen", format!("{seen}, since {} UTC", time(device.created_at)));
    if device.identity_keys.is_empty() {
        line("identity keys", "none".to_owned());
    }
    for (algorithm, key) in &device.identity_keys {
        line(algorithm, key.clone());
    }
    if !device.signed_by.is_empty() {
        line("signed by", signers(&device.signed_by));
    }
    line("one-time keys", counts(&device.one_time_keys));
    line("fallback keys", fallbacks(&device.fallback_keys));
    let oldest = device.inbox.oldest_at.map(|at| format!(", the oldest of {} UTC", time(at))).unwrap_or_default();
    line("inbox", format!("{} waiting{oldest}", device.inbox.waiting));
    let lines: String = lines.iter().skip(1).map(|(name, text)| format!("  {name:14} {text}\n")).collect();
    format!("DEVICE {}{name}{kind}\n{lines}", device.device_id)
}

fn signers(signatures: &[SignatureReport]) -> String {
    if signatures.is_empty() {
        return "nobody".to_owned();
    }
    let one = |signature: &SignatureReport| {
        if signature.verifies { signature.by.clone() } else { format!("{} (WRONG)", signature.by) }
    };
    signatures.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn counts(counts: &BTreeMap<String, u64>) -> String {
    if counts.is_empty() {
        return "none left".to_owned();
    }
    counts.iter().map(|(algorithm, count)| format!("{count} {algorithm}")).collect::<Vec<_>>().join(", ")
}

fn fallbacks(keys: &BTreeMap<String, bool>) -> String {
    if keys.is_empty() {
        return "none".to_owned();
    }
    let one = |(algorithm, used): (&String, &bool)| {
        format!("{algorithm} ({})", if *used { "given out" } else { "not given out" })
    };
    keys.iter().map(one).collect::<Vec<_>>().join(", ")
}
