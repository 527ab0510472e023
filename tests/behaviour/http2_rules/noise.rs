//! Frames of all kinds.

use super::{get, post, setting, started, window};
use crate::harness::h2_frames::{
    CONTINUATION, DATA, Frames, GOAWAY, HEADERS, PING, PRIORITY, RESET, SETTINGS, get_block,
};

/// Frames of all kinds, most of them right, some a little wrong: nothing but a fault of the
/// proxy makes it panic or leaves something behind.
#[tokio::test]
async fn noise_hurts_only_its_own_connection() {
    let (proxy, _app, gate) = started().await;
    gate.open();
    let mut random = Random::new();
    for _ in 0..300 {
        let mut frames = Frames::connect(proxy.address("web"), &[]).await;
        let mut stream = 1;
        for _ in 0..random.below(30) {
            let (kind, flags, id, mut payload) = match random.below(12) {
                0 | 1 => get(stream, "/"),
                2 => post(stream, "/"),
                3 => (
                    DATA,
                    random.flags(),
                    random.below(stream + 4),
                    vec![b'x'; 100],
                ),
                4 => (HEADERS, random.flags(), stream, get_block("/")),
                5 => (CONTINUATION, random.flags(), stream, get_block("/")),
                6 => window(random.below(stream + 2), random.below(1000)),
                7 => (SETTINGS, 0, 0, setting(4, random.below(100_000))),
                8 => (PING, random.flags(), 0, vec![0; 8]),
                9 => (RESET, 0, random.below(stream + 2), vec![0, 0, 0, 8]),
                10 => (PRIORITY, 0, stream, vec![0, 0, 0, 0, 1]),
                _ => (SETTINGS, 0, 0, setting(1, random.below(5000))),
            };
            if random.below(20) == 0 && !payload.is_empty() {
                let at = random.below(u32::try_from(payload.len()).unwrap()) as usize;
                payload[at] = payload[at].wrapping_add(1 + random.flags());
            }
            if random.below(40) == 0 {
                payload.truncate(payload.len() / 2);
            }
            if !frames.send(kind, flags, id, &payload).await {
                break;
            }
            stream += 2 * random.below(2);
        }
        if random.below(2) == 0 {
            frames.try_next_of(GOAWAY).await;
        }
    }
    assert_eq!(proxy.get("/").await.text(), "app");
    proxy.finish().await;
}

/// The same numbers each time.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new() -> Self {
        Self(0x5eed)
    }

    pub(super) fn below(&mut self, bound: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        u32::try_from(self.0 % u64::from(bound)).unwrap()
    }

    fn flags(&mut self) -> u8 {
        u8::try_from(self.below(64)).unwrap()
    }
}
