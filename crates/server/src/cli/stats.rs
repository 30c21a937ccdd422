//! `olmstead stats`

use olmstead_service::admin::stats::Response;

use super::{
    api::{Api, ApiError},
    table::{facts, span},
};

/// Runs it.
pub(super) async fn run(api: &Api) -> Result<(), ApiError> {
    api.get("/stats").await?.print(api, |stats: Response| print!("{}", shown(&stats)))
}

fn shown(stats: &Response) -> String {
    let mut lines = vec![
        ("server", stats.server_name.clone()),
        ("version", stats.version.clone()),
        ("up for", span(stats.uptime_ms)),
        ("engine", stats.engine.clone()),
        ("schema", stats.schema.to_string()),
        ("store epoch", stats.epoch.to_string()),
        ("store size", size(stats.store_bytes)),
    ];
    if let Some(census) = &stats.census {
        let figures = &census.figures;
        lines.extend([
            ("counted", format!("{} ago", span(census.age_ms))),
            ("users", figures.users.to_string()),
            ("deactivated users", figures.deactivated_users.to_string()),
            ("rooms", figures.rooms.to_string()),
            ("devices", figures.devices.to_string()),
            ("devices with keys", figures.devices_with_keys.to_string()),
            ("empty pools", figures.empty_pools.to_string()),
            ("used fallback keys", figures.used_fallbacks.to_string()),
            ("messages that wait", figures.waiting_messages.to_string()),
            ("longest inbox", figures.longest_inbox.to_string()),
            ("oldest message", span(figures.oldest_message_ms)),
        ]);
    } else {
        lines.push(("counted", "not yet: the node goes through all users first".to_owned()));
    }
    facts(&lines)
}

/// Bytes in a unit that makes few digits.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut unit = 0;
    let mut tenths = bytes.saturating_mul(10);
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1_024;
        unit += 1;
    }
    let unit = UNITS.get(unit).copied().unwrap_or_default();
    if unit == "B" { format!("{bytes} B") } else { format!("{}.{} {unit}", tenths / 10, tenths % 10) }
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes_have_few_digits() {
        for (bytes, expected) in [
            (0, "0 B"),
            (1_023, "1023 B"),
            (1_024, "1.0 KiB"),
            (1_536, "1.5 KiB"),
            (5 << 30, "5.0 GiB"),
            (1 << 60, "1048576.0 TiB"),
        ] {
            assert_eq!(size(bytes), expected);
        }
    }
}
