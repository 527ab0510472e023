//! Streams of a client beside its requests: the control stream (RFC 9114 section 7.2), and the
//! streams of field compression (RFC 9204 section 4), which have little to say without a table.

use super::{
    Code,
    frame::{FrameHead, HEAD_BYTES_MAX, Kind},
    varint,
};

/// Reads a client's control stream. Keeps no more of it than one small frame.
#[derive(Debug, Default)]
pub struct ControlReader {
    /// Settings have come, which are the first.
    has_settings: bool,
    /// The pushed answers that the client takes.
    push_max: Option<u64>,
    /// The first pushed answer that it does not take any more.
    go_away: Option<u64>,
    /// Part of a frame.
    kept: Vec<u8>,
    /// Bytes of a frame that is passed over.
    skip: u64,
}

impl ControlReader {
    /// Reads more of the stream; returns the number of frames that have begun, of which each costs
    /// the client little.
    ///
    /// # Errors
    /// The violation, which ends the connection.
    pub fn read(&mut self, mut bytes: &[u8]) -> Result<u32, Code> {
        let mut frames = 0;
        while !bytes.is_empty() {
            if self.skip > 0 {
                let count =
                    usize::try_from(self.skip).map_or(bytes.len(), |it| it.min(bytes.len()));
                self.skip -= count as u64;
                bytes = bytes.get(count..).unwrap_or_default();
                continue;
            }
            let (start, rest) = bytes.split_at(bytes.len().min(PIECE));
            bytes = rest;
            self.kept.extend_from_slice(start);
            frames += self.read_kept()?;
        }
        Ok(frames)
    }

    fn read_kept(&mut self) -> Result<u32, Code> {
        let mut frames = 0;
        let kept = std::mem::take(&mut self.kept);
        let mut rest = &kept[..];
        while let Some((head, length)) = FrameHead::read(rest) {
            let after = rest.get(length..).unwrap_or_default();
            if head.kind == Kind::Unknown {
                if !self.has_settings {
                    return Err(Code::MissingSettings);
                }
                if head.length > SKIPPED_MAX {
                    return Err(Code::ExcessiveLoad);
                }
                frames += 1;
                let present =
                    usize::try_from(head.length).map_or(after.len(), |it| it.min(after.len()));
                self.skip = head.length - present as u64;
                rest = after.get(present..).unwrap_or_default();
                continue;
            }
            self.check(head)?;
            let payload = usize::try_from(head.length)
                .ok()
                .and_then(|it| after.get(..it));
            let Some(payload) = payload else {
                break;
            };
            frames += 1;
            self.take(head.kind, payload)?;
            rest = after.get(payload.len()..).unwrap_or_default();
        }
        self.kept = rest.to_vec();
        Ok(frames)
    }

    /// Checks a frame before its payload is kept.
    fn check(&self, head: FrameHead) -> Result<(), Code> {
        let is_settings = head.kind == Kind::Settings;
        if !self.has_settings && !is_settings {
            return Err(Code::MissingSettings);
        }
        match head.kind {
            Kind::Settings if self.has_settings => Err(Code::FrameUnexpected),
            Kind::Settings if head.length > SETTINGS_MAX => Err(Code::ExcessiveLoad),
            Kind::Settings => Ok(()),
            Kind::GoAway | Kind::MaxPushId | Kind::CancelPush if head.length <= 8 => Ok(()),
            Kind::GoAway | Kind::MaxPushId | Kind::CancelPush => Err(Code::FrameError),
            _ => Err(Code::FrameUnexpected),
        }
    }

    fn take(&mut self, kind: Kind, payload: &[u8]) -> Result<(), Code> {
        if kind == Kind::Settings {
            self.has_settings = true;
            return check_settings(payload);
        }
        let id = match varint::read(payload) {
            Some((id, length)) if length == payload.len() => id,
            _ => return Err(Code::FrameError),
        };
        match kind {
            // It never shrinks (section 7.2.7).
            Kind::MaxPushId if self.push_max.is_some_and(|max| id < max) => Err(Code::IdError),
            Kind::MaxPushId => {
                self.push_max = Some(id);
                Ok(())
            }
            // It never grows (section 5.2).
            Kind::GoAway if self.go_away.is_some_and(|max| id > max) => Err(Code::IdError),
            Kind::GoAway => {
                self.go_away = Some(id);
                Ok(())
            }
            // Nothing was pushed that could be withdrawn.
            _ => Err(Code::IdError),
        }
    }
}

/// Checks settings: none twice, and none of HTTP/2 (section 7.2.4.1).
fn check_settings(mut payload: &[u8]) -> Result<(), Code> {
    let mut seen = Vec::new();
    while !payload.is_empty() {
        let (setting, first) = varint::read(payload).ok_or(Code::FrameError)?;
        payload = payload.get(first..).unwrap_or_default();
        let (_, second) = varint::read(payload).ok_or(Code::FrameError)?;
        payload = payload.get(second..).unwrap_or_default();
        if matches!(setting, 0 | 2..=5) || seen.contains(&setting) {
            return Err(Code::SettingsError);
        }
        if seen.len() >= SETTINGS_COUNT_MAX {
            return Err(Code::ExcessiveLoad);
        }
        seen.push(setting);
    }
    Ok(())
}

/// Reads a client's encoder stream: with a table of no bytes it can only say that it has none.
/// Returns the number of instructions.
///
/// # Errors
/// The violation, which ends the connection.
pub fn read_encoder(bytes: &[u8]) -> Result<u32, Code> {
    // Set Dynamic Table Capacity to 0 (RFC 9204 section 4.3.1).
    if bytes.iter().all(|byte| *byte == 0x20) {
        Ok(count(bytes.len()))
    } else {
        Err(Code::EncoderStreamError)
    }
}

