//! Punycode (RFC 3492): what an A-label of a domain name stands for.

/// The U-label of an A-label's part behind `xn--`, or `None` if it is not Punycode, or has nothing
/// in it that needed it (RFC 5890 §2.3.2.1).
pub(super) fn decode(encoded: &str) -> Option<String> {
    // Who wrote the certificate need not keep to the length of labels, and an insertion moves all
    // that stands behind it.
    if encoded.len() > MAX_ENCODED {
        return None;
    }
    let (basic, digits) = encoded.rsplit_once('-').unwrap_or(("", encoded));
    let mut output: Vec<char> = basic.chars().collect();
    let mut digits = digits.bytes();
    let (mut n, mut i, mut bias) = (INITIAL_N, 0_u32, INITIAL_BIAS);
    let mut decoded = 0;
    // RFC 3492 §6.2.
    while digits.len() > 0 {
        let before = i;
        let mut weight = 1_u32;
        for k in (BASE..).step_by(BASE as usize) {
            let digit = value(digits.next()?)?;
            i = i.checked_add(digit.checked_mul(weight)?)?;
            let threshold = k.saturating_sub(bias).clamp(T_MIN, T_MAX);
            if digit < threshold {
                break;
            }
            weight = weight.checked_mul(BASE - threshold)?;
        }
        let length = u32::try_from(output.len()).ok()?.checked_add(1)?;
        bias = adapt(i - before, length, before == 0);
        n = n.checked_add(i / length)?;
        i %= length;
        output.insert(usize::try_from(i).ok()?, char::from_u32(n)?);
        i += 1;
        decoded += 1;
    }
    (decoded > 0).then(|| output.into_iter().collect())
}

/// RFC 3492 §6.1.
fn adapt(delta: u32, length: u32, is_first: bool) -> u32 {
    let mut delta = delta / if is_first { DAMP } else { 2 };
    delta += delta / length;
    let mut k = 0;
    while delta > (BASE - T_MIN) * T_MAX / 2 {
        delta /= BASE - T_MIN;
        k += BASE;
    }
    k + (BASE - T_MIN + 1) * delta / (delta + SKEW)
}

fn value(digit: u8) -> Option<u32> {
    let value = match digit.to_ascii_lowercase() {
        letter @ b'a'..=b'z' => letter - b'a',
        digit @ b'0'..=b'9' => digit - b'0' + 26,
        _ => return None,
    };
    Some(value.into())
}

/// A label has at most 63 letters (RFC 1035 §2.3.4), and `xn--` are four of them.
const MAX_ENCODED: usize = 59;

/// RFC 3492 §5.
const BASE: u32 = 36;
const T_MIN: u32 = 1;
const T_MAX: u32 = 26;
const SKEW: u32 = 38;
const DAMP: u32 = 700;
const INITIAL_BIAS: u32 = 72;
const INITIAL_N: u32 = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels() {
        for (encoded, decoded) in [
            ("bcher-kva", Some("bücher")),
            ("BCHER-KVA", Some("BüCHER")),
            ("p1ai", Some("рф")),
            ("55qx5d", Some("公司")),
            ("ls8h", Some("💩")),
            // RFC 3492 §7.1 (B), (L).
            ("ihqwcrb4cv8a8dqg056pqjye", Some("他们为什么不说中文")),
            ("3B-ww4c5e180e575a65lsy2b", Some("3年B組金八先生")),
            ("", None),
            ("abc-", None),
            ("-", None),
            ("99999999", None),
            ("zzzzzzzzzzzzzzzzzzzzzzzz", None),
            ("\u{e9}-", None),
        ] {
            assert_eq!(decode(encoded).as_deref(), decoded, "{encoded}");
        }
    }
    #[test]
    fn what_is_too_long_for_a_label_is_not_worked_on() {
        assert!(decode(&"a".repeat(59)).is_some());
        assert_eq!(decode(&"a".repeat(60)), None);
        // Minutes of work, were it done: each letter moves all that stands behind it.
        let wide = "a".repeat(1 << 20);
        assert_eq!(decode(&format!("{wide}-{wide}")), None);
    }
}
