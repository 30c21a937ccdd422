//! Saving runs, comparing them, and the page.

use std::fs;
use std::path::PathBuf;

use crate::Failure;
use crate::args::Args;
use crate::env::target_dir;
use crate::process::{check, command, release_binary};

/// The program that shows runs.
pub(super) const PROGRAM: &str = "olmstead-report";

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

    /// Shows the runs and writes the page.
    ///
    /// # Errors
    /// If a file cannot be read or written.
    pub(super) fn show(&self, kind: &str, runs: &[PathBuf]) -> Result<(), Failure> {
        let home = target_dir().join("bench");
        let mut report = command(release_binary(PROGRAM));
        report.args(runs);
        if let Some(name) = &self.compare {
            let kept = home.join(format!("{kind}-{name}"));
            let entries = fs::read_dir(&kept).map_err(|e| format!("there are no runs named `{name}`: {e}"))?;
            for entry in entries.flatten() {
                report.arg("--before").arg(entry.path());
            }
        }
        fs::create_dir_all(&home).map_err(|e| format!("cannot make {}: {e}", home.display()))?;
        report.arg("--page").arg(home.join(format!("{kind}.html")));
        check(&mut report)?;
        if let Some(name) = &self.save {
            let kept = home.join(format!("{kind}-{name}"));
            // Runs of that name are replaced as a whole.
            let _ = fs::remove_dir_all(&kept);
            fs::create_dir_all(&kept).map_err(|e| format!("cannot make {}: {e}", kept.display()))?;
            for run in runs {
                let to = kept.join(run.file_name().unwrap_or_default());
                fs::copy(run, &to).map_err(|e| format!("cannot write {}: {e}", to.display()))?;
            }
        }
        Ok(())
    }
}
