//! Names of objects in Kubernetes, and ports of a Service.

use std::fmt;

use super::Mismatch;

/// Name of a Service or a namespace: a label of RFC 1123, as Kubernetes demands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KubernetesName(String);

/// Services whose endpoints are followed together: at least one, none twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubernetesServices(Vec<KubernetesName>);

/// Port of a Service, as its endpoints have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KubernetesPort {
    /// The number that the pods listen on.
    Number(u16),
    /// The name in the Service.
    Name(String),
}

impl KubernetesName {
    /// Parses a name.
    ///
    /// # Errors
    ///
    /// Refuses what Kubernetes refuses as a name.
    pub fn parse(text: &str) -> Result<Self, Mismatch> {
        if is_label(text, NAME_MAX) {
            return Ok(Self(text.to_owned()));
        }
        let hint = match text.split_once('.') {
            Some((name, rest)) if is_label(name, NAME_MAX) => match rest.split('.').next() {
                Some(namespace) if is_label(namespace, NAME_MAX) => {
                    format!("write \"{name}\"; namespace = \"{namespace}\" is a key of its own")
                }
                Some(_) | None => format!("such as \"{name}\""),
            },
            _ => format!("a-z, 0-9 and \"-\" inside, at most {NAME_MAX}, such as \"orders\""),
        };
        let message = format!("\"{text}\" is not a name in Kubernetes");
        Err(Mismatch::new(message, hint))
    }

    /// The name as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl KubernetesServices {
    /// Takes the names of Services.
    ///
    /// # Errors
    ///
    /// Refuses an empty list, too many names, and a name that comes twice.
    pub fn new(names: Vec<KubernetesName>) -> Result<Self, Mismatch> {
        let such_as = "such as \"orders\" or [\"orders\", \"orders-canary\"]";
        if names.is_empty() {
            return Err(Mismatch::new("it names no Service", such_as));
        }
        if names.len() > SERVICES_MAX {
            let message = format!("{} Services", names.len());
            return Err(Mismatch::new(message, format!("at most {SERVICES_MAX}")));
        }
        let mut sorted: Vec<&KubernetesName> = names.iter().collect();
        sorted.sort_unstable();
        if let Some(twice) = sorted.windows(2).find(|pair| pair.first() == pair.last()) {
            let name = twice.first().map_or("", |name| name.as_str());
            let message = format!("the Service \"{name}\" is named twice");
            return Err(Mismatch::new(message, "remove one of them"));
        }
        Ok(Self(names))
    }

    /// The names as text.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(KubernetesName::as_str)
    }
}

impl KubernetesPort {
    /// Takes the number of a port.
    ///
    /// # Errors
    ///
    /// Refuses 0 and what is above 65535.
    pub fn number(number: i64) -> Result<Self, Mismatch> {
        let number = u16::try_from(number).ok().filter(|port| *port > 0);
        number.map(Self::Number).ok_or_else(|| {
            Mismatch::new(
                "a port of that number does not exist",
                "allowed: 1 to 65535",
            )
        })
    }

    /// Parses the name of a port.
    ///
    /// # Errors
    ///
    /// Refuses what Kubernetes refuses as the name of a port.
    pub fn name(text: &str) -> Result<Self, Mismatch> {
        if is_label(text, NAME_MAX) && text.bytes().any(|byte| byte.is_ascii_lowercase()) {
            return Ok(Self::Name(text.to_owned()));
        }
        let hint = match text.parse::<u16>() {
            Ok(number) => format!("a number has no quotation marks: {number}"),
            Err(_) => "such as \"http\" or 8080".to_owned(),
        };
        let message = format!("\"{text}\" is not a name of a port in Kubernetes");
        Err(Mismatch::new(message, hint))
    }
}

impl fmt::Display for KubernetesPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Name(name) => write!(f, "\"{name}\""),
        }
    }
}

fn is_label(text: &str, length_max: usize) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_outer = |byte: Option<u8>| byte.is_some_and(|byte| byte != b'-');
    text.len() <= length_max
        && text.bytes().all(is_inner)
        && is_outer(text.bytes().next())
        && is_outer(text.bytes().last())
}

/// Maximum length of a name (RFC 1123).
const NAME_MAX: usize = 63;
const SERVICES_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_kubernetes_and_a_namespace_has_a_key_of_its_own() {
        for good in ["orders", "a", "1-a", &"a".repeat(63)] {
            assert_eq!(KubernetesName::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "-a", "a-", "A", "a_b", "a b", "a/b", &"a".repeat(64)] {
            assert!(KubernetesName::parse(bad).is_err(), "{bad}");
        }
        let told = KubernetesName::parse("orders.shop.svc").unwrap_err();
        assert!(
            told.expected.contains("namespace = \"shop\""),
            "{}",
            told.expected
        );
    }

    #[test]
    fn services_are_at_least_one_and_none_twice() {
        let services = |names: &[&str]| {
            let names = names
                .iter()
                .map(|name| KubernetesName::parse(name).unwrap());
            KubernetesServices::new(names.collect())
        };
        assert_eq!(services(&["a", "b"]).unwrap().names().count(), 2);
        assert!(services(&[]).is_err());
        let twice = services(&["a", "b", "a"]).unwrap_err();
        assert!(twice.message.contains("\"a\""), "{}", twice.message);
        assert!(services(&["x"; 17]).is_err());
    }

    #[test]
    fn a_port_is_a_number_or_a_name() {
        assert_eq!(
            KubernetesPort::number(80).unwrap(),
            KubernetesPort::Number(80)
        );
        assert!(KubernetesPort::number(0).is_err() && KubernetesPort::number(65_536).is_err());
        assert_eq!(
            KubernetesPort::name("http").unwrap().to_string(),
            "\"http\""
        );
        assert!(KubernetesPort::name("HTTP").is_err());
        let told = KubernetesPort::name("8080").unwrap_err();
        assert!(told.expected.contains("8080"), "{}", told.expected);
    }
}
