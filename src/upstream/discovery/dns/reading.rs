//! Meaning of an answer to a question for the records of one type (RFC 1034 section 3.6.2, 2308).
//!
//! Pure. Aliases (CNAME) are followed within the message.

use std::time::Duration;

use hickory_proto::{
    op::{Message, ResponseCode},
    rr::{Name, RData, Record, RecordType},
};

/// Meaning of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// Records, and the time to live of the least of them and of the aliases that led to them.
    Records(Vec<RData>, Duration),
    /// No records of the type.
    None {
        /// True if the name exists, with records of other types.
        is_name: bool,
        /// Time for which that is so, if the answer says one.
        ttl: Option<Duration>,
    },
    /// An alias for a name that the answer says nothing about, and its time to live.
    Alias(Name, Duration),
    /// Aliases in a circle, or too many.
    Circle,
}

/// Reads an answer that is no failure.
pub(super) fn read(answer: &Message, name: &Name, kind: RecordType) -> Reading {
    let mut name = name.clone();
    let mut ttl = u32::MAX;
    for _ in 0..ALIASES_MAX {
        let of_name = || answer.answers.iter().filter(|it| it.name == name);
        let mut records = of_name().filter(|it| it.record_type() == kind).peekable();
        if records.peek().is_some() {
            let mut all = Vec::new();
            for record in records {
                ttl = ttl.min(seconds(record));
                all.push(record.data.clone());
            }
            return Reading::Records(all, Duration::from_secs(ttl.into()));
        }
        let alias = of_name().find_map(|record| match &record.data {
            RData::CNAME(to) => Some((to.0.clone(), seconds(record))),
            _ => None,
        });
        let Some((to, alias_ttl)) = alias else {
            return without(answer, name, ttl);
        };
        ttl = ttl.min(alias_ttl);
        name = to;
    }
    Reading::Circle
}

/// The meaning of an answer that has nothing for the name at the end of its aliases.
fn without(answer: &Message, name: Name, ttl: u32) -> Reading {
    // The least of the record's own and of what it says (RFC 2308 section 5).
    let negative = answer
        .authorities
        .iter()
        .find_map(|record| match &record.data {
            RData::SOA(soa) => Some(seconds(record).min(soa.minimum)),
            _ => None,
        });
    let is_name = answer.metadata.response_code != ResponseCode::NXDomain;
    if is_name && ttl != u32::MAX && negative.is_none() {
        // A server that knows the alias but not what it stands for.
        return Reading::Alias(name, Duration::from_secs(ttl.into()));
    }
    let ttl = negative.map(|negative| negative.min(ttl));
    Reading::None {
        is_name,
        ttl: ttl.map(|ttl| Duration::from_secs(ttl.into())),
    }
}

/// The time to live; one with the highest bit is 0 (RFC 2181 section 8).
fn seconds(record: &Record) -> u32 {
    if record.ttl > u32::MAX / 2 {
        0
    } else {
        record.ttl
    }
}

