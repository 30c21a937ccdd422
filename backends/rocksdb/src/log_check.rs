//! A look at the log before it is opened: whether it lost anything that was answered.
//!
//! Of the form of RocksDB's log as much as this needs: blocks of 32 KiB, in them fragments of records, each with a checksum,
//! a length and a kind; a record is a write batch, which begins with its sequence number and the count of its entries.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crc::{CRC_32_ISCSI, Crc, Table};

use crate::log_marks::Marks;

const BLOCK: usize = 32 << 10;
/// Checksum, length and kind.
const HEADER: usize = 7;
/// The number of the log beside these.
const LONG_HEADER: usize = 11;
/// A sequence number and a count.
const BATCH_HEADER: usize = 12;

static CRC: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISCSI);

/// A place in a log behind which a synced command should be, and is not readable there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Gap {
    /// The log.
    pub(crate) file: PathBuf,
    /// From which byte on it does not read.
    pub(crate) at: usize,
    /// The sequence number of the last command that is known to have been synced.
    pub(crate) synced: u64,
}

/// Looks for damage in the logs of a directory that is older than what is known to have been synced. What RocksDB has
/// in tables is not known here, so it has the last word.
pub(crate) fn find_gap(directory: &Path, marks: &Marks) -> io::Result<Option<Gap>> {
    let (mut last, mut damage, mut synced) = (0, None, None);
    for file in logs(directory)? {
        let log = fs::read(&file)?;
        let rest = if damage.is_some() {
            log.as_slice()
        } else {
            let extent = read(&log);
            last = last.max(extent.last);
            let Some(at) = extent.damage else { continue };
            damage = Some((file, at));
            log.get(at..).unwrap_or_default()
        };
        synced = synced.max(marks.newest(rest));
    }
    Ok(match (damage, synced) {
        (Some((file, at)), Some(synced)) if synced > last => Some(Gap { file, at, synced }),
        _ => None,
    })
}

/// The files of the log, in the order they were written in.
pub(crate) fn logs(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut logs = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let number = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".log")?.parse::<u64>().ok());
        logs.extend(number.map(|number| (number, path)));
    }
    logs.sort();
    Ok(logs.into_iter().map(|(_, path)| path).collect())
}

/// How far a log reads.
#[derive(Debug, Default, PartialEq, Eq)]
struct Extent {
    /// The largest sequence number before the damage.
    last: u64,
    /// The first byte that does not read; a log may end within a record.
    damage: Option<usize>,
}

fn read(log: &[u8]) -> Extent {
    let mut extent = Extent::default();
    let mut at = 0;
    // Where the record that is read begins, and the first bytes of it.
    let mut begun: Option<usize> = None;
    let mut head: Vec<u8> = Vec::new();
    while at < log.len() {
        let left = BLOCK - at % BLOCK;
        if left < HEADER {
            at += left;
            continue;
        }
        let Some((kind, payload, end)) = fragment(log, at, left) else { break };
        let starts = matches!(kind % 4, 1 | 2);
        if kind > 8 {
            // Of a form of the log that this does not know, and which is not used: RocksDB has to do alone.
            return Extent { last: u64::MAX, damage: None };
        }
        if starts {
            head.clear();
            begun = Some(at);
        }
        head.extend(payload.iter().take(BATCH_HEADER - head.len()));
        at = end;
        if matches!(kind % 4, 1 | 0) {
            extent.last = extent.last.max(last_of(&head).unwrap_or_default());
            begun = None;
        }
    }
    if at < log.len() {
        extent.damage = Some(at);
    } else {
        extent.damage = begun;
    }
    extent
}

/// The fragment at a place with so many bytes left in its block: kind, payload and end. Kinds from 1 on are: whole, first,
/// middle, last; and from 5 on the same with a long header.
fn fragment(log: &[u8], at: usize, left: usize) -> Option<(u8, &[u8], usize)> {
    let header = log.get(at..at + HEADER)?;
    let (sum, rest) = header.split_first_chunk()?;
    let (length, rest) = rest.split_first_chunk()?;
    let (kind, length) = (*rest.first()?, usize::from(u16::from_le_bytes(*length)));
    let start = at + if (5..=8).contains(&kind) { LONG_HEADER } else { HEADER };
    let end = start + length;
    // Zeros are space that was never written.
    if kind == 0 || end - at > left {
        return None;
    }
    let summed = log.get(at + HEADER - 1..end)?;
    (mask(CRC.checksum(summed)) == u32::from_le_bytes(*sum))
        .then(|| (kind, log.get(start..end).unwrap_or_default(), end))
}

/// Checksums are stored so that one of bytes that hold checksums is none of theirs.
const fn mask(sum: u32) -> u32 {
    sum.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// The last sequence number of a batch, if it has entries.
fn last_of(head: &[u8]) -> Option<u64> {
    let (first, rest) = head.split_first_chunk()?;
    let count = u64::from(u32::from_le_bytes(*rest.first_chunk()?));
    (count > 0).then(|| u64::from_le_bytes(*first).saturating_add(count - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(sequence: u64, count: u32, more: &[u8]) -> Vec<u8> {
        let payload = [&sequence.to_le_bytes(), count.to_le_bytes().as_slice(), more].concat();
        piece(1, &payload)
    }

    fn piece(kind: u8, payload: &[u8]) -> Vec<u8> {
        let summed = [&[kind], payload].concat();
        let length = u16::try_from(payload.len()).unwrap_or(u16::MAX);
        [&mask(CRC.checksum(&summed)).to_le_bytes(), length.to_le_bytes().as_slice(), &summed].concat()
    }

    #[test]
    fn a_log_reads_up_to_its_damage() {
        let log = [whole(10, 2, b"a"), whole(12, 0, b"mark"), whole(12, 5, b"b")].concat();
        assert_eq!(read(&log), Extent { last: 16, damage: None });
        assert_eq!(read(&[]), Extent::default());
        let second = whole(10, 2, b"a").len();
        let third = second + whole(12, 0, b"mark").len();
        for at in third..log.len() {
            let mut harmed = log.clone();
            harmed[at] ^= 0x40;
            assert_eq!(read(&harmed), Extent { last: 11, damage: Some(third) }, "byte {at}");
            assert_eq!(read(&log[..at]).last, 11);
        }
        let zeros = [log.as_slice(), &[0; 100]].concat();
        assert_eq!(read(&zeros), Extent { last: 16, damage: Some(log.len()) });
    }

    #[test]
    fn records_of_several_fragments_count_when_they_are_whole() {
        let head = [&7_u64.to_le_bytes(), 3_u32.to_le_bytes().as_slice()].concat();
        let first = piece(2, &head[..5]);
        let log = [first.clone(), piece(3, &head[5..]), piece(4, b"rest"), whole(10, 1, b"")].concat();
        assert_eq!(read(&log), Extent { last: 10, damage: None });
        assert_eq!(read(&log[..first.len()]), Extent { last: 0, damage: Some(0) });
    }
}
