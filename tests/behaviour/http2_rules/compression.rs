//! Compression of fields (RFC 7541) with a peer that is not ours.

use super::{ALL, noise::Random};
use crate::harness::{Backend, Settings, answer_bytes};

/// Enough of them to drive everything out of the tables, again and again.
const REQUESTS: usize = 300;

/// A handful of fields; some come again, some are never the same.
fn fields(random: &mut Random) -> Vec<(String, String)> {
    let count = random.below(8);
    let fields = (0..count).map(|_| {
        let name = format!("x-{}", random.below(30));
        let length = match random.below(10) {
            0 => random.below(2000),
            1..4 => random.below(100),
            _ => random.below(4),
        };
        let value = (0..length).map(|_| char::from_u32(0x21 + random.below(0x5e)).unwrap());
        (name, value.collect())
    });
    fields.collect()
}

#[tokio::test]
async fn fields_of_any_kind_arrive_as_they_were_sent() {
    let app = Backend::start(|seen| {
        let mine = seen.fields.iter().filter(|(name, _)| is_ours(name));
        let lines = mine.map(|(name, value)| format!("{name}: {value}\r\n"));
        let lines: String = lines.collect();
        answer_bytes(&format!(
            "HTTP/1.1 200 OK\r\n{lines}content-length: 2\r\n\r\nok"
        ))
    })
    .await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let mut client = proxy.h2_client().await;
    let mut random = Random::new();
    for n in 0..REQUESTS {
        let mut sent = fields(&mut random);
        let pairs: Vec<_> = sent
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let answer = client.request("GET", "/", &pairs, b"").await.unwrap();
        let echoed = answer.fields.iter().filter(|(name, _)| is_ours(name));
        let mut echoed: Vec<(String, String)> = echoed
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect();
        // The client's map has an order of its own.
        sent.sort();
        echoed.sort();
        assert_eq!(echoed, sent, "request {n}");
    }
    proxy.finish().await;
}

fn is_ours(name: &str) -> bool {
    name.strip_prefix("x-")
        .is_some_and(|number| number.parse::<u32>().is_ok())
}
