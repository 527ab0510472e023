//! The bound of request bodies: a size, or none.

use super::ByteSize;

/// Bound of the bodies of requests.
#[derive(Debug, Clone, Copy)]
pub enum BodyBound {
    /// Nothing is written: [`Self::DEFAULT`], but for streams of messages, which have no end.
    Default,
    /// No bound.
    Off,
    /// This bound, for whatever has a body.
    Written(ByteSize),
}

impl BodyBound {
    /// The bound where none is written.
    pub const DEFAULT: ByteSize = ByteSize::kib(10 * 1024);

    /// The size of the bound; none: there is no bound.
    pub fn size(self) -> Option<ByteSize> {
        match self {
            Self::Default => Some(Self::DEFAULT),
            Self::Off => None,
            Self::Written(size) => Some(size),
        }
    }

    /// Returns true if both bound the same requests in the same way: a size that is written holds
    /// for more of them than the default does.
    pub fn is_same_rule(self, other: Self) -> bool {
        let is_default = |bound| matches!(bound, Self::Default);
        self == other && is_default(self) == is_default(other)
    }
}

/// As printed: like its place in the file, it is no part of a value whether it was written.
impl PartialEq for BodyBound {
    fn eq(&self, other: &Self) -> bool {
        self.size() == other.size()
    }
}

impl Eq for BodyBound {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_and_its_size_when_written_print_alike_and_are_two_rules() {
        let written = BodyBound::Written(BodyBound::DEFAULT);
        assert_eq!(BodyBound::DEFAULT.to_string(), "10MiB");
        assert_eq!(BodyBound::Default, written);
        assert!(!BodyBound::Default.is_same_rule(written));
        assert!(BodyBound::Default.is_same_rule(BodyBound::Default));
        assert!(written.is_same_rule(written));
        assert!(!BodyBound::Off.is_same_rule(BodyBound::Written(ByteSize(0))));
    }
}
