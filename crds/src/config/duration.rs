//! Durations as Go writes them: `1m30s`, `1.5h`, `0`. (kube's own type for them panics on some hostile texts.)

use std::time::Duration;

use metallb_core::refusal::PeerRefusal;

/// Reads `field`. Refused: what Go refuses, and what is negative or longer than Go can hold (292 years).
pub(super) fn read(field: &'static str, text: &str) -> Result<Duration, PeerRefusal> {
    parse(text).ok_or_else(|| PeerRefusal::Duration { field, text: text.to_owned() })
}

fn parse(text: &str) -> Option<Duration> {
    let text = text.strip_prefix('+').unwrap_or(text);
    if text == "0" {
        return Some(Duration::ZERO);
    }
    if text.is_empty() {
        return None;
    }
    let mut nanoseconds: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let (part, after) = item(rest)?;
        nanoseconds = nanoseconds.checked_add(part)?;
        rest = after;
    }
    i64::try_from(nanoseconds).ok().map(|_| Duration::from_nanos(nanoseconds))
}

/// A number and its unit, in nanoseconds, and what follows.
fn item(text: &str) -> Option<(u64, &str)> {
    let (whole, rest) = digits(text);
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => digits(rest),
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let end = rest.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(end);
    let unit: u64 = match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60 * 1_000_000_000,
        "h" => 3600 * 1_000_000_000,
        _ => return None,
    };
    let whole = if whole.is_empty() { 0 } else { whole.parse::<u64>().ok()?.checked_mul(unit)? };
    // Digits past what a nanosecond can show are cut off.
    let mut part = 0;
    let mut place = unit;
    for digit in fraction.bytes() {
        place /= 10;
        part += u64::from(digit - b'0') * place;
    }
    Some((whole.checked_add(part)?, rest))
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_read_as_in_go() {
        for (text, millis) in [
            ("0", 0),
            ("0s", 0),
            ("90s", 90_000),
            ("1m30s", 90_000),
            ("1.5h", 5_400_000),
            (".5s", 500),
            ("1.s", 1_000),
            ("+3s", 3_000),
            ("500ms", 500),
            ("1000000us", 1_000),
            ("1000000µs", 1_000),
            ("1h0m0.001s", 3_600_001),
        ] {
            assert_eq!(parse(text), Some(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_or_a_negative_one_is_refused() {
        for text in [
            "",
            "90",
            "s",
            "1x",
            "1 s",
            " 1s",
            "-1s",
            "1s-1s",
            ".s",
            "1e3s",
            "9999999999h",
            "99999999999999999999s",
            "+",
            "1..5s",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text: String) {
            let _ = parse(&text);
        }

        #[test]
        fn no_text_of_the_right_letters_panics(text in "[-+0-9.hmsnuµ]{0,24}") {
            let _ = parse(&text);
        }
    }
}
