//! The memory of the server's process, as Linux tells it.

use std::fs;

pub(crate) struct Memory {
    process: u32,
}

impl Memory {
    pub(crate) fn of(process: u32) -> Self {
        Self { process }
    }

    fn status(&self, name: &str) -> Result<u64, String> {
        let path = format!("/proc/{}/status", self.process);
        let text = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}; has the server ended?"))?;
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        let kib: Option<u64> = line.split_whitespace().next().and_then(|word| word.parse().ok());
        kib.map(|kib| kib * 1024).ok_or_else(|| format!("{path} has no {name}"))
    }

    /// The resident set, bytes.
    pub(crate) fn now(&self) -> Result<u64, String> {
        self.status("VmRSS:")
    }

    /// The largest resident set since [`Memory::forget_peak`], bytes.
    pub(crate) fn peak(&self) -> Result<u64, String> {
        self.status("VmHWM:")
    }

    pub(crate) fn forget_peak(&self) -> Result<(), String> {
        let path = format!("/proc/{}/clear_refs", self.process);
        fs::write(&path, "5").map_err(|error| format!("{path}: {error}"))
    }
}
