//! Telling a log that lost what was answered from one that ends where the power was lost.
//!
//! After a loss of power the end of the log may be anything: what was not synced was answered to nobody, and is dropped.
//! The same damage further up is another thing, since it takes answered commands with it, and RocksDB cannot tell the two
//! apart: it reads as far as it can. So after each sync the log is told how far it was on disk by then, and what follows
//! carries that mark. If there is damage, and a mark after it knows of a synced command that does not read back, then the
//! store is damaged and must not be opened as if nothing were missing.
//!
//! A mark begins with a number that only the store knows, so clients cannot write one.

use std::{
    fs,
    io::{self, Write as _},
    path::Path,
};

/// The file, in the store's directory, of the number by which marks are known.
const FILE: &str = "log-marks";
/// Where it is made.
const NEXT_FILE: &str = "log-marks.new";

/// Makes and finds marks.
pub(crate) struct Marks {
    secret: [u8; 16],
}

impl Marks {
    /// Those of the store in a directory. A store that has none, new or from a version without them, gets them.
    pub(crate) fn open(directory: &Path) -> io::Result<Self> {
        let file = directory.join(FILE);
        match fs::read(&file) {
            Ok(bytes) => {
                // Another length is a file that was harmed. Without it marks of before are not found, and nothing else.
                if let Ok(secret) = <[u8; 16]>::try_from(bytes) {
                    return Ok(Self { secret });
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let secret: [u8; 16] = rand::random();
        let next = directory.join(NEXT_FILE);
        let mut new = fs::File::create(&next)?;
        new.write_all(&secret)?;
        new.sync_all()?;
        fs::rename(next, file)?;
        Ok(Self { secret })
    }

    /// The mark that all commands up to this sequence number are on disk.
    pub(crate) fn mark(&self, synced: u64) -> [u8; 32] {
        let mut mark = [0; 32];
        mark[..16].copy_from_slice(&self.secret);
        mark[16..24].copy_from_slice(&synced.to_le_bytes());
        mark[24..].copy_from_slice(&(!synced).to_le_bytes());
        mark
    }

    /// The largest sequence number of the whole marks in some bytes of a log.
    pub(crate) fn newest(&self, bytes: &[u8]) -> Option<u64> {
        memchr::memmem::find_iter(bytes, &self.secret).filter_map(|at| synced(bytes.get(at + 16..at + 32)?)).max()
    }
}

fn synced(numbers: &[u8]) -> Option<u64> {
    let (number, rest) = numbers.split_first_chunk()?;
    let (number, inverse) = (u64::from_le_bytes(*number), u64::from_le_bytes(*rest.first_chunk()?));
    (number == !inverse).then_some(number)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn whole_marks_are_found_by_who_knows_the_number() {
        let (here, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let marks = Marks::open(here.path()).unwrap();
        let mut log = b"before".to_vec();
        for number in [7, 900, 30] {
            log.extend(marks.mark(number));
            log.extend(b"between");
        }
        let mut harmed = marks.mark(5_000);
        harmed[20] ^= 1;
        log.extend(harmed);
        log.extend(&marks.mark(6_000)[..31]);
        assert_eq!(Marks::open(here.path()).unwrap().newest(&log), Some(900), "the file is kept");
        assert_eq!(Marks::open(elsewhere.path()).unwrap().newest(&log), None);
        assert_eq!(marks.newest(b""), None);
    }
}
