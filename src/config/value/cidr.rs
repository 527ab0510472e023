//! Blocks of IP addresses: `10.0.0.0/8`, or one address.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

use super::Mismatch;

/// Parses a block, or one address as a block of its own; bits after the prefix are cleared. A block
/// of IPv4 addresses mapped into IPv6 is that of the IPv4 addresses, as which they are compared.
///
/// # Errors
///
/// Refuses malformed addresses and prefixes.
pub fn parse(text: &str) -> Result<IpNet, Mismatch> {
    let block = text
        .parse::<IpNet>()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    let Ok(block) = block else {
        return Err(Mismatch::new(
            format!("\"{text}\" is not a block of addresses"),
            "such as \"10.0.0.0/8\", \"fd00::/8\" or one address",
        ));
    };
    let IpNet::V6(six) = block else {
        return Ok(block.trunc());
    };
    let Some(four) = six.addr().to_ipv4_mapped() else {
        return Ok(block.trunc());
    };
    let prefix = six.prefix_len().checked_sub(MAPPED_BITS);
    let block = prefix.and_then(|prefix| Ipv4Net::new(four, prefix).ok());
    block.map(|block| IpNet::V4(block.trunc())).ok_or_else(|| {
        Mismatch::new(
            format!("\"{text}\" is an IPv4 address mapped into IPv6 with a prefix for IPv6"),
            format!(
                "a prefix from {MAPPED_BITS} to 128, or the block as IPv4: \"{four}/{}\"",
                six.prefix_len().min(32)
            ),
        )
    })
}

/// Bits before an IPv4 address mapped into IPv6 (RFC 4291 section 2.5.5.2).
const MAPPED_BITS: u8 = 96;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_and_single_addresses() {
        assert_eq!(parse("10.1.2.3/8").unwrap().to_string(), "10.0.0.0/8");
        assert_eq!(parse("::1").unwrap().to_string(), "::1/128");
        for (text, block) in [
            ("::ffff:10.1.2.3/104", "10.0.0.0/8"),
            ("::ffff:10.1.2.3", "10.1.2.3/32"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
            ("::/0", "::/0"),
            ("fd00::1/8", "fd00::/8"),
        ] {
            assert_eq!(parse(text).unwrap().to_string(), block, "{text}");
        }
        for text in ["", "10.0.0.0/33", "10.0.0", "host/8", "::ffff:10.0.0.0/8"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
