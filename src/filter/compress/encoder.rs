//! Encoders of the content codings, as transforms of a body.
//!
//! Memory of one encoder is bounded: windows are 256 KiB at most, and a piece of input makes its
//! output before the next is taken.

use std::io::{self, Write as _};

use brotli::{CompressorWriter, enc::BrotliEncoderParams};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};

use crate::{
    config::schema::Encoding,
    failure::Failure,
    semantics::{Headers, Known, Transform},
};

/// An encoder, until its last byte was written.
pub(super) struct Encoder {
    writer: Option<Writer>,
    /// Input came since the last flush.
    is_dirty: bool,
}

enum Writer {
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
    Brotli(Box<CompressorWriter<Vec<u8>>>),
    Gzip(GzEncoder<Vec<u8>>),
}

impl Encoder {
    /// Makes an encoder of this level, or of the usual one, for a body of this length, if it is
    /// known.
    pub(super) fn new(
        encoding: Encoding,
        level: Option<u16>,
        length: Option<u64>,
    ) -> io::Result<Self> {
        let writer = match encoding {
            Encoding::Zstd => {
                let level = level.unwrap_or(3).into();
                let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), level)?;
                encoder.window_log(WINDOW_BITS)?;
                // Its tables are of that size: for a page, half of the memory.
                encoder.set_pledged_src_size(length)?;
                Writer::Zstd(encoder)
            }
            Encoding::Brotli => {
                // Below 2 each piece becomes a block of its own: short pieces would grow. Above 4
                // it takes tens of MiB of memory.
                let params = BrotliEncoderParams {
                    quality: level.unwrap_or(4).clamp(2, BROTLI_MAX).into(),
                    lgwin: WINDOW_BITS.cast_signed(),
                    ..BrotliEncoderParams::default()
                };
                let writer = CompressorWriter::with_params(Vec::new(), INPUT_MAX, &params);
                Writer::Brotli(Box::new(writer))
            }
            Encoding::Gzip => {
                let level = Compression::new(level.unwrap_or(6).into());
                Writer::Gzip(GzEncoder::new(Vec::new(), level))
            }
        };
        Ok(Self {
            writer: Some(writer),
            is_dirty: false,
        })
    }
}

impl Writer {
    fn write(&mut self, input: &[u8]) -> io::Result<()> {
        match self {
            Self::Zstd(writer) => writer.write_all(input),
            Self::Brotli(writer) => writer.write_all(input),
            Self::Gzip(writer) => writer.write_all(input),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Zstd(writer) => writer.flush(),
            Self::Brotli(writer) => writer.flush(),
            Self::Gzip(writer) => writer.flush(),
        }
    }

    /// Takes the output so far.
    fn take(&mut self) -> Bytes {
        let output = match self {
            Self::Zstd(writer) => writer.get_mut(),
            Self::Brotli(writer) => writer.get_mut(),
            Self::Gzip(writer) => writer.get_mut(),
        };
        std::mem::take(output).into()
    }

    fn finish(self) -> io::Result<Bytes> {
        let output = match self {
            Self::Zstd(writer) => writer.finish()?,
            Self::Brotli(writer) => writer.into_inner(),
            Self::Gzip(writer) => writer.finish()?,
        };
        Ok(output.into())
    }
}

impl Transform for Encoder {
    fn data(&mut self, input: &mut Bytes) -> Result<Bytes, Failure> {
        let piece = input.split_to(input.len().min(INPUT_MAX));
        let writer = self.writer.as_mut().ok_or(Failure::Internal)?;
        writer.write(&piece).map_err(failed)?;
        self.is_dirty = true;
        Ok(writer.take())
    }

    fn flush(&mut self) -> Result<Bytes, Failure> {
        match &mut self.writer {
            Some(writer) if self.is_dirty => {
                self.is_dirty = false;
                writer.flush().map_err(failed)?;
                Ok(writer.take())
            }
            _ => Ok(Bytes::new()),
        }
    }

    fn end(&mut self, trailers: &mut Headers) -> Result<Bytes, Failure> {
        for name in OF_THE_PLAIN_BODY {
            trailers.remove(name);
        }
        trailers.remove(Known::ETag);
        match self.writer.take() {
            Some(writer) => writer.finish().map_err(failed),
            None => Ok(Bytes::new()),
        }
    }

    fn turn_bytes(&self) -> usize {
        TURN_BYTES
    }
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match &self.writer {
            Some(Writer::Zstd(_)) => "Encoder(zstd)",
            Some(Writer::Brotli(_)) => "Encoder(br)",
            Some(Writer::Gzip(_)) => "Encoder(gzip)",
            None => "Encoder(ended)",
        })
    }
}

/// Nothing but a fault of the encoder: it writes to memory.
#[cold]
#[expect(clippy::needless_pass_by_value, reason = "as map_err gives it")]
fn failed(error: io::Error) -> Failure {
    tracing::error!(%error, "an answer could not be compressed");
    Failure::Internal
}

