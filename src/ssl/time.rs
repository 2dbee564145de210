//! The times of a certificate as text, `Jan  5 09:34:43 2018 GMT`, read and written.

use std::fmt;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use x509_cert::der::DateTime;

use crate::tls::shown::Shown;

/// The seconds from 1970 to a time as `notBefore` and `notAfter` of [`PeerCert`](super::PeerCert)
/// have it, such as `Jan  5 09:34:43 2018 GMT`; negative before 1970.
///
/// The month is the first three letters of its English name, in capitals or not; the day has one
/// digit or two, the hour, minute and second have two, the year four, from 0001 to 9999; between
/// them are spaces. The zone is GMT and nothing else.
///
/// Python forgave what is no time of a certificate (RFC 5280 §4.1.2.5): a second 60 or 61, and a
/// day that the month has not, such as Feb 29 in any year, of which it made Mar 1. These are
/// refused here, and so are `gmt`, tabs, and hours, minutes and seconds of one digit.
///
/// # Errors
///
/// [`MalformedTime`], if it is not written like this, or there is no such time.
///
/// # Examples
///
/// ```
/// use urlfetch::ssl::cert_time_to_seconds;
///
/// assert_eq!(cert_time_to_seconds("Jan  5 09:34:43 2018 GMT"), Ok(1_515_144_883));
/// assert!(cert_time_to_seconds("Jan  5 09:34:43 2018 UTC").is_err());
/// ```
pub fn cert_time_to_seconds(text: &str) -> Result<i64, MalformedTime> {
    read(text).ok_or_else(|| MalformedTime(Shown(text).to_string()))
}

/// A text is not a time as a certificate's are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MalformedTime(String);

impl fmt::Display for MalformedTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "\"{}\" is not a time of the form \"Jan  5 09:34:43 2018 GMT\"",
            self.0
        )
    }
}

impl std::error::Error for MalformedTime {}

/// What [`cert_time_to_seconds`] reads: the day is padded by a space, as OpenSSL writes it.
pub(super) fn written(moment: SystemTime) -> String {
    let since = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
    // Of a certificate's, each is before 10000 (RFC 5280 §4.1.2.5.2).
    let time = DateTime::from_unix_duration(since).unwrap_or(DateTime::INFINITY);
    let month = MONTHS.get(usize::from(time.month()) - 1).unwrap_or(&"");
    format!(
        "{month} {:2} {:02}:{:02}:{:02} {:04} GMT",
        time.day(),
        time.hour(),
        time.minutes(),
        time.seconds(),
        time.year()
    )
}

fn read(text: &str) -> Option<i64> {
    let words: Vec<_> = text.split(' ').filter(|word| !word.is_empty()).collect();
    let [month, day, clock, year, "GMT"] = words[..] else {
        return None;
    };
    let clock: Vec<_> = clock.split(':').collect();
    let [hour, minute, second] = clock[..] else {
        return None;
    };
    if text.starts_with(' ') || text.ends_with(' ') {
        return None;
    }
    let is_this = |name: &&str| name.eq_ignore_ascii_case(month);
    let month = MONTHS.iter().position(is_this)? + 1;
    let year = number::<u16>(year, 4).filter(|year| *year > 0)?;
    // DateTime begins in 1970. What is before it is moved by some of the 400 years after which the
    // calendar repeats.
    let cycles = if year < 1970 { 5 } else { 0 };
    let time = DateTime::new(
        year + cycles * CYCLE_YEARS,
        month.try_into().ok()?,
        number(day, day.len().clamp(1, 2))?,
        number(hour, 2)?,
        number(minute, 2)?,
        number(second, 2)?,
    );
    let seconds = i64::try_from(time.ok()?.unix_duration().as_secs()).ok()?;
    Some(seconds - i64::from(cycles) * CYCLE_SECONDS)
}

/// A number of so many digits.
fn number<T: FromStr>(digits: &str, count: usize) -> Option<T> {
    let is_number = digits.len() == count && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().ok())?
}

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
const CYCLE_YEARS: u16 = 400;
/// 97 of these years have a day more.
const CYCLE_SECONDS: i64 = (400 * 365 + 97) * 24 * 60 * 60;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_written_is_read() {
        // Steps that meet every hour, day and month, to the end of the year 9999.
        let moments = (0..253_402_300_800).step_by(1_009 * 24 * 60 * 60 + 59 * 61);
        for seconds in moments.chain([951_782_400, 253_402_300_799]) {
            let moment = UNIX_EPOCH + Duration::from_secs(seconds);
            let text = written(moment);
            assert_eq!(text.len(), "Jan  5 09:34:43 2018 GMT".len(), "{text}");
            assert_eq!(cert_time_to_seconds(&text), Ok(seconds as i64), "{text}");
        }
        assert_eq!(written(UNIX_EPOCH), "Jan  1 00:00:00 1970 GMT");
    }
}
