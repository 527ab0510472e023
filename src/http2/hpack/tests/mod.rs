//! Blocks as a whole.

mod properties;
mod reading;
mod writing;

use std::ops::ControlFlow::Continue;

use bytes::BytesMut;
use http::StatusCode;

use super::*;
use crate::semantics::headers::look_up;

/// A field as a test compares it.
type Pair = (String, String);

fn decode(decoder: &mut Decoder, block: &[u8]) -> Result<Vec<Pair>, BlockFault> {
    let mut fields = Vec::new();
    decoder.decode(block, |field| {
        let line = String::from_utf8_lossy(field.line);
        let line = line.strip_suffix("\r\n").unwrap();
        let (name, value) = line.split_at(field.name_length);
        let value = value.strip_prefix(": ").unwrap();
        assert_eq!(value.as_bytes(), field.value());
        assert_eq!(field.size(), name.len() + value.len() + 32);
        fields.push((name.to_owned(), value.to_owned()));
        Continue(())
    })?;
    Ok(fields)
}

fn pairs(fields: &[(&str, &str)]) -> Vec<Pair> {
    let fields = fields.iter();
    fields
        .map(|(name, value)| ((*name).into(), (*value).into()))
        .collect()
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

/// Returns the encoded form of these fields, with names in any case.
fn encode(encoder: &mut Encoder, status: u16, fields: &[(&str, &str)]) -> BytesMut {
    let mut block = BytesMut::new();
    encoder.begin(&mut block);
    encoder.status(StatusCode::from_u16(status).unwrap(), &mut block);
    for (name, value) in fields {
        let known = look_up(name.as_bytes());
        encoder.field(known, name.as_bytes(), value.as_bytes(), false, &mut block);
    }
    block
}
