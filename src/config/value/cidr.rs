//! Blocks of IP addresses: `10.0.0.0/8`, or one address.

use std::net::IpAddr;

use ipnet::IpNet;

use super::Mismatch;

/// Parses a block, or one address as a block of its own; bits after the prefix are cut.
///
/// # Errors
///
/// Refuses malformed addresses and prefixes.
pub fn parse(text: &str) -> Result<IpNet, Mismatch> {
    if let Ok(block) = text.parse::<IpNet>() {
        return Ok(block.trunc());
    }
    text.parse::<IpAddr>().map(IpNet::from).map_err(|_| {
        Mismatch::new(
            format!("\"{text}\" is not a block of addresses"),
            "such as \"10.0.0.0/8\", \"fd00::/8\" or one address",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_and_single_addresses() {
        assert_eq!(parse("10.1.2.3/8").unwrap().to_string(), "10.0.0.0/8");
        assert_eq!(parse("::1").unwrap().to_string(), "::1/128");
        for text in ["", "10.0.0.0/33", "10.0.0", "host/8"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
