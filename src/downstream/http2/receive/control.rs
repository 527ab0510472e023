//! Control frames: priorities, resets, settings, pings and windows (RFC 9113 sections 6.3 to 6.9).

use super::super::{
    session::{FIRST_PING, LAST_PING, Leaving, Session},
    stream::Over,
};
use crate::http2::{
    Fault, Reason, frame,
    frame::{ACK, FrameHead, STREAM_MAX, setting},
};

impl Session {
    pub(crate) fn take_priority(&mut self, head: FrameHead, payload: &[u8]) -> Result<(), Fault> {
        if head.stream == 0 {
            return Err(Reason::ProtocolError.into());
        }
        if payload.len() != 5 {
            return Err(Reason::FrameSizeError.into());
        }
        let parent = frame::number(payload).map(|parent| parent & STREAM_MAX);
        if parent == Some(head.stream) {
            // There is nothing to be reset on a stream that has not been opened.
            return Err(match self.opened(head) {
                Ok(id) => Fault::Stream(id, Reason::ProtocolError),
                Err(reason) => reason.into(),
            });
        }
        Ok(())
    }

    pub(crate) fn take_reset(&mut self, head: FrameHead, payload: &[u8]) -> Result<(), Fault> {
        if payload.len() != 4 {
            return Err(Reason::FrameSizeError.into());
        }
        let id = self.opened(head)?;
        if let Some(stream) = self.streams.get(&id).cloned() {
            if stream.local_ended.get() {
                // It has its answer, and only says that the rest of the request will not come.
                self.meter.forgive_reset();
            }
            self.close(&stream);
            let reasons = [Reason::NoError as u32, Reason::Cancel as u32];
            let wanted = frame::number(payload).is_some_and(|reason| reasons.contains(&reason));
            stream.end(if wanted { Over::Left } else { Over::Broken });
        }
        Ok(())
    }

    pub(crate) fn take_settings(&mut self, head: FrameHead, payload: &[u8]) -> Result<(), Reason> {
        if head.stream != 0 {
            return Err(Reason::ProtocolError);
        }
        if head.has(ACK) {
            return if payload.is_empty() {
                Ok(())
            } else {
                Err(Reason::FrameSizeError)
            };
        }
        for (parameter, value) in frame::settings(payload)? {
            match parameter {
                setting::HEADER_TABLE_SIZE => self.limit_table(value),
                setting::ENABLE_PUSH | setting::ENABLE_CONNECT_PROTOCOL if value > 1 => {
                    return Err(Reason::ProtocolError);
                }
                setting::INITIAL_WINDOW_SIZE => self.resize_windows(value)?,
                setting::MAX_FRAME_SIZE if !FRAME_SIZES.contains(&value) => {
                    return Err(Reason::ProtocolError);
                }
                _ => {}
            }
        }
        frame::put_settings_ack(self.io.outgoing());
        Ok(())
    }

    /// Sets the initial window of streams; those that are open get the difference (section 6.9.2).
    fn resize_windows(&mut self, size: u32) -> Result<(), Reason> {
        if size > STREAM_MAX {
            return Err(Reason::FlowControlError);
        }
        let by = i64::from(size) - i64::from(self.initial_window);
        self.initial_window = size;
        for stream in self.streams.values() {
            let mut window = stream.window.get();
            window.widen(by)?;
            stream.window.set(window);
            stream.wake();
        }
        Ok(())
    }

    pub(crate) fn take_ping(&mut self, head: FrameHead, payload: &[u8]) -> Result<(), Reason> {
        if head.stream != 0 {
            return Err(Reason::ProtocolError);
        }
        let payload = payload.try_into().map_err(|_| Reason::FrameSizeError)?;
        if !head.has(ACK) {
            frame::put_ping(self.io.outgoing(), ACK, payload);
        } else if *payload == FIRST_PING && self.leaving == Leaving::Told {
            // The answer may have overtaken streams that the client had begun before it read of
            // the end; the answer to another one cannot.
            frame::put_ping(self.io.outgoing(), 0, &LAST_PING);
        } else if *payload == LAST_PING {
            self.leave();
        }
        Ok(())
    }

    pub(crate) fn take_window_update(
        &mut self,
        head: FrameHead,
        payload: &[u8],
    ) -> Result<(), Fault> {
        if payload.len() != 4 {
            return Err(Reason::FrameSizeError.into());
        }
        let increment = frame::number(payload).unwrap_or(0) & STREAM_MAX;
        if head.stream == 0 {
            if increment == 0 {
                return Err(Reason::ProtocolError.into());
            }
            return Ok(self.window.widen(i64::from(increment))?);
        }
        let id = self.opened(head)?;
        let Some(stream) = self.streams.get(&id) else {
            return Ok(());
        };
        if increment == 0 {
            return Err(Fault::Stream(id, Reason::ProtocolError));
        }
        let mut window = stream.window.get();
        let widened = window.widen(i64::from(increment));
        widened.map_err(|reason| Fault::Stream(id, reason))?;
        stream.window.set(window);
        stream.wake();
        Ok(())
    }
}

/// Valid values of the maximum frame size (section 6.5.2).
const FRAME_SIZES: std::ops::RangeInclusive<u32> = 0x4000..=0xff_ffff;
