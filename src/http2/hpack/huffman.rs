//! Huffman code of texts (RFC 7541 section 5.2 and appendix B).
//!
//! The code is canonical: codes of one length follow one another in the order of their bytes, and
//! longer ones begin where the shorter ones end. So the lengths define all codes.

use super::BlockFault;

/// Appends the decoded text.
///
/// # Errors
///
/// [`BlockFault::Huffman`] if it contains the end of text, or if its padding is not at most seven
/// one bits.
pub(crate) fn decode(coded: &[u8], out: &mut Vec<u8>) -> Result<(), BlockFault> {
    out.reserve(coded.len() * 8 / 5 + STEP);
    let mut bits = Bits {
        window: 0,
        count: 0,
    };
    let mut rest = coded;
    while let Some(next) = rest.first_chunk() {
        // What there is no room for as a whole comes again, and part of it is there then.
        bits.window |= u64::from_be_bytes(*next) >> bits.count;
        let bytes = (63 - bits.count) / 8;
        bits.count += bytes * 8;
        rest = rest.get(bytes as usize..).unwrap_or_default();
        bits.take_many(out)?;
    }
    // Fewer than eight bytes are left.
    let mut last = [0; 8];
    for (place, byte) in last.iter_mut().zip(rest) {
        *place = *byte;
    }
    let mut coming = u64::from_be_bytes(last);
    let mut left = bits.count as usize + rest.len() * 8;
    loop {
        if bits.count < CODE_MAX {
            bits.window |= coming.unbounded_shr(bits.count);
            coming = coming.unbounded_shl(64 - bits.count);
            bits.count = 64;
        }
        if left < 8 && bits.window.leading_ones() as usize >= left {
            return Ok(());
        }
        let code = bits.take()?;
        left = left
            .checked_sub(usize::from(code.length))
            .ok_or(BlockFault::Huffman)?;
        out.push(code.byte);
    }
}

/// Bits read.
#[derive(Clone, Copy)]
struct Bits {
    /// The next bit is the highest.
    window: u64,
    count: u32,
}

impl Bits {
    /// Takes several codes; at least 56 bits are present.
    #[inline]
    fn take_many(&mut self, out: &mut Vec<u8>) -> Result<(), BlockFault> {
        let mut ahead = *self;
        let mut text = [0; STEP];
        for byte in &mut text {
            let code = SHORT[usize::from(ahead.window.to_be_bytes()[0])];
            if code.length == 0 {
                return self.take_whole(out);
            }
            ahead.window <<= code.length;
            ahead.count -= u32::from(code.length);
            *byte = code.byte;
        }
        *self = ahead;
        out.extend_from_slice(&text);
        Ok(())
    }

    /// Takes codes of any length while a complete one is present.
    #[inline(never)]
    fn take_whole(&mut self, out: &mut Vec<u8>) -> Result<(), BlockFault> {
        while self.count >= CODE_MAX {
            let code = self.take()?;
            out.push(code.byte);
        }
        Ok(())
    }

    /// Takes the next code; enough bits for the longest are present.
    #[inline]
    fn take(&mut self) -> Result<Code, BlockFault> {
        let mut code = SHORT[usize::from(self.window.to_be_bytes()[0])];
        if code.length == 0 {
            code = self.long()?;
        }
        self.window <<= code.length;
        self.count -= u32::from(code.length);
        Ok(code)
    }

    /// Returns the next code if it is longer than eight bits.
    #[inline(never)]
    fn long(&self) -> Result<Code, BlockFault> {
        let window = self.window >> 32;
        let fitting = LENGTHS.iter().find(|row| window < row.end);
        let row = fitting.ok_or(BlockFault::Huffman)?;
        let place = (window - row.start) >> (32 - u32::from(row.length));
        let place = usize::try_from(place).unwrap_or(usize::MAX);
        let byte = IN_ORDER.get(row.before + place);
        Ok(Code {
            length: row.length,
            byte: *byte.ok_or(BlockFault::Huffman)?,
        })
    }
}

/// Number of bytes of a text in this code.
pub(super) fn coded_length(text: &[u8]) -> usize {
    let bits = text
        .iter()
        .map(|&byte| usize::from(BITS[usize::from(byte)]));
    bits.sum::<usize>().div_ceil(8)
}

/// Passes on the bytes of a text in this code.
pub(super) fn encode(text: &[u8], mut put: impl FnMut(&[u8])) {
    let mut window: u64 = 0;
    let mut count = 0;
    for &byte in text {
        let length = BITS[usize::from(byte)];
        window = window << length | u64::from(CODES[usize::from(byte)]);
        count += u32::from(length);
        if count >= 32 {
            count -= 32;
            let [.., a, b, c, d] = (window >> count).to_be_bytes();
            put(&[a, b, c, d]);
        }
    }
    let rest = window << (32 - count) | u64::from(u32::MAX.unbounded_shr(count));
    let [.., a, b, c, d] = rest.to_be_bytes();
    put([a, b, c, d]
        .get(..count.div_ceil(8) as usize)
        .unwrap_or_default());
}

/// A byte with the length of its code; 0 if there is none.
#[derive(Clone, Copy)]
struct Code {
    length: u8,
    byte: u8,
}

/// Code at the start of the next eight bits, for each value of them.
static SHORT: [Code; 256] = {
    let mut table = [Code { length: 0, byte: 0 }; 256];
    let mut byte: u8 = 0;
    loop {
        let length = BITS[byte as usize];
        if length <= 8 {
            let start = (CODES[byte as usize] as usize) << (8 - length);
            let mut place = 0;
            while place < 1 << (8 - length) {
                table[start + place] = Code { length, byte };
                place += 1;
            }
        }
        if byte == u8::MAX {
            break;
        }
        byte += 1;
    }
    table
};

