//! Saving runs, comparing them, and the page.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Failure;
use crate::args::Args;
use crate::env::target_dir;
use crate::process::{check, command, release_binary};

/// The program that shows runs.
pub(super) const PROGRAM: &str = "olmstead-report";

/// Under this name the last runs of a kind are kept.
const LAST: &str = "last";

/// What was run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Storage engines.
    Engines,
    /// Servers.
    Http,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Engines => "engines",
            Self::Http => "http",
        }
    }
}

/// What to do with what was measured.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Report {
    /// A name to keep the runs under.
    pub(super) save: Option<String>,
    /// The name of kept runs to compare with.
    pub(super) compare: Option<String>,
}

impl Report {
    /// Takes an option that is about this; whether it was one.
    ///
    /// # Errors
    /// If its value is missing.
    pub(super) fn take(&mut self, name: &str, inline: Option<&str>, args: &mut Args) -> Result<bool, Failure> {
        let wanted = match name {
            "--save" => &mut self.save,
            "--compare" => &mut self.compare,
            _ => return Ok(false),
        };
        *wanted = Some(args.value(name, inline)?);
        Ok(true)
    }

    /// Shows the runs, writes the page, and keeps the runs as the last ones of their kind.
    ///
    /// # Errors
    /// If a file cannot be read or written, or a server that is not a peer answered what it must not.
    pub(super) fn show(&self, kind: Kind, runs: &[PathBuf], peers: &[&str]) -> Result<(), Failure> {
        let home = target_dir().join("bench");
        let mut report = command(release_binary(PROGRAM));
        report.args(runs);
        if let Some(name) = &self.compare {
            let kept = kept(kind, name);
            let entries = fs::read_dir(&kept).map_err(|e| format!("there are no runs named `{name}`: {e}"))?;
            for entry in entries.flatten() {
                report.arg("--before").arg(entry.path());
            }
        }
        if kind == Kind::Http {
            // What the engines cost is part of what a server may cost.
            for entry in fs::read_dir(kept(Kind::Engines, LAST)).into_iter().flatten().flatten() {
                report.arg("--engine-run").arg(entry.path());
            }
        }
        for peer in peers {
            report.args(["--peer", peer]);
        }
        fs::create_dir_all(&home).map_err(|e| format!("cannot make {}: {e}", home.display()))?;
        report.arg("--page").arg(home.join(format!("{}.html", kind.name())));
        for name in self.save.as_deref().into_iter().chain([LAST]) {
            keep(&kept(kind, name), runs)?;
        }
        check(&mut report)
    }
}

/// Where runs are kept under a name.
fn kept(kind: Kind, name: &str) -> PathBuf {
    target_dir().join("bench").join(format!("{}-{name}", kind.name()))
}

fn keep(directory: &Path, runs: &[PathBuf]) -> Result<(), Failure> {
    // Runs of that name are replaced as a whole.
    let _ = fs::remove_dir_all(directory);
    fs::create_dir_all(directory).map_err(|e| format!("cannot make {}: {e}", directory.display()))?;
    for run in runs {
        let to = directory.join(run.file_name().unwrap_or_default());
        fs::copy(run, &to).map_err(|e| format!("cannot write {}: {e}", to.display()))?;
    }
    Ok(())
}
