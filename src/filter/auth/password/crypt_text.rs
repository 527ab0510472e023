//! Digests as `crypt` writes them: in an order of their own, six bits to a character, lowest first.

/// Text of an MD5 of `$apr1$`.
pub(super) fn of_md5(digest: &[u8; 16]) -> String {
    let mut text = String::with_capacity(22);
    for at in 0..4 {
        put(&mut text, [digest[at], digest[at + 6], digest[at + 12]], 4);
    }
    put(&mut text, [digest[4], digest[10], digest[5]], 4);
    put(&mut text, [0, 0, digest[11]], 2);
    text
}

/// Text of a SHA-256 of `$5$`.
pub(super) fn of_sha256(digest: &[u8; 32]) -> String {
    let mut text = String::with_capacity(43);
    let mut group = [0, 10, 20];
    for _ in 0..10 {
        put(&mut text, group.map(|at| digest[at]), 4);
        let [a, b, c] = group;
        group = [c + 1, a + 1, b + 1];
    }
    put(&mut text, [0, digest[31], digest[30]], 3);
    text
}

/// Text of a SHA-512 of `$6$`.
pub(super) fn of_sha512(digest: &[u8; 64]) -> String {
    let mut text = String::with_capacity(86);
    let mut group = [0, 21, 42];
    for _ in 0..21 {
        put(&mut text, group.map(|at| digest[at]), 4);
        let [a, b, c] = group;
        group = [b + 1, c + 1, a + 1];
    }
    put(&mut text, [0, 0, digest[63]], 2);
    text
}

fn put(text: &mut String, bytes: [u8; 3], count: usize) {
    let [high, middle, low] = bytes.map(usize::from);
    let mut bits = high << 16 | middle << 8 | low;
    for _ in 0..count {
        text.push(char::from(DIGITS[bits & 63]));
        bits >>= 6;
    }
}

const DIGITS: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
