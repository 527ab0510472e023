//! ZooKeeper's encoding: big-endian numbers, and texts and buffers with their length.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

use super::ZooKeeperError;

/// Writes a frame: its length, then what `fill` writes.
pub(super) fn frame(out: &mut BytesMut, fill: impl FnOnce(&mut BytesMut)) {
    let at = out.len();
    out.put_i32(0);
    fill(out);
    let length = u32::try_from(out.len() - at - LENGTH_BYTES).unwrap_or(u32::MAX);
    out[at..at + LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
}

/// Takes a whole frame out of `inbox`, if one is there.
pub(super) fn take_frame(inbox: &mut BytesMut) -> Result<Option<Bytes>, ZooKeeperError> {
    let Some(length) = inbox.first_chunk::<LENGTH_BYTES>() else {
        return Ok(None);
    };
    let length = u32::from_be_bytes(*length) as usize;
    if length > FRAME_BYTES_MAX {
        return Err(ZooKeeperError::Garbled);
    }
    if inbox.len() < LENGTH_BYTES + length {
        inbox.reserve(LENGTH_BYTES + length - inbox.len());
        return Ok(None);
    }
    inbox.advance(LENGTH_BYTES);
    Ok(Some(inbox.split_to(length).freeze()))
}

/// Writes a text.
pub(super) fn put_text(out: &mut BytesMut, text: &str) {
    put_buffer(out, text.as_bytes());
}

/// Writes bytes.
pub(super) fn put_buffer(out: &mut BytesMut, bytes: &[u8]) {
    out.put_u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    out.put_slice(bytes);
}

/// The rest of a frame that is being read.
pub(super) struct Reader(pub(super) Bytes);

impl Reader {
    pub(super) fn int(&mut self) -> Result<i32, ZooKeeperError> {
        self.0.try_get_i32().map_err(|_| ZooKeeperError::Garbled)
    }

    pub(super) fn long(&mut self) -> Result<i64, ZooKeeperError> {
        self.0.try_get_i64().map_err(|_| ZooKeeperError::Garbled)
    }

    /// Reads bytes; a length of -1 stands for none.
    pub(super) fn buffer(&mut self) -> Result<Bytes, ZooKeeperError> {
        let length = self.int()?;
        if length == -1 {
            return Ok(Bytes::new());
        }
        let length = usize::try_from(length).map_err(|_| ZooKeeperError::Garbled)?;
        if length > self.0.len() {
            return Err(ZooKeeperError::Garbled);
        }
        Ok(self.0.split_to(length))
    }

    pub(super) fn text(&mut self) -> Result<String, ZooKeeperError> {
        let bytes = self.buffer()?;
        let text = std::str::from_utf8(&bytes).map_err(|_| ZooKeeperError::Garbled)?;
        Ok(text.to_owned())
    }

    /// Reads a list of texts.
    pub(super) fn texts(&mut self) -> Result<Vec<String>, ZooKeeperError> {
        let count = self.int()?.max(0);
        let mut texts = Vec::new();
        for _ in 0..count {
            texts.push(self.text()?);
        }
        Ok(texts)
    }
}

const LENGTH_BYTES: usize = 4;
/// Maximum size of one frame: the names of 50,000 children and more.
const FRAME_BYTES_MAX: usize = 16 << 20;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_frame_is_taken_when_it_is_whole() {
        let mut out = BytesMut::new();
        frame(&mut out, |out| {
            out.put_i32(-2);
            put_text(out, "ä");
        });
        assert_eq!(
            out[..],
            [0, 0, 0, 10, 255, 255, 255, 254, 0, 0, 0, 2, 0xc3, 0xa4]
        );
        let mut inbox = BytesMut::from(&out[..9]);
        assert!(take_frame(&mut inbox).unwrap().is_none());
        inbox.extend_from_slice(&out[9..]);
        let mut reader = Reader(take_frame(&mut inbox).unwrap().unwrap());
        assert_eq!((reader.int().unwrap(), &*reader.text().unwrap()), (-2, "ä"));
        assert!(inbox.is_empty());
        let mut huge = BytesMut::from(&[0x7f, 255, 255, 255][..]);
        assert!(take_frame(&mut huge).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_end_in_values_or_an_error(bytes: Vec<u8>) {
            let mut reader = Reader(bytes.clone().into());
            let _ = reader.texts();
            let mut reader = Reader(bytes.clone().into());
            let _ = reader.buffer();
            let _ = reader.long();
            let _ = take_frame(&mut BytesMut::from(&*bytes));
        }
    }
}
