//! Converts the body of a gRPC-Web request to that of a gRPC call.

use bytes::Bytes;

use super::{Form, messages::Messages};
use crate::{
    failure::{BadRequest, Failure},
    semantics::{BodyLength, Headers, Transform, base64},
};

/// Decodes the body of one request, piece by piece; refuses anything but messages.
#[derive(Debug)]
pub struct Decoder {
    base64: Option<base64::Decoder>,
    messages: Messages,
}

impl Decoder {
    pub(super) fn new(form: Form) -> Self {
        Self {
            base64: match form {
                Form::Binary => None,
                Form::Text => Some(base64::Decoder::default()),
            },
            messages: Messages::default(),
        }
    }

    /// Decodes a piece; the output may be empty. Copies only to read base64.
    ///
    /// # Errors
    /// The rule that the body breaks. A frame of trailers is refused as well: a request has none.
    fn decode(&mut self, data: Bytes) -> Result<Bytes, BadRequest> {
        let data = match &mut self.base64 {
            None => data,
            Some(base64) => {
                let mut bytes = Vec::new();
                base64
                    .feed(&data, &mut bytes)
                    .map_err(|base64::NotBase64| BadRequest::GrpcWebText)?;
                bytes.into()
            }
        };
        self.messages
            .feed(&data)
            .map_err(|_| BadRequest::GrpcWebFlags)?;
        Ok(data)
    }

    /// Returns the minimum number of bytes that this many bytes of the body decode to: a base64
    /// group may be one byte.
    fn least(&self, bytes: u64) -> u64 {
        match self.base64 {
            None => bytes,
            Some(_) => bytes / 4,
        }
    }

    /// Returns true if the body may end here.
    fn is_between(&self) -> bool {
        self.messages.is_between() && self.base64.as_ref().is_none_or(base64::Decoder::is_between)
    }

    /// Checks that the body may end here.
    ///
    /// # Errors
    /// It ends in the middle of a message.
    fn check_end(&self) -> Result<(), BadRequest> {
        if self.is_between() {
            Ok(())
        } else {
            Err(BadRequest::GrpcWebLength)
        }
    }
}

/// A body that ends in the middle of a message ends in a failure, so that the endpoint does not
/// take the call for complete.
impl Transform for Decoder {
    fn data(&mut self, input: &mut Bytes) -> Result<Bytes, Failure> {
        Ok(self.decode(std::mem::take(input))?)
    }

    fn end(&mut self, _trailers: &mut Headers) -> Result<Bytes, Failure> {
        self.check_end()?;
        Ok(Bytes::new())
    }

    fn is_spent(&self) -> bool {
        self.is_between()
    }

    fn length(&self, input: BodyLength) -> BodyLength {
        BodyLength::AtLeast(self.least(input.least()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(form: Form, pieces: &[&'static [u8]]) -> Result<Vec<u8>, BadRequest> {
        let mut decoder = Decoder::new(form);
        let mut all = Vec::new();
        for piece in pieces {
            all.extend_from_slice(&decoder.decode(Bytes::from_static(piece))?);
        }
        decoder.check_end().map(|()| all)
    }

    #[test]
    fn a_body_is_read_in_either_form() {
        let message = b"\0\0\0\0\x02hi";
        assert_eq!(decode(Form::Binary, &[message]).unwrap(), message);
        assert_eq!(decode(Form::Text, &[b"AAAAAAJoaQ=="]).unwrap(), message);
        // Padded wherever the client liked.
        let parts: [&[u8]; 4] = [b"AA=", b"=AAAA", b"Amhp", b""];
        assert_eq!(decode(Form::Text, &parts).unwrap(), message);
        assert_eq!(decode(Form::Text, &[]).unwrap(), b"");
    }

    #[test]
    fn a_body_that_is_no_sequence_of_messages_is_refused() {
        use BadRequest::{GrpcWebFlags, GrpcWebLength, GrpcWebText};
        let binary: [(&'static [u8], _); 3] = [
            (b"\0\0\0\0\x02h", GrpcWebLength),
            (b"\0\0\0", GrpcWebLength),
            (b"\x80\0\0\0\x02hi", GrpcWebFlags),
        ];
        for (body, rule) in binary {
            assert_eq!(decode(Form::Binary, &[body]), Err(rule), "{body:?}");
        }
        let text: [(&'static [u8], _); 4] = [
            (b"AAAAAAJoaQ", GrpcWebLength),
            (b"AAAAAAJo", GrpcWebLength),
            (b"AAAA!AJo", GrpcWebText),
            (b"gAAAAAJoaQ==", GrpcWebFlags),
        ];
        for (body, rule) in text {
            assert_eq!(decode(Form::Text, &[body]), Err(rule), "{body:?}");
        }
    }
}