/// Reads a client's decoder stream, on which it may only cancel streams: this side adds nothing to a
/// table that it could acknowledge.
#[derive(Debug, Default)]
pub struct DecoderStreamReader {
    /// Bytes of an instruction that is not over.
    bytes: usize,
}

impl DecoderStreamReader {
    /// Reads more of the stream; returns the number of instructions that have begun.
    ///
    /// # Errors
    /// The violation, which ends the connection.
    pub fn read(&mut self, bytes: &[u8]) -> Result<u32, Code> {
        let mut instructions = 0;
        for byte in bytes {
            if self.bytes == 0 {
                // Stream Cancellation (RFC 9204 section 4.4.2).
                if byte >> 6 != 0b01 {
                    return Err(Code::DecoderStreamError);
                }
                instructions += 1;
                self.bytes = usize::from(byte & 0x3f == 0x3f);
                continue;
            }
            self.bytes += 1;
            if byte & 0x80 == 0 {
                self.bytes = 0;
            } else if self.bytes > INTEGER_BYTES_MAX {
                return Err(Code::DecoderStreamError);
            }
        }
        Ok(instructions)
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Bytes of the stream that are looked at in one step.
const PIECE: usize = 1024;
/// Largest SETTINGS frame.
const SETTINGS_MAX: u64 = 4096;
/// Maximum number of settings; each is compared with those before it.
const SETTINGS_COUNT_MAX: usize = 64;
/// Largest frame that is passed over.
const SKIPPED_MAX: u64 = 64 * 1024;
/// Maximum number of bytes of the number of a stream.
const INTEGER_BYTES_MAX: usize = 10;
const _: () = assert!(HEAD_BYTES_MAX < PIECE);

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: [u8; 4] = [4, 2, 1, 0];

    fn read(bytes: &[u8]) -> Result<u32, Code> {
        let mut whole = ControlReader::default();
        let mut single = ControlReader::default();
        let at_once = whole.read(bytes);
        let mut frames = 0;
        let one_by_one = bytes.iter().try_fold(0, |_, byte| {
            frames += single.read(std::slice::from_ref(byte))?;
            Ok(frames)
        });
        assert_eq!(at_once, one_by_one);
        at_once
    }

    fn after_settings(bytes: &[u8]) -> Result<u32, Code> {
        read(&[&SETTINGS, bytes].concat())
    }

    #[test]
    fn settings_come_first_and_once() {
        assert_eq!(read(&SETTINGS), Ok(1));
        assert_eq!(read(&[7, 1, 0]), Err(Code::MissingSettings));
        assert_eq!(read(&[0x21, 0]), Err(Code::MissingSettings));
        assert_eq!(after_settings(&SETTINGS), Err(Code::FrameUnexpected));
        assert_eq!(read(&[4, 4, 1, 0, 1, 0]), Err(Code::SettingsError), "twice");
        assert_eq!(read(&[4, 2, 2, 0]), Err(Code::SettingsError), "of HTTP/2");
        assert_eq!(read(&[4, 1, 1]), Err(Code::FrameError), "broken off");
        assert_eq!(read(&[4, 0x80, 1, 0, 0]), Err(Code::ExcessiveLoad));
    }

    #[test]
    fn other_frames_are_judged_one_by_one() {
        assert_eq!(after_settings(&[0xd, 1, 8, 0xd, 1, 9]), Ok(3));
        assert_eq!(after_settings(&[0xd, 1, 9, 0xd, 1, 8]), Err(Code::IdError));
        assert_eq!(after_settings(&[7, 1, 4, 7, 1, 0]), Ok(3));
        assert_eq!(after_settings(&[7, 1, 0, 7, 1, 4]), Err(Code::IdError));
        assert_eq!(after_settings(&[7, 2, 0, 0]), Err(Code::FrameError));
        assert_eq!(after_settings(&[3, 1, 0]), Err(Code::IdError));
        for kind in [0, 1, 5, 2, 6, 8, 9] {
            assert_eq!(after_settings(&[kind, 0]), Err(Code::FrameUnexpected));
        }
    }

    #[test]
    fn unknown_frames_are_passed_over_and_counted() {
        let mut frames = vec![0x40, 0x21, 0x44, 0];
        frames.extend_from_slice(&[1; 1024]);
        frames.extend_from_slice(&[0x21, 0, 7, 1, 0]);
        assert_eq!(after_settings(&frames), Ok(4));
        assert_eq!(
            after_settings(&[0x21, 0x80, 1, 0, 1]),
            Err(Code::ExcessiveLoad)
        );
    }

    #[test]
    fn compression_streams_say_nothing_without_a_table() {
        assert_eq!(read_encoder(&[0x20, 0x20]), Ok(2));
        assert_eq!(read_encoder(&[0x3f]), Err(Code::EncoderStreamError));
        let mut reader = DecoderStreamReader::default();
        assert_eq!(reader.read(&[0x44, 0x7f, 0x80, 0x01, 0x40]), Ok(3));
        for wrong in [0x84, 0x01] {
            let mut reader = DecoderStreamReader::default();
            assert_eq!(reader.read(&[wrong]), Err(Code::DecoderStreamError));
        }
        let mut reader = DecoderStreamReader::default();
        let endless = [&[0x7f][..], &[0xff; 20]].concat();
        assert_eq!(reader.read(&endless), Err(Code::DecoderStreamError));
    }
}