/// Digests that are true of the plain body only (RFC 9530, RFC 1864).
pub(super) const OF_THE_PLAIN_BODY: [&str; 4] =
    ["content-digest", "repr-digest", "digest", "content-md5"];
/// Highest level of Brotli.
const BROTLI_MAX: u16 = 4;
/// Windows of 256 KiB: a decoder needs as much.
const WINDOW_BITS: u32 = 18;
/// Bytes taken at once.
const INPUT_MAX: usize = 16 << 10;
/// Bytes after which others have their turn: about a millisecond of work.
const TURN_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    /// Decodes the beginning of a stream, up to this many bytes.
    fn decoded(encoding: Encoding, bytes: &[u8], length: usize) -> Vec<u8> {
        let mut reader: Box<dyn io::Read> = match encoding {
            Encoding::Zstd => Box::new(zstd::stream::read::Decoder::new(bytes).unwrap()),
            Encoding::Brotli => Box::new(brotli::Decompressor::new(bytes, 4096)),
            Encoding::Gzip => Box::new(flate2::read::GzDecoder::new(bytes)),
        };
        let mut text = vec![0; length];
        reader.read_exact(&mut text).unwrap();
        text
    }

    /// Decodes a whole stream.
    fn decoded_whole(encoding: Encoding, bytes: &[u8]) -> Vec<u8> {
        let mut text = Vec::new();
        match encoding {
            Encoding::Zstd => text = zstd::decode_all(bytes).unwrap(),
            Encoding::Brotli => {
                brotli::Decompressor::new(bytes, 4096)
                    .read_to_end(&mut text)
                    .unwrap();
            }
            Encoding::Gzip => {
                flate2::read::GzDecoder::new(bytes)
                    .read_to_end(&mut text)
                    .unwrap();
            }
        }
        text
    }

    #[test]
    fn what_was_flushed_can_be_read_and_the_whole_is_the_same() {
        for encoding in [Encoding::Zstd, Encoding::Brotli, Encoding::Gzip] {
            for level in [None, Some(1), Some(9)] {
                let mut encoder = Encoder::new(encoding, level, None).unwrap();
                let mut output = Vec::new();
                assert!(encoder.flush().unwrap().is_empty(), "nothing to flush");
                let mut text: Vec<u8> = Vec::new();
                for n in 0..2000_u32 {
                    let line = format!("event {n}: {}\n", n.wrapping_mul(2_654_435_761));
                    text.extend(line.as_bytes());
                    let mut input = Bytes::from(line);
                    while !input.is_empty() {
                        output.extend(encoder.data(&mut input).unwrap());
                    }
                    if n % 100 == 0 {
                        output.extend(encoder.flush().unwrap());
                        assert!(encoder.flush().unwrap().is_empty(), "nothing new to flush");
                        let read = decoded(encoding, &output, text.len());
                        assert!(read == text, "{encoding:?} {level:?} at {n}");
                    }
                }
                output.extend(encoder.end(&mut Headers::new()).unwrap());
                assert!(encoder.end(&mut Headers::new()).unwrap().is_empty());
                assert!(
                    decoded_whole(encoding, &output) == text,
                    "{encoding:?} {level:?}"
                );
                assert!(
                    output.len() < text.len() * 2 / 3,
                    "{encoding:?}: {}",
                    output.len()
                );
            }
        }
    }

    #[test]
    fn a_known_length_changes_nothing_that_is_read() {
        let text: Vec<u8> = (0..90_000_u32)
            .map(|n| u8::try_from(n / 7 % 251).unwrap())
            .collect();
        for encoding in [Encoding::Zstd, Encoding::Brotli, Encoding::Gzip] {
            let length = Some(text.len() as u64);
            let mut encoder = Encoder::new(encoding, None, length).unwrap();
            let mut output = Vec::new();
            for piece in text.chunks(20_000) {
                let mut input = Bytes::copy_from_slice(piece);
                while !input.is_empty() {
                    output.extend(encoder.data(&mut input).unwrap());
                }
                output.extend(encoder.flush().unwrap());
            }
            output.extend(encoder.end(&mut Headers::new()).unwrap());
            assert!(decoded_whole(encoding, &output) == text, "{encoding:?}");
        }
    }

    #[test]
    fn an_empty_body_is_an_empty_stream() {
        for encoding in [Encoding::Zstd, Encoding::Brotli, Encoding::Gzip] {
            for length in [None, Some(0)] {
                let mut encoder = Encoder::new(encoding, None, length).unwrap();
                let output = encoder.end(&mut Headers::new()).unwrap();
                assert_eq!(decoded_whole(encoding, &output), b"", "{encoding:?}");
            }
        }
    }
}
