//! Values for ranges of addresses, such as a verdict or a country.

use std::net::IpAddr;

/// A value for every address. A look-up takes time in the logarithm of the number of ranges, and
/// memory is one start and one value for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressMap<V> {
    v4: Ranges<u32, V>,
    v6: Ranges<u128, V>,
}

/// Ranges in the order of their first addresses, each up to the next; the first begins at 0.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Ranges<A, V> {
    firsts: Vec<A>,
    values: Vec<V>,
}

impl<V: Copy + PartialEq> AddressMap<V> {
    /// Makes a map that has this value for every address.
    pub fn new(value: V) -> Self {
        Self {
            v4: Ranges::new(0, value),
            v6: Ranges::new(0, value),
        }
    }

    /// Sets the value from this address on, to the last of its family. Addresses must come in
    /// ascending order; one that comes again has the later value.
    pub fn put(&mut self, first: IpAddr, value: V) {
        match first {
            IpAddr::V4(first) => self.v4.put(first.into(), value),
            IpAddr::V6(first) => self.v6.put(first.into(), value),
        }
    }

    /// The value of an address. An IPv4 address mapped into IPv6 counts as the IPv4 address.
    pub fn get(&self, address: IpAddr) -> V {
        match address.to_canonical() {
            IpAddr::V4(address) => self.v4.get(address.into()),
            IpAddr::V6(address) => self.v6.get(address.into()),
        }
    }

    /// Number of ranges.
    pub fn ranges(&self) -> usize {
        self.v4.firsts.len() + self.v6.firsts.len()
    }

    /// Gives back memory that is not needed any more.
    pub fn shrink(&mut self) {
        self.v4.shrink();
        self.v6.shrink();
    }
}

impl<A: Copy + Ord, V: Copy + PartialEq> Ranges<A, V> {
    fn new(first: A, value: V) -> Self {
        Self {
            firsts: vec![first],
            values: vec![value],
        }
    }

    fn put(&mut self, first: A, value: V) {
        if self.firsts.len() > 1 && self.firsts.last() == Some(&first) {
            self.firsts.pop();
            self.values.pop();
        }
        if let ([only], [known]) = (&self.firsts[..], &mut self.values[..])
            && *only == first
        {
            *known = value;
        } else if self.values.last() != Some(&value) {
            self.firsts.push(first);
            self.values.push(value);
        }
    }

    fn get(&self, address: A) -> V {
        let after = self.firsts.partition_point(|first| *first <= address);
        self.values[after.saturating_sub(1)]
    }

    fn shrink(&mut self) {
        self.firsts.shrink_to_fit();
        self.values.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_value_holds_up_to_the_next() {
        let mut map = AddressMap::new(0);
        for (first, value) in [("10.0.0.0", 1), ("11.0.0.0", 0), ("2001:db8::", 2)] {
            map.put(at(first), value);
        }
        for (address, value) in [
            ("0.0.0.0", 0),
            ("9.255.255.255", 0),
            ("10.0.0.0", 1),
            ("10.255.255.255", 1),
            ("::ffff:10.1.2.3", 1),
            ("11.0.0.0", 0),
            ("255.255.255.255", 0),
            ("::", 0),
            ("2001:db8::1", 2),
            ("ffff::", 2),
        ] {
            assert_eq!(map.get(at(address)), value, "{address}");
        }
    }

    #[test]
    fn ranges_of_one_value_are_one_range() {
        let mut map = AddressMap::new(0);
        for (first, value) in [
            ("0.0.0.0", 1),
            ("10.0.0.0", 1),
            ("10.0.1.0", 2),
            ("10.0.1.0", 1),
            ("10.0.2.0", 3),
        ] {
            map.put(at(first), value);
        }
        assert_eq!(map.ranges(), 3, "{map:?}");
        assert_eq!(map.get(at("0.0.0.0")), 1);
        assert_eq!(map.get(at("10.0.1.9")), 1);
        assert_eq!(map.get(at("10.0.2.0")), 3);
    }
}
