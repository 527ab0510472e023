//! Numbers with a prefix (RFC 7541 section 5.1).

use bytes::BufMut;

use super::BlockFault;

/// Reads a number whose prefix is in `first` under `mask`, and which may continue in `rest`;
/// returns the bytes after it.
///
/// # Errors
///
/// [`BlockFault::Truncated`], and [`BlockFault::Integer`] for a number of more than five bytes: no
/// block is that long.
#[inline]
pub(crate) fn read(first: u8, mask: u8, rest: &[u8]) -> Result<(u32, &[u8]), BlockFault> {
    if first & mask < mask {
        return Ok((u32::from(first & mask), rest));
    }
    read_long(mask, rest)
}

#[inline(never)]
fn read_long(mask: u8, rest: &[u8]) -> Result<(u32, &[u8]), BlockFault> {
    let mut number = u32::from(mask);
    for (place, byte) in rest.iter().take(BYTES_MAX).enumerate() {
        number += u32::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Ok((number, &rest[place + 1..]));
        }
    }
    Err(if rest.len() < BYTES_MAX {
        BlockFault::Truncated
    } else {
        BlockFault::Integer
    })
}

/// Writes a number after the bits of `first` above `mask`.
#[inline]
pub(crate) fn write(first: u8, mask: u8, number: usize, out: &mut impl BufMut) {
    match u8::try_from(number) {
        Ok(small) if small < mask => out.put_u8(first | small),
        _ => write_long(first | mask, number - usize::from(mask), out),
    }
}

#[inline(never)]
fn write_long(first: u8, mut number: usize, out: &mut impl BufMut) {
    out.put_u8(first);
    while number >= 0x80 {
        out.put_u8(0x80 | number.to_le_bytes()[0]);
        number >>= 7;
    }
    out.put_u8(number.to_le_bytes()[0]);
}

/// Maximum number of bytes after the prefix: 28 bits.
const BYTES_MAX: usize = 4;
