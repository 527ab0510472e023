//! Reads answers that are on disk alone into memory.

use super::Visit;
use crate::{
    cache::{DISK_WAIT, Found},
    exchange::Request,
    timer,
};

impl Visit<'_> {
    /// Has an answer read that may be the one to this request. Returns true if it is worth another
    /// look into memory; false if the disk has none, or is too slow.
    pub(super) async fn read_from_disk(
        &self,
        request: &Request,
        found: &Found,
        reads: &mut u8,
    ) -> bool {
        let Some(disk) = self.cache.disk.as_ref().filter(|_| *reads > 0) else {
            return false;
        };
        let known = match found {
            Found::Nothing => &[][..],
            Found::Others(known) => known,
            Found::Entry(_) | Found::Pass => return false,
        };
        let (store, headers) = (&self.cache.store, &request.headers);
        let reading = disk.read(store, &self.key, known, &self.cohort, headers);
        let Some(mut reading) = reading else {
            return false;
        };
        *reads -= 1;
        match timer::until(timer::now() + DISK_WAIT, &mut reading.done).await {
            Ok(_) => true,
            Err(timer::Elapsed) => {
                reading.give_up();
                false
            }
        }
    }
}
