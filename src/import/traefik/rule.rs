//! Rules of routers: functions with texts, `&&`, `||`, `!` and parentheses.
//!
//! A rule becomes a list of alternatives, each a list of terms that must all hold: what one route can
//! ask for.

/// A function of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Term {
    pub(super) name: String,
    pub(super) args: Vec<String>,
    pub(super) is_negated: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Rule {
    Term(Term),
    And(Vec<Self>),
    Or(Vec<Self>),
}

/// Reads a rule.
///
/// # Errors
/// The fault of the rule, or that it has too many alternatives.
pub(super) fn alternatives(text: &str) -> Result<Vec<Vec<Term>>, String> {
    if text.len() > LENGTH_MAX {
        return Err(format!("the rule is longer than {} KiB", LENGTH_MAX >> 10));
    }
    let mut reader = Reader {
        rest: text,
        depth: 0,
    };
    let rule = reader.any()?;
    reader.skip();
    if !reader.rest.is_empty() {
        return Err(format!(
            "the rule is not understood from {:?} on",
            reader.rest
        ));
    }
    expanded(&rule).ok_or_else(|| format!("the rule has more than {ALTERNATIVES_MAX} alternatives"))
}

struct Reader<'t> {
    rest: &'t str,
    depth: usize,
}

impl Reader<'_> {
    fn any(&mut self) -> Result<Rule, String> {
        let mut rules = vec![self.all()?];
        while self.sign("||") {
            rules.push(self.all()?);
        }
        Ok(match rules.len() {
            1 => rules.remove(0),
            _ => Rule::Or(joined(rules)),
        })
    }

    fn all(&mut self) -> Result<Rule, String> {
        let mut rules = vec![self.one()?];
        while self.sign("&&") {
            rules.push(self.one()?);
        }
        Ok(match rules.len() {
            1 => rules.remove(0),
            _ => Rule::And(rules),
        })
    }

    fn one(&mut self) -> Result<Rule, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err("the rule is nested too deeply".to_owned());
        }
        let rule = if self.sign("!") {
            negated(self.one()?)
        } else if self.sign("(") {
            let rule = self.any()?;
            if !self.sign(")") {
                return Err("a \"(\" without its \")\"".to_owned());
            }
            rule
        } else {
            one_each(self.term()?)
        };
        self.depth -= 1;
        Ok(rule)
    }

    fn term(&mut self) -> Result<Term, String> {
        self.skip();
        let length = self.rest.find(|it: char| !it.is_ascii_alphanumeric());
        let (name, rest) = self.rest.split_at(length.unwrap_or(self.rest.len()));
        self.rest = rest;
        if name.is_empty() || !self.sign("(") {
            return Err(format!(
                "a function such as Host(`example.com`) is missing at {rest:?}"
            ));
        }
        let mut args = Vec::new();
        while !self.sign(")") {
            args.push(self.text()?);
            self.sign(",");
        }
        Ok(Term {
            name: name.to_owned(),
            args,
            is_negated: false,
        })
    }

    fn text(&mut self) -> Result<String, String> {
        self.skip();
        let quote = self
            .rest
            .chars()
            .next()
            .filter(|it| matches!(it, '`' | '"' | '\''));
        let quote = quote.ok_or("a text in backticks is missing")?;
        let inner = &self.rest[1..];
        let (text, rest) = inner.split_once(quote).ok_or("a text does not end")?;
        self.rest = rest;
        Ok(match quote {
            '"' => text.replace("\\\\", "\\"),
            _ => text.to_owned(),
        })
    }

    fn sign(&mut self, sign: &str) -> bool {
        self.skip();
        match self.rest.strip_prefix(sign) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn skip(&mut self) {
        self.rest = self.rest.trim_start();
    }
}

/// Makes alternatives of the paths of a term.
fn one_each(term: Term) -> Rule {
    if !matches!(&*term.name, "Path" | "PathPrefix") || term.args.len() < 2 {
        return Rule::Term(term);
    }
    let args = term.args.into_iter();
    let terms = args.map(|it| {
        Rule::Term(Term {
            name: term.name.clone(),
            args: vec![it],
            is_negated: false,
        })
    });
    Rule::Or(terms.collect())
}

