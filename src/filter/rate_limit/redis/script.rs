//! The script that decides in the server: the same rule as [`Gcra::take`], by the server's clock.

use std::fmt::Write as _;

use redis::{Cmd, RedisError, ServerErrorKind, Value, cmd};

use crate::resilience::Gcra;

/// Takes a request out of a bucket. Its key holds the time until which the bucket is used, in
/// microseconds from `EPOCH`, and goes when that has passed. Counted from there, a double is exact
/// to 1/32 of a microsecond. Gives 1 or 0, and the nanoseconds that are used.
const TAKE: &str = "\
local time = redis.call('TIME')
local now = (time[1] - 1700000000) * 1000000 + time[2]
local interval, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local used = tonumber(redis.call('GET', KEYS[1]) or now)
if used < now then used = now end
local passes = 0
if used + interval <= now + window + 1 then
  passes = 1
  used = used + interval
  redis.call('SET', KEYS[1], string.format('%.17g', used), 'PX', math.ceil((used - now) / 1000) + 1)
end
return {passes, math.floor((used - now) * 1000)}
";

/// The calls for one request: by the script's hash, and with its text for a server that does not
/// know it.
pub(super) fn take(key: &[u8], gcra: Gcra) -> (Cmd, impl FnOnce() -> Cmd) {
    let quick = call("EVALSHA", hash(), key, gcra);
    (quick, move || call("EVAL", TAKE, key, gcra))
}

fn call(name: &str, script: &str, key: &[u8], gcra: Gcra) -> Cmd {
    let mut call = cmd(name);
    call.arg(script)
        .arg(1)
        .arg(key)
        .arg(micros(gcra.interval_ns()))
        .arg(micros(gcra.window_ns()));
    call
}

/// Nanoseconds as microseconds with a fraction.
fn micros(ns: u64) -> String {
    format!("{}.{:03}", ns / 1000, ns % 1000)
}

/// Returns true if a server does not know the script.
pub(super) fn is_unknown(error: &RedisError) -> bool {
    error.kind() == redis::ErrorKind::Server(ServerErrorKind::NoScript)
}

/// Reads the answer.
pub(super) fn read(answer: Value) -> Option<(bool, u64)> {
    let (passes, used) = redis::from_redis_value::<(u8, u64)>(answer).ok()?;
    Some((passes == 1, used))
}

/// The hash by which a server knows the script.
fn hash() -> &'static str {
    static HASH: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    HASH.get_or_init(|| {
        use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
        let mut hash = String::new();
        for byte in digest(&SHA1_FOR_LEGACY_USE_ONLY, TAKE.as_bytes()).as_ref() {
            let _ = write!(hash, "{byte:02x}");
        }
        hash
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_names_script_key_interval_and_window() {
        let (quick, whole) = take(b"sluicegate:all/route", Gcra::new(3, 1_000_000_000, 2));
        let text = |call: &Cmd| String::from_utf8(call.get_packed_command()).unwrap();
        let quick = text(&quick);
        assert!(
            quick.contains("EVALSHA") && quick.contains(hash()),
            "{quick}"
        );
        assert!(quick.contains("333333.334\r\n"), "{quick}");
        assert!(quick.contains("666666.668\r\n"), "{quick}");
        assert!(text(&whole()).contains("redis.call('TIME')"));
        assert_eq!(hash().len(), 40);
    }
}
