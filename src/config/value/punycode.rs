//! ASCII form of internationalized host names (punycode).
//!
//! Used in messages only: clients send this form and no other (RFC 5890, RFC 3492).

/// Returns a name with each label that needs it in punycode; none if a label cannot be encoded.
pub(super) fn ascii_name(name: &str) -> Option<String> {
    let labels: Option<Vec<String>> = name.to_lowercase().split('.').map(label).collect();
    labels.map(|labels| labels.join("."))
}

fn label(label: &str) -> Option<String> {
    if label.is_ascii() {
        return Some(label.to_owned());
    }
    if !label
        .chars()
        .all(|c| c.is_alphanumeric() || c == '-' || c == '_')
    {
        return None;
    }
    encode(label).map(|encoded| format!("xn--{encoded}"))
}

/// Encodes a label (RFC 3492 section 6.3).
fn encode(label: &str) -> Option<String> {
    let mut out: String = label.chars().filter(char::is_ascii).collect();
    let basic = u32::try_from(out.len()).ok()?;
    if basic > 0 {
        out.push('-');
    }
    let (mut code, mut delta, mut bias, mut done) = (128_u32, 0_u32, 72, basic);
    let total = u32::try_from(label.chars().count()).ok()?;
    while done < total {
        let next = label.chars().map(u32::from).filter(|c| *c >= code).min()?;
        delta = delta.checked_add((next - code).checked_mul(done + 1)?)?;
        code = next;
        for c in label.chars().map(u32::from) {
            if c < code {
                delta = delta.checked_add(1)?;
            }
            if c == code {
                put_number(&mut out, delta, bias);
                bias = adapt(delta, done + 1, done == basic);
                delta = 0;
                done += 1;
            }
        }
        delta += 1;
        code += 1;
    }
    Some(out)
}

fn put_number(out: &mut String, number: u32, bias: u32) {
    let mut rest = number;
    let mut k = BASE;
    loop {
        let threshold = k.saturating_sub(bias).clamp(T_MIN, T_MAX);
        if rest < threshold {
            out.extend(char::from_digit(rest, BASE).map(swapped));
            return;
        }
        let digit = threshold + (rest - threshold) % (BASE - threshold);
        out.extend(char::from_digit(digit, BASE).map(swapped));
        rest = (rest - threshold) / (BASE - threshold);
        k += BASE;
    }
}

/// Converts a base-36 digit: punycode counts letters before digits.
fn swapped(digit: char) -> char {
    let value = digit.to_digit(BASE).unwrap_or(0);
    let turned = if value < 26 { value + 10 } else { value - 26 };
    char::from_digit(turned, BASE).unwrap_or('a')
}

fn adapt(delta: u32, points: u32, first: bool) -> u32 {
    let mut delta = if first { delta / DAMP } else { delta / 2 };
    delta += delta / points;
    let mut k = 0;
    while delta > (BASE - T_MIN) * T_MAX / 2 {
        delta /= BASE - T_MIN;
        k += BASE;
    }
    k + (BASE - T_MIN + 1) * delta / (delta + SKEW)
}

const BASE: u32 = 36;
const T_MIN: u32 = 1;
const T_MAX: u32 = 26;
const SKEW: u32 = 38;
const DAMP: u32 = 700;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_the_form_that_clients_send() {
        for (name, expected) in [
            ("bücher.example", "xn--bcher-kva.example"),
            ("a b.ü x", ""),
            ("München.example", "xn--mnchen-3ya.example"),
            ("пример.example", "xn--e1afmkfd.example"),
            ("例え.テスト", "xn--r8jz45g.xn--zckzah"),
            ("straße.example", "xn--strae-oqa.example"),
            ("plain.example", "plain.example"),
        ] {
            let found = ascii_name(name).unwrap_or_default();
            assert_eq!(found, expected, "{name}");
        }
    }
}
