//! Offsets of the lines of a text, so that positions are found without counting anew.

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
}
