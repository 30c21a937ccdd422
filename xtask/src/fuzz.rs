//! `fuzz`: mutations of the corpora, on stable Rust, for as long as one likes.

use crate::Failure;
use crate::args::{Args, split_option};
use crate::engines::FEATURES;
use crate::process::{cargo, check};
use crate::setup::{self, Needs};

/// Runs one target, or one after the other.
///
/// # Errors
/// If an argument is wrong, or something was found.
pub(crate) fn run(mut args: Args) -> Result<(), Failure> {
    let (mut minutes, mut target) = ("1".to_owned(), None);
    while let Some(arg) = args.next() {
        match split_option(&arg) {
            ("--minutes", inline) => minutes = args.value("--minutes", inline)?,
            (name, None) if !name.starts_with('-') && target.is_none() => target = Some(name.to_owned()),
            _ => return Err(format!("unexpected argument `{arg}`; see `cargo xtask help`")),
        }
    }
    setup::run(Needs::everything())?;
    let mut test = cargo(["test", "--workspace"])?;
    test.args(FEATURES).args(["--test", "corpora", "--", "--nocapture", "--exact", "fuzz"]);
    test.env("OLMSTEAD_FUZZ_MINUTES", minutes);
    if let Some(target) = target {
        test.env("OLMSTEAD_FUZZ_TARGET", target);
    }
    check(&mut test)
}
