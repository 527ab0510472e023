//! A table of blocks of addresses, of which the longest that has an address decides.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::config::value::AddressMap;

/// Blocks with a verdict each. A look-up takes time in the logarithm of their number.
#[derive(Debug, PartialEq, Eq)]
pub struct AddressBlocks(AddressMap<bool>);

/// A block as numbers.
#[derive(Clone, Copy)]
struct Block {
    first: u128,
    last: u128,
    is_allowed: bool,
}

impl AddressBlocks {
    /// Makes the table. What is in no block is refused if any block is allowed, else let in.
    pub fn new(allow: &[IpNet], deny: &[IpNet]) -> Self {
        let otherwise = allow.is_empty();
        let allowed = allow.iter().map(|net| (*net, true));
        let denied = deny.iter().map(|net| (*net, false));
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for (net, is_allowed) in allowed.chain(denied) {
            let list = match net {
                IpNet::V4(_) => &mut v4,
                IpNet::V6(_) => &mut v6,
            };
            list.push(Block {
                first: number(net.network()),
                last: number(net.broadcast()),
                is_allowed,
            });
        }
        let mut map = AddressMap::new(otherwise);
        cut(v4, otherwise, |first, is_allowed| {
            // Behind the last address nothing begins.
            if let Ok(first) = u32::try_from(first) {
                map.put(Ipv4Addr::from(first).into(), is_allowed);
            }
        });
        cut(v6, otherwise, |first, is_allowed| {
            map.put(Ipv6Addr::from(first).into(), is_allowed);
        });
        map.shrink();
        Self(map)
    }

    /// Returns true if a client at this address is let in. An IPv4 address mapped into IPv6 counts
    /// as the IPv4 address.
    pub fn allows(&self, address: IpAddr) -> bool {
        self.0.get(address)
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u32::from(address).into(),
        IpAddr::V6(address) => address.into(),
    }
}

/// Cuts blocks, which may lie in each other but never overlap otherwise, into ranges, and gives the
/// first address of each with its verdict.
fn cut(mut blocks: Vec<Block>, otherwise: bool, mut put: impl FnMut(u128, bool)) {
    // Those that have others in them come first; of two that are the same, the refusal last.
    blocks.sort_by_key(|it| (it.first, u128::MAX - it.last, !it.is_allowed));
    let mut open: Vec<Block> = Vec::new();
    let close = |open: &[Block], ended: Block, put: &mut dyn FnMut(u128, bool)| {
        let outer = open.last().map_or(otherwise, |it| it.is_allowed);
        if let Some(next) = ended.last.checked_add(1) {
            put(next, outer);
        }
    };
    for block in blocks {
        while let Some(ended) = open.pop_if(|it| it.last < block.first) {
            close(&open, ended, &mut put);
        }
        put(block.first, block.is_allowed);
        open.push(block);
    }
    while let Some(ended) = open.pop() {
        close(&open, ended, &mut put);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn blocks(allow: &[&str], deny: &[&str]) -> AddressBlocks {
        let parse =
            |list: &[&str]| -> Vec<IpNet> { list.iter().map(|it| it.parse().unwrap()).collect() };
        AddressBlocks::new(&parse(allow), &parse(deny))
    }

    fn allows(blocks: &AddressBlocks, address: &str) -> bool {
        blocks.allows(address.parse().unwrap())
    }

    #[test]
    fn the_longest_block_decides() {
        let table = blocks(&["10.0.0.0/8", "10.1.2.0/24"], &["10.1.0.0/16"]);
        assert!(allows(&table, "10.0.0.1"));
        assert!(!allows(&table, "10.1.0.1"));
        assert!(allows(&table, "10.1.2.3"));
        assert!(!allows(&table, "10.1.3.0"));
        assert!(allows(&table, "10.255.255.255"));
        assert!(!allows(&table, "11.0.0.0") && !allows(&table, "9.255.255.255"));
        assert!(allows(&table, "::ffff:10.1.2.3"));
        assert!(!allows(&table, "::1"), "no block of IPv6 is allowed");
    }

    #[test]
    fn without_allowed_blocks_all_others_are_let_in() {
        let table = blocks(&[], &["192.0.2.0/24", "2001:db8::/32"]);
        assert!(allows(&table, "192.0.1.255") && !allows(&table, "192.0.2.255"));
        assert!(allows(&table, "::1") && !allows(&table, "2001:db8:ffff::1"));
        assert!(allows(&table, "255.255.255.255"));
        let all = blocks(&["0.0.0.0/0", "::/0"], &["255.255.255.255/32"]);
        assert!(allows(&all, "0.0.0.0") && !allows(&all, "255.255.255.255"));
        assert!(allows(&all, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"));
    }

    fn net() -> impl Strategy<Value = IpNet> {
        // Few bits, so that blocks lie in each other and addresses fall into them.
        (0_u32..16, 26_u8..=32).prop_map(|(low, length)| {
            let net = ipnet::Ipv4Net::new((0x0a00_0000 + low * 4).into(), length).unwrap();
            net.trunc().into()
        })
    }

    proptest! {
        #[test]
        fn it_is_what_a_search_through_all_blocks_finds(
            allow in prop::collection::vec(net(), 0..6),
            deny in prop::collection::vec(net(), 0..6),
        ) {
            let table = AddressBlocks::new(&allow, &deny);
            for low in 0..80_u32 {
                let address = IpAddr::from(Ipv4Addr::from(0x09ff_fff8 + low));
                let longest = |list: &[IpNet]| {
                    let having = list.iter().filter(|net| net.contains(&address));
                    having.map(IpNet::prefix_len).max()
                };
                let expected = match (longest(&allow), longest(&deny)) {
                    (None, None) => allow.is_empty(),
                    (allowed, denied) => allowed > denied,
                };
                prop_assert_eq!(table.allows(address), expected, "{}", address);
            }
        }
    }
}
