//! Licence expressions (SPDX 2.3, annex D), as far as packages write them.

/// Returns true if these licences allow the use of a crate with this expression.
pub(crate) fn is_granted(expression: &str, allowed: &[&str]) -> bool {
    // `MIT/Apache-2.0` is how it was written before there were expressions.
    let spaced = expression.replace('/', " OR ");
    let spaced = spaced.replace('(', " ( ").replace(')', " ) ");
    let mut words = Words {
        rest: spaced.split_whitespace().collect(),
        allowed,
    };
    let granted = words.either();
    assert!(words.rest.is_empty(), "malformed: {expression}");
    granted
}

struct Words<'a> {
    rest: Vec<&'a str>,
    allowed: &'a [&'a str],
}

impl Words<'_> {
    fn either(&mut self) -> bool {
        let mut granted = self.both();
        while self.takes("OR") {
            granted |= self.both();
        }
        granted
    }

    fn both(&mut self) -> bool {
        let mut granted = self.one();
        while self.takes("AND") {
            granted &= self.one();
        }
        granted
    }

    fn one(&mut self) -> bool {
        if self.takes("(") {
            let granted = self.either();
            assert!(self.takes(")"), "no closing parenthesis");
            return granted;
        }
        assert!(!self.rest.is_empty(), "a licence is missing");
        let mut name = self.rest.remove(0).to_owned();
        if self.takes("WITH") {
            name = format!("{name} WITH {}", self.rest.remove(0));
        }
        self.allowed.contains(&name.as_str())
    }

    fn takes(&mut self, word: &str) -> bool {
        let there = self.rest.first() == Some(&word);
        if there {
            self.rest.remove(0);
        }
        there
    }
}

#[test]
fn an_expression_is_granted_by_what_it_needs() {
    let allowed = ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"];
    for (expression, granted) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("MIT/Apache-2.0", true),
        ("GPL-3.0 OR MIT", true),
        ("GPL-3.0 AND MIT", false),
        ("ISC AND (MIT OR GPL-3.0)", true),
        ("ISC AND GPL-3.0 OR MIT", true),
        ("ISC AND (GPL-3.0 OR GPL-2.0)", false),
        ("Apache-2.0 WITH LLVM-exception", true),
        ("Apache-2.0", false),
    ] {
        assert_eq!(is_granted(expression, &allowed), granted, "{expression}");
    }
}
