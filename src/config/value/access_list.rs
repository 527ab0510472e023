//! Files of blocks of addresses: `allow` or `deny` and a block on each line.

use std::collections::HashMap;

use ipnet::IpNet;

use super::{FileFormat, Mismatch, cidr};

/// Blocks that are let in, and blocks that are refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessList {
    /// Blocks that are let in.
    pub allow: Vec<IpNet>,
    /// Blocks that are refused.
    pub deny: Vec<IpNet>,
}

impl FileFormat for AccessList {
    const KIND: &'static str = "file of blocks of addresses";
    const EXAMPLE: &'static str = "\"blocks.txt\"";
    const IS_SECRET: bool = false;

    fn parse(text: &str) -> Result<Self, (usize, Mismatch)> {
        let mut list = Self::default();
        let mut seen = HashMap::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.split('#').next().unwrap_or_default();
            // nginx ends such lines so.
            let line = line.trim().trim_end_matches(';').trim_end();
            if line.is_empty() {
                continue;
            }
            let form = "a line is `allow BLOCK` or `deny BLOCK`, such as `deny 192.0.2.0/24`";
            let mut words = line.split_ascii_whitespace();
            let (word, block, more) = (words.next(), words.next(), words.next());
            let blocks = match word {
                Some("allow") => &mut list.allow,
                Some("deny") => &mut list.deny,
                _ => {
                    return Err((
                        number,
                        Mismatch::new("it begins with neither allow nor deny", form),
                    ));
                }
            };
            let (Some(block), None) = (block, more) else {
                return Err((number, Mismatch::new("it does not name one block", form)));
            };
            let block = cidr::parse(block).map_err(|mismatch| (number, mismatch))?;
            let is_allowed = word == Some("allow");
            match seen.insert(block, is_allowed) {
                None => blocks.push(block),
                Some(before) if before == is_allowed => {}
                Some(_) => {
                    let message = format!("{block} is let in and refused");
                    return Err((number, Mismatch::new(message, "remove one of the lines")));
                }
            }
        }
        // A file that is just being written would let everybody in.
        if seen.is_empty() {
            let hint = "to let everybody in, write `allow 0.0.0.0/0` and `allow ::/0`";
            return Err((1, Mismatch::new("it has no line with a block", hint)));
        }
        Ok(list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_word_and_a_block() {
        let text = "# office\nallow 10.0.0.0/8;\n\n  deny\t2001:db8::/32  # guests\r\nallow 192.0.2.1\nallow 10.0.0.0/8\n";
        let list = AccessList::parse(text).unwrap();
        let told = |blocks: &[IpNet]| blocks.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(told(&list.allow), ["10.0.0.0/8", "192.0.2.1/32"]);
        assert_eq!(told(&list.deny), ["2001:db8::/32"]);
    }

    #[test]
    fn a_bad_line_is_told_by_its_number() {
        for (text, line) in [
            ("10.0.0.0/8", 1),
            ("", 1),
            ("# nobody yet\n", 1),
            ("allow 10.0.0.0/8\nallow", 2),
            ("\n\nallow 10.0.0.0/8 10.1.0.0/16", 3),
            ("deny all", 1),
            ("allow 10.0.0.0/33", 1),
            ("allow 10.0.0.0/8\ndeny 10.0.0.0/8", 2),
        ] {
            assert_eq!(AccessList::parse(text).unwrap_err().0, line, "{text}");
        }
    }
}
