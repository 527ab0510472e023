//! Hosts.

use proptest::prelude::*;
use sluicegate::route::HostPattern;
use sluicegate::semantics::authority::Authority;

proptest! {
    #[test]
    fn what_is_read_reads_the_same_again(text in "\\PC{0,20}|[a-zA-Z0-9.:\\[\\]_-]{0,20}|\\[[0-9a-fA-F:]{2,12}\\](:[0-9]{0,5})?") {
        if let Ok(authority) = Authority::parse(text.as_bytes()) {
            let again = Authority::parse(authority.as_str().as_bytes()).unwrap();
            prop_assert_eq!(&again, &authority);
            let host = authority.host();
            prop_assert!(!host.is_empty() && !host.bytes().any(|byte| byte.is_ascii_uppercase()));
            // An asterisk may stand in a host, but has a meaning of its own in a pattern.
            if !host.contains('*') {
                prop_assert_eq!(HostPattern::parse(host), Ok(HostPattern::Exact(host.into())));
            }
        }
    }

    #[test]
    fn no_value_brings_it_down(bytes in proptest::collection::vec(any::<u8>(), 0..32)) {
        let _ = Authority::parse(&bytes);
    }
}
