//! The steps of `test`: their names, their choice, their order.

use crate::Failure;

/// One step of `test`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The code is formatted.
    Fmt,
    /// The lints are quiet.
    Clippy,
    /// Engines are optional, and one is required.
    Features,
    /// Unit, conformance and black-box tests.
    Test,
    /// The project's own checks.
    Tidy,
    /// Each requirement has a test that shows it.
    Requirements,
    /// No order of threads breaks a rule.
    Loom,
    /// Nothing is lost when the server is killed.
    Drill,
    /// Flows of real clients against the built server.
    Clients,
    /// The shell blocks of the book do what it says.
    Docs,
}

impl Step {
    /// In the order in which they run.
    pub(crate) const ALL: [Self; 10] = [
        Self::Fmt,
        Self::Clippy,
        Self::Features,
        Self::Test,
        Self::Tidy,
        Self::Requirements,
        Self::Loom,
        Self::Drill,
        Self::Clients,
        Self::Docs,
    ];

    /// As on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Fmt => "fmt",
            Self::Clippy => "clippy",
            Self::Features => "features",
            Self::Test => "test",
            Self::Tidy => "tidy",
            Self::Requirements => "requirements",
            Self::Loom => "loom",
            Self::Drill => "drill",
            Self::Clients => "clients",
            Self::Docs => "docs",
        }
    }

    /// Reads names separated by commas.
    pub(crate) fn parse_list(names: &str) -> Result<Vec<Self>, Failure> {
        names
            .split(',')
            .map(|name| {
                Self::ALL.into_iter().find(|step| step.name() == name).ok_or_else(|| {
                    let known = Self::ALL.map(Self::name).join(", ");
                    format!("there is no step `{name}`; there are {known}")
                })
            })
            .collect()
    }

    /// The steps to run. A filter is for the tests alone, unless steps are named.
    pub(crate) fn choose(only: &[Self], skip: &[Self], filtered: bool) -> Vec<Self> {
        Self::ALL
            .into_iter()
            .filter(|step| match (only.is_empty(), filtered) {
                (true, true) => *step == Self::Test,
                (true, false) => true,
                (false, _) => only.contains(step),
            })
            .filter(|step| !skip.contains(step))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_parses_by_its_name() {
        for step in Step::ALL {
            assert_eq!(Step::parse_list(step.name()), Ok(vec![step]));
        }
        assert_eq!(Step::parse_list("tidy,fmt"), Ok(vec![Step::Tidy, Step::Fmt]));
        assert!(Step::parse_list("nothing").is_err());
    }

    #[test]
    fn steps_are_chosen_in_their_order() {
        assert_eq!(Step::choose(&[], &[], false), Step::ALL);
        assert_eq!(Step::choose(&[Step::Tidy, Step::Fmt], &[], false), [Step::Fmt, Step::Tidy]);
        assert_eq!(Step::choose(&[Step::Tidy, Step::Fmt], &[Step::Fmt], false), [Step::Tidy]);
        assert_eq!(Step::choose(&[], &[], true), [Step::Test]);
        assert_eq!(Step::choose(&[Step::Clients], &[], true), [Step::Clients]);
    }
}
