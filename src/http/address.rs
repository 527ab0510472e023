//! IP addresses as text.

use std::net::IpAddr;

use smallvec::SmallVec;

/// The text of an address, as `Display` has it; one of IPv4 without the machinery of formatting,
/// which a new connection would feel.
pub(crate) fn text(address: IpAddr) -> SmallVec<[u8; 16]> {
    let mut text = SmallVec::new();
    match address {
        IpAddr::V4(address) => {
            for (place, octet) in address.octets().into_iter().enumerate() {
                if place > 0 {
                    text.push(b'.');
                }
                text.extend_from_slice(itoa::Buffer::new().format(octet).as_bytes());
            }
        }
        IpAddr::V6(address) => text.extend_from_slice(address.to_string().as_bytes()),
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