/// The codes of one length.
#[derive(Clone, Copy)]
struct Row {
    length: u8,
    /// The first code of the length, and the first longer one, in the highest of 32 bits.
    start: u64,
    end: u64,
    /// Number of shorter codes.
    before: usize,
}

/// The lengths above eight bits.
static LENGTHS: [Row; CODE_MAX as usize - 8] = {
    let mut rows = [Row {
        length: 0,
        start: 0,
        end: 0,
        before: 0,
    }; CODE_MAX as usize - 8];
    let mut length: u8 = 9;
    while (length as u32) <= CODE_MAX {
        let (start, before) = first_of(length);
        let (end, _) = first_of(length + 1);
        rows[length as usize - 9] = Row {
            length,
            start: (start as u64) << (32 - length),
            end: (end as u64) << (31 - length),
            before,
        };
        length += 1;
    }
    rows
};

/// The bytes in the order of their codes.
static IN_ORDER: [u8; 256] = {
    let mut order = [0; 256];
    let mut place = 0;
    let mut length: u8 = 5;
    while (length as u32) <= CODE_MAX {
        let mut byte: u8 = 0;
        loop {
            if BITS[byte as usize] == length {
                order[place] = byte;
                place += 1;
            }
            if byte == u8::MAX {
                break;
            }
            byte += 1;
        }
        length += 1;
    }
    order
};

/// The code of each byte.
static CODES: [u32; 256] = {
    let mut codes = [0; 256];
    let mut byte = 0;
    while byte < codes.len() {
        let (mut code, _) = first_of(BITS[byte]);
        let mut before = 0;
        while before < byte {
            if BITS[before] == BITS[byte] {
                code += 1;
            }
            before += 1;
        }
        codes[byte] = code;
        byte += 1;
    }
    codes
};

/// Returns the first code of a length, and the number of shorter codes.
const fn first_of(length: u8) -> (u32, usize) {
    let mut code: u32 = 0;
    let mut before = 0;
    let mut byte = 0;
    while byte < BITS.len() {
        if BITS[byte] < length {
            code += 1 << (CODE_MAX + 1 - BITS[byte] as u32);
            before += 1;
        }
        byte += 1;
    }
    (code >> (CODE_MAX + 1 - length as u32), before)
}

/// Number of codes decoded per step if none is longer than eight bits.
const STEP: usize = 6;

/// The longest code; that of the end of text, 30 one bits, is as long.
const CODE_MAX: u32 = 30;

/// The length of the code of each byte, in bits.
#[rustfmt::skip]
const BITS: [u8; 256] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        encode(text, |bytes| out.extend_from_slice(bytes));
        assert_eq!(out.len(), coded_length(text));
        out
    }

    fn decoded(coded: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        decode(coded, &mut out).ok().map(|()| out)
    }

    #[test]
    fn codes_are_those_of_the_standard() {
        // Some of each kind, as they stand in appendix B.
        let some = [
            (0, 0x1ff8, 13),
            (b'\n', 0x3fff_fffc, 30),
            (b' ', 0x14, 6),
            (b'0', 0x0, 5),
            (b':', 0x5c, 7),
            (b'Z', 0xfd, 8),
            (b'\\', 0x7fff0, 19),
            (b'~', 0x1ffd, 13),
            (0x80, 0xfffe6, 20),
            (0xc0, 0x3ff_ffe0, 26),
            (0xf9, 0xfff_fffe, 28),
            (0xff, 0x3ff_ffee, 26),
        ];
        for (byte, code, bits) in some {
            assert_eq!(CODES[usize::from(byte)], code, "{byte}");
            assert_eq!(BITS[usize::from(byte)], bits, "{byte}");
        }
        // All codes and that of the end of text together use up what there is.
        let used: u64 = BITS
            .iter()
            .map(|&bits| 1 << (CODE_MAX - u32::from(bits)))
            .sum();
        assert_eq!(used + 1, 1 << CODE_MAX);
    }

    #[test]
    fn every_pair_of_bytes_comes_back() {
        for first in 0..=u8::MAX {
            assert_eq!(decoded(&encoded(&[first])).unwrap(), [first]);
            for second in 0..=u8::MAX {
                let text = [first, second, b'x', second, first, first];
                assert_eq!(decoded(&encoded(&text)).unwrap(), text);
            }
        }
        assert_eq!(decoded(b"").unwrap(), b"");
    }

    #[test]
    fn what_fills_up_is_one_bits_and_no_whole_byte() {
        // `0` is five zero bits.
        assert_eq!(decoded(&[0b0000_0111]).unwrap(), b"0");
        for filling in 0..7 {
            assert_eq!(decoded(&[filling]), None, "{filling}");
        }
        for text in [&b"0"[..], b"Z", b"\n", b"\n0", b"abcdefgh"] {
            let coded = encoded(text);
            assert_eq!(decoded(&coded).unwrap(), text);
            assert_eq!(decoded(&[&coded[..], &[0xff]].concat()), None);
        }
        for length in 1..9 {
            assert_eq!(decoded(&vec![0xff; length]), None, "{length}");
        }
    }

    #[test]
    fn the_end_of_text_must_not_stand_in_it() {
        // 30 one bits behind `0`, then another `0`.
        assert_eq!(decoded(&[0x07, 0xff, 0xff, 0xff, 0xe0, 0x7f]), None);
        assert_eq!(decoded(&[0xff, 0xff, 0xff, 0xfc]), None);
    }

    #[test]
    fn a_code_that_breaks_off_is_a_fault() {
        // The codes of `\n` and of 0 without their ends.
        assert_eq!(decoded(&[0xff, 0xff, 0xff]), None);
        assert_eq!(decoded(&[0xff]), None);
        assert_eq!(decoded(&[0xfe]), None);
    }
}
