//! Operations on texts, many bytes per step.
//!
//! Values and names are too short for the setup of a wider search to pay.

use bytes::BufMut;

use super::{BlockFault, huffman, integer};

/// Reads a text that is written out: its length begins in `first`, under the mask `length`, beside
/// the bit `coded` of the Huffman code. Appends it to `out`; returns the rest of the block.
///
/// # Errors
///
/// See [`BlockFault`].
#[inline]
pub(crate) fn read<'b>(
    first: u8,
    coded: u8,
    length: u8,
    tail: &'b [u8],
    out: &mut Vec<u8>,
) -> Result<&'b [u8], BlockFault> {
    let (length, tail) = integer::read(first, length, tail)?;
    let (text, tail) = tail
        .split_at_checked(length as usize)
        .ok_or(BlockFault::Truncated)?;
    if first & coded == 0 {
        out.extend_from_slice(text);
    } else {
        huffman::decode(text, out)?;
    }
    Ok(tail)
}

/// Returns true if a value has a control byte other than tab.
#[inline]
pub(super) fn has_control(value: &[u8]) -> bool {
    let is_control = |byte: u8| (byte < b' ' && byte != b'\t') || byte == 0x7f;
    let may_have = if let Some(last) = value.last_chunk::<16>() {
        let (blocks, _) = value.as_chunks();
        blocks.iter().any(block_may_have_control) || block_may_have_control(last)
    } else {
        ends(value).into_iter().any(may_have_control)
    };
    may_have && value.iter().any(|&byte| is_control(byte))
}

/// Hashes a name, case-insensitively, from its length and its first and last bytes.
#[inline]
pub(super) fn hash_name(name: &[u8]) -> u8 {
    let [first, last] = ends(name);
    let words = (first | EACH << 5).rotate_left(5) ^ (last | EACH << 5) ^ name.len() as u64;
    let [.., high] = words.wrapping_mul(FACTOR).to_le_bytes();
    high
}

/// Returns true if the name equals this lower-case name, case-insensitively.
#[inline]
pub(super) fn same_name(name: &[u8], lower: &[u8]) -> bool {
    if name.len() != lower.len() {
        return false;
    }
    let (Some(name_last), Some(lower_last)) = (name.last_chunk(), lower.last_chunk()) else {
        return name.eq_ignore_ascii_case(lower);
    };
    let is = |name: &[u8; 8], lower: &[u8; 8]| {
        to_lower(u64::from_le_bytes(*name)) == u64::from_le_bytes(*lower)
    };
    let (name, _) = name.as_chunks();
    let (lower, _) = lower.as_chunks();
    is(name_last, lower_last) && name.iter().zip(lower).all(|(name, lower)| is(name, lower))
}

/// Writes a name in lower case.
pub(crate) fn put_lower(name: &[u8], out: &mut impl BufMut) {
    for part in name.chunks(PART) {
        let mut lower = [0; PART];
        if let Some(lower) = lower.get_mut(..part.len()) {
            lower.copy_from_slice(part);
            lower.make_ascii_lowercase();
            out.put_slice(lower);
        }
    }
}

/// Returns the first and the last word of a text: all of its bytes if there are no more than 16.
#[inline]
fn ends(text: &[u8]) -> [u64; 2] {
    match (text.first_chunk(), text.last_chunk()) {
        (Some(first), Some(last)) => [u64::from_le_bytes(*first), u64::from_le_bytes(*last)],
        _ => [short(text); 2],
    }
}

/// Returns a text of less than eight bytes as a word. Missing bytes are filled with its own bytes,
/// or with letters.
#[inline]
fn short(text: &[u8]) -> u64 {
    if let (Some(first), Some(last)) = (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        return u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << 32;
    }
    let byte = |at: usize| u64::from(text.get(at).copied().unwrap_or_default());
    let last = text.last().copied().unwrap_or_default();
    if text.is_empty() {
        return FILL;
    }
    FILL | byte(0) | byte(text.len() / 2) << 8 | u64::from(last) << 16
}

/// Returns true if the block may have a byte below space, or a DEL.
#[inline]
fn block_may_have_control(block: &[u8; 16]) -> bool {
    let mut found = [0; 16];
    for (found, byte) in found.iter_mut().zip(block) {
        *found = u8::from(*byte < b' ') | u8::from(*byte == 0x7f);
    }
    u128::from_le_bytes(found) != 0
}

/// Returns true if the word may have such a byte.
#[inline]
fn may_have_control(word: u64) -> bool {
    let below = word.wrapping_sub(EACH * 0x20) & !word;
    let differs = word ^ (EACH * 0x7f);
    let delete = differs.wrapping_sub(EACH) & !differs;
    (below | delete) & (EACH << 7) != 0
}

/// Returns the word with its letters in lower case.
#[inline]
fn to_lower(word: u64) -> u64 {
    let low = word & !(EACH << 7);
    let from_a = low + EACH * (0x80 - 0x41);
    let past_z = low + EACH * (0x80 - 0x5b);
    let upper = from_a & !past_z & !word & (EACH << 7);
    word | upper >> 2
}

/// A one in each byte.
const EACH: u64 = u64::from_le_bytes([1; 8]);

/// Bytes of a name written per step.
const PART: usize = 32;

/// Letters that fill the gaps in a text of one to three bytes.
const FILL: u64 = 0x6161_6161_6100_0000;

/// Multiplier of the hash, with well-mixed bits.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_bytes_are_found_wherever_they_are() {
        for length in 1..40 {
            for at in 0..length {
                for byte in 0..=u8::MAX {
                    let mut text = vec![b'a'; length];
                    text[at] = byte;
                    let control = (byte < 0x20 && byte != 9) || byte == 0x7f;
                    assert_eq!(has_control(&text), control, "{byte:#x} at {at} of {length}");
                }
            }
        }
        assert!(!has_control(b""));
    }

    #[test]
    fn names_are_compared_as_their_lower_case() {
        for length in 1..20 {
            for at in 0..length {
                for byte in 0..=u8::MAX {
                    let mut name = vec![b'Q'; length];
                    name[at] = byte;
                    let lower = name.to_ascii_lowercase();
                    assert!(same_name(&name, &lower));
                    assert_eq!(hash_name(&name), hash_name(&lower));
                    let mut out = vec![1];
                    put_lower(&name, &mut out);
                    assert_eq!(out[1..], lower);
                    for bit in 0..8 {
                        let mut other = lower.clone();
                        other[at] ^= 1 << bit;
                        let is_lower = other == other.to_ascii_lowercase();
                        assert!(!is_lower || !same_name(&name, &other));
                    }
                }
            }
        }
    }
}
