//! How many files, and with them connections, the process may have open.
//!
//! The limit that a process is started with is often 1,024, for programs that use `select`; the one it may raise that to is
//! hundreds of times as high. A server without files can neither accept connections nor write its store.

use std::io;

use rlimit::{Resource, increase_nofile_limit};

/// What is open besides connections: the files of the store, connections to a database, the log.
const OTHERS: u64 = 1_000;

/// Raises the limit as far as it goes, and says so; warns if so many connections do not fit.
pub(crate) fn raise(connections: usize) {
    match raised() {
        Ok((before, now)) => {
            tracing::info!(before, now, "open files that the process may have");
            if let Some(warning) = warning(now, connections) {
                tracing::warn!("{warning}");
            }
        }
        Err(error) => tracing::warn!(%error, "cannot raise the number of files that may be open"),
    }
}

/// The limit before and after it was raised.
fn raised() -> io::Result<(u64, u64)> {
    let (before, _) = Resource::NOFILE.get()?;
    Ok((before, increase_nofile_limit(u64::MAX)?))
}

fn warning(files: u64, connections: usize) -> Option<String> {
    let needed = u64::try_from(connections).unwrap_or(u64::MAX).saturating_add(OTHERS);
    (files < needed).then(|| {
        format!(
            "limits.connections is {connections}, for which the process should be allowed {needed} open files, but it is \
             allowed {files}: raise that (LimitNOFILE in systemd, ulimit -n), or lower limits.connections"
        )
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_limit_is_raised_as_far_as_it_goes() {
        let (soft, hard) = Resource::NOFILE.get().unwrap();
        let low = soft.min(512);
        Resource::NOFILE.set(low, hard).unwrap();
        assert_eq!(raised().unwrap(), (low, hard));
        assert_eq!(Resource::NOFILE.get().unwrap(), (hard, hard));
    }

    #[test]
    fn connections_that_do_not_fit_are_warned_of() {
        assert_eq!(warning(21_000, 20_000), None);
        let text = warning(1_024, 20_000).unwrap();
        assert!(text.contains("21000") && text.contains("1024") && text.contains("limits.connections"), "{text}");
        assert_eq!(warning(u64::MAX, usize::MAX), None);
    }
}
