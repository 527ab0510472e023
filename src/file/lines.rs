//! Lines and columns of a text, found without counting anew for each place.

/// The line starts of one text.
#[derive(Debug, Clone)]
pub(crate) struct Lines {
    starts: Vec<usize>,
}

impl Lines {
    /// Goes through `text` once.
    pub(crate) fn of(text: &str) -> Self {
        let after = memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| at + 1);
        Self {
            starts: std::iter::once(0).chain(after).collect(),
        }
    }

    /// Gives the line, from 0, that the byte at `offset` is in.
    pub(crate) fn line(&self, offset: usize) -> usize {
        self.starts.partition_point(|start| *start <= offset) - 1
    }

    /// Gives the first byte of the line that `offset` is in.
    pub(crate) fn start(&self, offset: usize) -> usize {
        let line = self.line(offset);
        self.starts.get(line).copied().unwrap_or_default()
    }

    /// Gives line and column of a byte of `text`, both from 1; columns count characters.
    pub(crate) fn position(&self, text: &str, offset: usize) -> (usize, usize) {
        let offset = text.floor_char_boundary(offset);
        let before = &text[self.start(offset)..offset];
        (self.line(offset) + 1, before.chars().count() + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_offset_has_its_line() {
        let lines = Lines::of("ab\n\nc");
        let found: Vec<_> = (0..7).map(|offset| lines.line(offset)).collect();
        assert_eq!(found, [0, 0, 0, 1, 2, 2, 2]);
        assert_eq!(lines.start(5), 4);
        assert_eq!(Lines::of("").line(0), 0);
    }

    #[test]
    fn columns_count_characters() {
        let text = "é\nüb\n";
        let at = |offset| Lines::of(text).position(text, offset);
        assert_eq!(at(0), (1, 1));
        assert_eq!(at(2), (1, 2));
        assert_eq!(at(5), (2, 2));
        assert_eq!(at(4), (2, 1), "inside of a character");
        assert_eq!(at(99), (3, 1));
    }
}
