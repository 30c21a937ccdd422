//! How far long work is, on a terminal.

use std::{
    io::{IsTerminal as _, Write as _},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};

/// A line that is renewed while work goes on, and gone at its end. Nothing where nobody looks.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Begins to count things of this kind; how many there are is not known.
    pub(crate) fn start(of: &str) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let _ = std::io::stderr().flush();
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template(&format!("{{spinner}} {{pos}} {of} ({{per_sec}}, {{elapsed}})"))
        {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        Self(bar)
    }

    /// So many are done.
    pub(crate) fn at(&self, done: u64) {
        self.0.set_position(done);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