fn negated(rule: Rule) -> Rule {
    let all = |rules: Vec<Rule>| rules.into_iter().map(negated).collect();
    match rule {
        Rule::Term(mut term) => {
            term.is_negated = !term.is_negated;
            Rule::Term(term)
        }
        Rule::And(rules) => Rule::Or(all(rules)),
        Rule::Or(rules) => Rule::And(all(rules)),
    }
}

/// Makes one term of those that differ in one value only and may have several.
fn joined(rules: Vec<Rule>) -> Vec<Rule> {
    let mut kept: Vec<Rule> = Vec::new();
    for rule in rules {
        if let Rule::Term(term) = &rule
            && has_list(&term.name)
            && !term.is_negated
        {
            let same = kept.iter_mut().find_map(|it| match it {
                Rule::Term(known) if known.name == term.name && !known.is_negated => Some(known),
                _ => None,
            });
            if let Some(known) = same {
                known.args.extend(term.args.iter().cloned());
                continue;
            }
        }
        kept.push(rule);
    }
    kept
}

fn has_list(function: &str) -> bool {
    matches!(function, "Host" | "HostHeader" | "Method" | "ClientIP")
}

/// Multiplies a rule out; none if it has too many alternatives.
fn expanded(rule: &Rule) -> Option<Vec<Vec<Term>>> {
    let all = match rule {
        Rule::Term(term) => vec![vec![term.clone()]],
        Rule::Or(rules) => {
            let mut all = Vec::new();
            for rule in rules {
                all.extend(expanded(rule)?);
                if all.len() > ALTERNATIVES_MAX {
                    return None;
                }
            }
            all
        }
        Rule::And(rules) => {
            let mut all = vec![Vec::new()];
            for rule in rules {
                let more = expanded(rule)?;
                if all.len() * more.len() > ALTERNATIVES_MAX {
                    return None;
                }
                let pairs = all.iter().flat_map(|one: &Vec<Term>| {
                    more.iter()
                        .map(move |other| [&one[..], &other[..]].concat())
                });
                all = pairs.collect();
            }
            all
        }
    };
    Some(all)
}

/// Routes that one rule may become.
const ALTERNATIVES_MAX: usize = 64;
/// Bytes of a rule.
const LENGTH_MAX: usize = 16 << 10;
/// Parentheses and negations in one another.
const DEPTH_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        let term = |it: &Term| {
            let sign = if it.is_negated { "!" } else { "" };
            format!("{sign}{}({})", it.name, it.args.join(","))
        };
        let all = alternatives(text).unwrap();
        all.iter()
            .map(|terms| terms.iter().map(term).collect::<Vec<_>>().join(" "))
            .collect()
    }

    #[test]
    fn rules_become_alternatives_of_terms() {
        assert_eq!(shown("Host(`a`)"), ["Host(a)"]);
        assert_eq!(shown("Host(`a`) || Host(\"b\")"), ["Host(a,b)"]);
        assert_eq!(
            shown("(Host(`a`) || Host(`b`)) && (PathPrefix(`/x`) || Path(`/y`))"),
            ["Host(a,b) PathPrefix(/x)", "Host(a,b) Path(/y)"]
        );
        assert_eq!(
            shown("Host(`a`)&&!(Path(`/x`)||Method(`GET`))"),
            ["Host(a) !Path(/x) !Method(GET)"]
        );
        assert_eq!(shown("Path(`/x`, `/y`)"), ["Path(/x)", "Path(/y)"]);
        assert_eq!(
            shown("!(Path(`/x`) && Path(`/y`))"),
            ["!Path(/x)", "!Path(/y)"]
        );
        assert_eq!(
            shown("Host(`a`) || Path(`/`) && Host(`b`)"),
            ["Host(a)", "Path(/) Host(b)"]
        );
    }

    #[test]
    fn rules_without_sense_or_bound_are_refused() {
        for text in [
            "",
            "Host",
            "Host(`a`",
            "Host(a)",
            "(Host(`a`)",
            "Host(`a`) Host(`b`)",
            "Host(`a`) &&",
        ] {
            assert!(alternatives(text).is_err(), "{text}");
        }
        let pair = "(Host(`a`) || Path(`/b`))";
        let many = [pair; 7].join(" && ");
        assert!(alternatives(&many).unwrap_err().contains("more than 64"));
        assert!(alternatives(&"(".repeat(100_000)).is_err());
        assert!(alternatives(&"!".repeat(100_000)).is_err());
    }
}
