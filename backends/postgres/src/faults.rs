//! Ways to be wrong, for the crash drill: it must find them. Only in builds with the feature `drill-faults`, which no
//! release has.

/// How a store of the drill differs from one in use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Faults {
    /// A fault: `COMMIT` does not wait until the log is synced (`synchronous_commit = off`).
    pub no_sync: bool,
    /// A fault: a command is answered before its `COMMIT` is.
    pub early_answer: bool,
}