/// Maximum number of aliases followed.
pub(super) const ALIASES_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use hickory_proto::{
        op::{MessageType, OpCode},
        rr::rdata::{A, AAAA, CNAME, SOA},
    };
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    fn answer(code: ResponseCode, records: Vec<Record>) -> Message {
        let mut message = Message::new(1, MessageType::Response, OpCode::Query);
        message.metadata.response_code = code;
        message.add_answers(records);
        message
    }

    fn address(of: &str, ttl: u32, last: u8) -> Record {
        Record::from_rdata(name(of), ttl, RData::A(A::new(10, 0, 0, last)))
    }

    fn alias(of: &str, ttl: u32, to: &str) -> Record {
        Record::from_rdata(name(of), ttl, RData::CNAME(CNAME(name(to))))
    }

    fn soa(ttl: u32, minimum: u32) -> Record {
        let data = SOA::new(name("ns."), name("me."), 1, 1, 1, 1, minimum);
        Record::from_rdata(name("test."), ttl, RData::SOA(data))
    }

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn the_least_time_to_live_counts_and_aliases_are_followed() {
        let records = vec![
            address("b.test.", 30, 1),
            address("b.test.", 20, 2),
            address("other.test.", 1, 3),
            alias("A.test.", 40, "B.test."),
            Record::from_rdata(
                name("b.test."),
                1,
                RData::AAAA(AAAA::new(0, 0, 0, 0, 0, 0, 0, 1)),
            ),
        ];
        let answer = answer(ResponseCode::NoError, records);
        let Reading::Records(found, ttl) = read(&answer, &name("a.TEST."), RecordType::A) else {
            panic!("records");
        };
        assert_eq!((found.len(), ttl), (2, secs(20)));
        let alone = read(&answer, &name("none.test."), RecordType::A);
        assert_eq!(
            alone,
            Reading::None {
                is_name: true,
                ttl: None
            }
        );
    }

    #[test]
    fn an_absent_name_and_an_absent_record_differ_and_tell_how_long() {
        for (code, is_name) in [
            (ResponseCode::NoError, true),
            (ResponseCode::NXDomain, false),
        ] {
            for (soa_ttl, minimum, least) in [(60, 5, 5), (5, 60, 5)] {
                let mut answer = answer(code, vec![alias("a.test.", 90, "b.test.")]);
                answer.add_authority(soa(soa_ttl, minimum));
                let ttl = Some(secs(least));
                let read = read(&answer, &name("a.test."), RecordType::A);
                assert_eq!(read, Reading::None { is_name, ttl });
            }
        }
    }

    #[test]
    fn an_alias_out_of_the_zone_is_to_be_asked_for() {
        let answer = answer(ResponseCode::NoError, vec![alias("a.test.", 9, "b.other.")]);
        let read = read(&answer, &name("a.test."), RecordType::A);
        assert_eq!(read, Reading::Alias(name("b.other."), secs(9)));
    }

    #[test]
    fn aliases_in_a_circle_end() {
        let records = vec![alias("a.", 9, "b."), alias("b.", 9, "a.")];
        let answer = answer(ResponseCode::NoError, records);
        assert_eq!(read(&answer, &name("a."), RecordType::A), Reading::Circle);
    }

    #[test]
    fn a_time_to_live_out_of_range_is_none() {
        let answer = answer(ResponseCode::NoError, vec![address("a.", u32::MAX - 1, 1)]);
        let read = read(&answer, &name("a."), RecordType::A);
        assert!(matches!(read, Reading::Records(_, ttl) if ttl.is_zero()));
    }

    /// A record of a few names: an address, an alias, or nothing of either.
    fn any_record() -> impl Strategy<Value = Record> {
        let names = || prop::sample::select(vec!["a.", "b.", "c.", "d."]);
        (names(), names(), 0_u8..4, any::<u32>()).prop_map(|(of, to, kind, ttl)| match kind {
            0 | 1 => address(of, ttl, 1),
            2 => alias(of, ttl, to),
            _ => soa(ttl, ttl),
        })
    }

    proptest! {
        #[test]
        fn whatever_records_come_the_reading_ends_and_is_of_the_name_asked_for(
            records in prop::collection::vec(any_record(), 0..12),
        ) {
            let answer = answer(ResponseCode::NoError, records.clone());
            let reached = |from: &Name| -> Vec<Name> {
                let mut all = vec![from.clone()];
                let mut at = 0;
                while at < all.len() {
                    let here = all[at].clone();
                    for record in records.iter().filter(|it| it.name == here) {
                        if let RData::CNAME(to) = &record.data && !all.contains(&to.0) {
                            all.push(to.0.clone());
                        }
                    }
                    at += 1;
                }
                all
            };
            let names = reached(&name("a."));
            match read(&answer, &name("a."), RecordType::A) {
                Reading::Records(found, ttl) => {
                    prop_assert!(!found.is_empty());
                    let of = |it: &&Record| names.contains(&it.name) && it.record_type() == RecordType::A;
                    prop_assert!(found.len() <= records.iter().filter(of).count());
                    prop_assert!(ttl.as_secs() <= u64::from(u32::MAX / 2));
                }
                Reading::Alias(to, _) => prop_assert!(names.contains(&to)),
                Reading::None { is_name, .. } => prop_assert!(is_name),
                Reading::Circle => prop_assert!(records.iter().any(|it| it.record_type() == RecordType::CNAME)),
            }
        }

        #[test]
        fn bytes_that_mean_nothing_are_refused_or_read_without_a_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            if let Ok(message) = Message::from_vec(&bytes) {
                for kind in [RecordType::A, RecordType::SRV, RecordType::TXT] {
                    let _ = read(&message, &name("a."), kind);
                }
            }
        }
    }
}
