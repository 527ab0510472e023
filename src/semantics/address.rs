//! IP addresses: as text, and as clients.

use std::net::{IpAddr, Ipv6Addr};

use smallvec::SmallVec;

/// Returns the text of an address, as `Display` does; for IPv4 without the cost of formatting,
/// which is measurable per connection.
pub(crate) fn text(address: IpAddr) -> SmallVec<[u8; 16]> {
    match address {
        IpAddr::V4(address) => {
            // Four octets of three digits, and a dot behind each.
            let mut text = [0; 16];
            let mut length = 0;
            for octet in address.octets() {
                for (least, unit) in [(100, 100), (10, 10), (0, 1)] {
                    if octet >= least {
                        text[length] = b'0' + octet / unit % 10;
                        length += 1;
                    }
                }
                text[length] = b'.';
                length += 1;
            }
            SmallVec::from_buf_and_len(text, length - 1)
        }
        IpAddr::V6(address) => SmallVec::from_slice(address.to_string().as_bytes()),
    }
}

/// Returns the address that stands for a client where clients are counted: its own for IPv4, and
/// for IPv6 its network of 64 bits, which is what a provider gives to one customer.
pub(crate) fn client_network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from(u128::from(address) >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_client_is_its_network() {
        for (written, expected) in [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("::1", "::"),
        ] {
            let address = client_network(written.parse().unwrap());
            assert_eq!(address.to_string(), expected);
        }
    }

    #[test]
    fn it_is_that_of_the_standard_library() {
        for written in [
            "0.0.0.0",
            "255.255.255.255",
            "192.0.2.1",
            "::1",
            "2001:db8::7",
            "::ffff:1.2.3.4",
        ] {
            let address: IpAddr = written.parse().unwrap();
            assert_eq!(text(address)[..], *address.to_string().as_bytes());
        }
    }

    #[test]
    fn every_octet_has_its_digits() {
        for octet in 0..=u8::MAX {
            let address = IpAddr::from([octet, 255 - octet, 0, octet]);
            assert_eq!(text(address)[..], *address.to_string().as_bytes());
        }
    }
}
