//! `drill`: what goes wrong once in years, done on purpose.

pub(crate) mod crash;
mod flood;
mod restore;

use crate::Failure;
use crate::args::Args;

/// Runs the drill that is named.
///
/// # Errors
/// If it found something, or could not be run.
pub(crate) fn run(mut args: Args) -> Result<(), Failure> {
    match args.next().as_deref() {
        Some("crash") => crash::run(args),
        Some("flood") => flood::run(args),
        Some("restore") => restore::run(args),
        other => Err(format!("name a drill: crash, flood or restore; not `{}`", other.unwrap_or_default())),
    }
}
