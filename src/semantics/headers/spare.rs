//! Memory of dropped messages, kept for new ones.
//!
//! Each thread keeps some of it: an allocation for every head would cost more than reading the
//! head.

use std::cell::RefCell;

use super::Section;

/// Returns an empty section, with spare memory if there is any.
pub(super) fn take() -> Box<Section> {
    let spare = SPARE.with_borrow_mut(Vec::pop);
    spare.unwrap_or_else(|| {
        Box::new(Section {
            own: Vec::with_capacity(OWN_BYTES),
            lines: Vec::with_capacity(LINES),
            ..Section::default()
        })
    })
}

/// Keeps the memory of a section for reuse.
pub(super) fn give_back(mut section: Box<Section>) {
    if section.own.capacity() > OWN_BYTES_MAX || section.lines.capacity() > LINES_MAX {
        return;
    }
    section.clear();
    // When the thread ends the list may have ended before.
    let _ = SPARE.try_with(|spare| {
        let mut spare = spare.borrow_mut();
        if spare.len() < KEPT_MAX {
            spare.push(section);
        }
    });
}

thread_local! {
    #[expect(clippy::vec_box, reason = "it is the boxes that are kept: messages hold them")]
    static SPARE: RefCell<Vec<Box<Section>>> = const { RefCell::new(Vec::new()) };
}

/// Room for the lines that the walk adds to nearly every message.
const OWN_BYTES: usize = 512;
/// Room for the lines of nearly every head and for the added ones.
const LINES: usize = 32;
/// Maximum memory kept for reuse; more than this is freed.
const OWN_BYTES_MAX: usize = 4 * 1024;
const LINES_MAX: usize = 128;
/// Maximum number of sections kept by a thread: 90 KiB, or half a MiB once all have grown.
const KEPT_MAX: usize = 64;
