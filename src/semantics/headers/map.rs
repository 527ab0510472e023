//! Conversions to and from the maps of other crates.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::{Headers, Line, Memory, Section};

impl From<&HeaderMap> for Headers {
    fn from(map: &HeaderMap) -> Self {
        let mut headers = Self::new();
        for (name, value) in map {
            headers.append(name, value);
        }
        headers
    }
}

impl FromIterator<(HeaderName, HeaderValue)> for Headers {
    fn from_iter<T: IntoIterator<Item = (HeaderName, HeaderValue)>>(fields: T) -> Self {
        let mut headers = Self::new();
        for (name, value) in fields {
            headers.append(name, value);
        }
        headers
    }
}

impl Headers {
    /// Returns the fields as a map, whose values share the memory of the head. A received head has
    /// no more lines than fit; lines added beyond that by filters are left out.
    pub fn to_map(&self) -> HeaderMap {
        let mut map = HeaderMap::try_with_capacity(self.len()).unwrap_or_default();
        for (name, value) in self.to_fields() {
            let _ = map.try_append(name, value);
        }
        map
    }
}

impl Section {
    pub(super) fn owned_name(&self, line: &Line) -> Option<HeaderName> {
        match line.known {
            Some(known) => Some(known.as_header_name().clone()),
            None => HeaderName::from_bytes(self.name(line)).ok(),
        }
    }

    pub(super) fn owned_value(&self, line: &Line) -> HeaderValue {
        if line.memory == Memory::Own {
            return self.value(line).to_header_value();
        }
        let bytes = self
            .head
            .slice(line.value as usize..line.value_end as usize);
        let value = HeaderValue::from_maybe_shared(bytes);
        let mut value = value.unwrap_or_else(|_| HeaderValue::from_static(""));
        value.set_sensitive(line.sensitive);
        value
    }
}
