//! A rate that does not depend on the answers.

use std::{
    io,
    os::fd::{AsRawFd as _, OwnedFd},
    time::{Duration, Instant},
};

use mio::{Interest, Registry, Token, unix::SourceFd};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

/// Says when requests are due. A timer of the system wakes the generator, since waiting for
/// events knows whole milliseconds only.
pub(crate) struct Pace {
    timer: OwnedFd,
    begun: Instant,
    interval: Duration,
    due: u32,
}

impl Pace {
    /// Starts to count `rate` requests a second; the timer has a token no connection has.
    ///
    /// # Errors
    /// If the system has no timer.
    pub(crate) fn start(rate: u32, registry: &Registry) -> io::Result<Self> {
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK)?;
        let interval = Duration::from_secs(1) / rate;
        let period = Timespec {
            tv_sec: 0,
            tv_nsec: interval.subsec_nanos().into(),
        };
        let times = Itimerspec {
            it_interval: period,
            it_value: period,
        };
        timerfd_settime(&timer, TimerfdTimerFlags::empty(), &times)?;
        let descriptor = timer.as_raw_fd();
        registry.register(
            &mut SourceFd(&descriptor),
            Token(usize::MAX),
            Interest::READABLE,
        )?;
        Ok(Self {
            timer,
            begun: Instant::now(),
            interval,
            due: 0,
        })
    }

    /// Tells of each request that has become due when that was.
    ///
    /// # Errors
    /// If the timer cannot be read.
    pub(crate) fn tick(&mut self, mut tell: impl FnMut(Instant)) -> io::Result<()> {
        let mut expired = [0; 8];
        match rustix::io::read(&self.timer, &mut expired) {
            Ok(_) | Err(rustix::io::Errno::AGAIN) => {}
            Err(error) => return Err(error.into()),
        }
        while let Some(due) = self.begun.checked_add(self.interval * (self.due + 1))
            && due <= Instant::now()
        {
            tell(due);
            self.due += 1;
        }
        Ok(())
    }
}
