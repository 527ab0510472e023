//! Hosts.

use proptest::prelude::*;
use sluicegate::config::value::HostPattern;
use sluicegate::semantics::authority::Authority;

proptest! {
    #[test]
    fn what_is_read_reads_the_same_again(text in "\\PC{0,20}|[a-zA-Z0-9.:\\[\\]_-]{0,20}|\\[[0-9a-fA-F:]{2,12}\\](:[0-9]{0,5})?") {
        if let Ok(authority) = Authority::parse(text.as_bytes()) {
            let again = Authority::parse(authority.as_str().as_bytes()).unwrap();
            prop_assert_eq!(&again, &authority);
            let host = authority.host();
            prop_assert!(!host.is_empty() && !host.bytes().any(|byte| byte.is_ascii_uppercase()));
            // Not all that may be asked for can be written; what can is compared as it is asked for.
            if let Ok(pattern) = HostPattern::parse(host) {
                prop_assert_eq!(pattern, HostPattern::Exact(host.into()));
            }
        }
    }

    #[test]
    fn no_value_brings_it_down(bytes in proptest::collection::vec(any::<u8>(), 0..32)) {
        let _ = Authority::parse(&bytes);
    }
}
