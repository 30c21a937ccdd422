//! A bar that shows how far a program is.

use std::{
    io::{IsTerminal as _, Write as _, stderr},
    time::Instant,
};

const WIDTH: usize = 24;

/// A line at the bottom of the terminal; nothing where errors do not go to one.
#[derive(Debug)]
pub struct Progress {
    is_shown: bool,
    began: Instant,
    done: usize,
    all: usize,
}

impl Progress {
    /// A bar of so many steps.
    #[must_use]
    pub fn new(all: usize) -> Self {
        Self { is_shown: stderr().is_terminal(), began: Instant::now(), done: 0, all }
    }

    /// Says what is done now; what was said before is done.
    pub fn begin(&mut self, what: &str) {
        if self.is_shown {
            // A terminal that is gone is no reason to end.
            let _ = write!(stderr(), "\r\x1b[2K{}", line(self.done, self.all, self.began.elapsed().as_secs(), what));
            let _ = stderr().flush();
        }
        self.done += 1;
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_shown {
            let _ = write!(stderr(), "\r\x1b[2K");
        }
    }
}

fn line(done: usize, all: usize, seconds: u64, what: &str) -> String {
    let full = (done * WIDTH).checked_div(all).unwrap_or_default().min(WIDTH);
    let (full, empty) = ("#".repeat(full), ".".repeat(WIDTH - full));
    format!("[{full}{empty}] {done}/{all}, {}:{:02}, now {what} ", seconds / 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_grows() {
        assert_eq!(line(0, 2, 0, "a"), "[........................] 0/2, 0:00, now a ");
        assert_eq!(line(1, 2, 61, "b"), "[############............] 1/2, 1:01, now b ");
        assert_eq!(line(0, 0, 0, ""), "[........................] 0/0, 0:00, now  ");
    }
}
