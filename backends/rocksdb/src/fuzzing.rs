//! What fuzzers ask of this crate; part of no interface.

use crate::keys::{Key, Parts, Table};

/// Reads the bytes as a key of a table, in an order of parts that they choose; and writes parts that they choose, which
/// read back as they were and sort as they do.
pub fn keys(data: &[u8]) {
    let (order, rest) = data.split_at(data.len().min(8));
    let mut stored = vec![Table::Account as u8];
    stored.extend_from_slice(rest);
    if let Ok(mut parts) = Key::parts_of(Table::Account, &stored) {
        for part in order {
            read(&mut parts, *part);
        }
    }
    let (a, b) = rest.split_at(rest.len() / 2);
    let write = |part: &[u8]| {
        let (number, text) = part.split_at(part.len().min(8));
        let number = number.iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
        let text = String::from_utf8_lossy(text).into_owned();
        let key = Key::new(Table::Account).bytes(part).u64(number).text(&text).u8(7);
        if let Ok(mut parts) = Key::new(Table::Account).parts_after(key.as_bytes()) {
            assert!(parts.bytes().is_ok_and(|back| back == part));
            assert!(parts.u64().is_ok_and(|back| back == number));
            assert!(parts.text().is_ok_and(|back| back == text));
            assert!(parts.u8().is_ok_and(|back| back == 7));
        }
        (key, (part.to_vec(), number, text))
    };
    let ((key_a, tuple_a), (key_b, tuple_b)) = (write(a), write(b));
    assert_eq!(key_a.as_bytes().cmp(key_b.as_bytes()), tuple_a.cmp(&tuple_b));
    assert!(key_a.as_bytes() < key_a.end().as_slice());
}

fn read(parts: &mut Parts<'_>, which: u8) {
    match which % 6 {
        0 => drop(parts.bytes()),
        1 => drop(parts.text()),
        2 => drop(parts.u64()),
        3 => drop(parts.u32()),
        4 => drop(parts.u8()),
        _ => drop(parts.cursor()),
    }
}
