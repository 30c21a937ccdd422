//! Command-line arguments, read one at a time.

use std::collections::VecDeque;

use crate::Failure;

/// The arguments not read yet.
pub(crate) struct Args(VecDeque<String>);

impl Args {
    pub(crate) fn new(args: impl IntoIterator<Item = String>) -> Self {
        Self(args.into_iter().collect())
    }

    /// The next argument.
    pub(crate) fn next(&mut self) -> Option<String> {
        self.0.pop_front()
    }

    /// The value of the option just read: `--name=value` (already split off) or the next argument.
    pub(crate) fn value(&mut self, name: &str, inline: Option<&str>) -> Result<String, Failure> {
        inline.map(str::to_owned).or_else(|| self.next()).ok_or_else(|| format!("{name} needs a value"))
    }

    /// The option just read and its value, to be handed on.
    pub(crate) fn option(&mut self, name: &str, inline: Option<&str>) -> Result<[String; 2], Failure> {
        Ok([name.to_owned(), self.value(name, inline)?])
    }

    /// All that is left.
    pub(crate) fn rest(self) -> Vec<String> {
        self.0.into()
    }

    /// Refuses anything left over.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        match self.0.front() {
            None => Ok(()),
            Some(extra) => Err(format!("unexpected argument `{extra}`; see `cargo xtask help`")),
        }
    }
}

/// Splits `--name=value`; anything else comes back whole.
pub(crate) fn split_option(arg: &str) -> (&str, Option<&str>) {
    match arg.split_once('=') {
        Some((name, value)) if name.starts_with("--") => (name, Some(value)),
        _ => (arg, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_only_long_options() {
        assert_eq!(split_option("--only=fmt"), ("--only", Some("fmt")));
        assert_eq!(split_option("--only"), ("--only", None));
        assert_eq!(split_option("a=b"), ("a=b", None));
    }

    #[test]
    fn a_value_is_inline_or_next() {
        let mut args = Args::new(["next".to_owned()]);
        assert_eq!(args.value("--x", Some("inline")).as_deref(), Ok("inline"));
        assert_eq!(args.value("--x", None).as_deref(), Ok("next"));
        assert!(args.value("--x", None).is_err());
    }
}
