//! Times of certificates, read: what Python 3.11's `cert_time_to_seconds` gave, and what ours does.

use urlfetch::ssl::cert_time_to_seconds;

#[test]
fn a_time_is_read_as_python_read_it() {
    for (text, seconds) in [
        ("Jan  5 09:34:43 2018 GMT", Some(1_515_144_883)),
        ("Jan 5 09:34:43 2018 GMT", Some(1_515_144_883)),
        ("Jan 05 09:34:43 2018 GMT", Some(1_515_144_883)),
        ("JAN  5 09:34:43 2018 GMT", Some(1_515_144_883)),
        ("jaN  5 09:34:43 2018 GMT", Some(1_515_144_883)),
        ("Jan   5  09:34:43   2018  GMT", Some(1_515_144_883)),
        ("Jan  1 00:00:00 1970 GMT", Some(0)),
        ("Dec 31 23:59:59 1969 GMT", Some(-1)),
        ("Jan  1 00:00:00 0001 GMT", Some(-62_135_596_800)),
        ("Feb 29 00:00:00 0004 GMT", Some(-62_035_891_200)),
        ("Feb 28 23:59:59 1600 GMT", Some(-11_670_998_401)),
        ("Feb 29 12:00:00 1600 GMT", Some(-11_670_955_200)),
        ("Mar  1 00:00:00 1900 GMT", Some(-2_203_891_200)),
        ("Feb 29 23:59:59 2000 GMT", Some(951_868_799)),
        ("Dec 31 23:59:59 2049 GMT", Some(2_524_607_999)),
        ("Jan  1 00:00:00 9999 GMT", Some(253_370_764_800)),
        ("Dec 31 23:59:59 9999 GMT", Some(253_402_300_799)),
        ("Jan  1 00:00:62 2009 GMT", None),
        ("Jan  5 24:00:00 2018 GMT", None),
        ("Jan  5 09:60:43 2018 GMT", None),
        ("Jan 32 09:34:43 2018 GMT", None),
        ("Jan  0 09:34:43 2018 GMT", None),
        ("Jan  5 09:34:43 0000 GMT", None),
        ("Jan  5 09:34:43 10000 GMT", None),
        ("Jan  5 09:34:43 18 GMT", None),
        ("Jan  5 09:34 2018 GMT", None),
        ("Jan  5 09:34:43:00 2018 GMT", None),
        ("Jan  5 09:34:43.5 2018 GMT", None),
        ("Jan  5 09:34:43 2018", None),
        ("Jan  5 09:34:43 2018 UTC", None),
        ("Jan  5 09:34:43 2018 +0000", None),
        ("Jan  5 09:34:43 2018 GMT GMT", None),
        ("Jan  5 09:34:43 2018GMT", None),
        ("Jan  5 +9:34:43 2018 GMT", None),
        ("Jon  5 09:34:43 2018 GMT", None),
        ("January 5 09:34:43 2018 GMT", None),
        ("Ja  5 09:34:43 2018 GMT", None),
        ("Jan5 09:34:43 2018 GMT", None),
        ("J\u{e4}n  5 09:34:43 2018 GMT", None),
        ("Jan  \u{665} 09:34:43 2018 GMT", None),
        (" Jan  5 09:34:43 2018 GMT", None),
        ("Jan  5 09:34:43 2018 GMT ", None),
        ("Jan  5 09:34:43 2018 GMT\n", None),
        ("2018-01-05 09:34:43 GMT", None),
        ("180105093443Z", None),
        ("GMT", None),
        ("", None),
    ] {
        assert_eq!(cert_time_to_seconds(text).ok(), seconds, "{text}");
    }
}

/// With what Python made of it.
#[test]
fn what_python_forgave_is_refused() {
    for (text, _in_python) in [
        // Days that the month has not.
        ("Feb 29 00:00:00 2011 GMT", 1_298_937_600),
        ("Feb 29 00:00:00 1900 GMT", -2_203_891_200),
        ("Feb 30 00:00:00 2012 GMT", 1_330_560_000),
        ("Apr 31 00:00:00 2012 GMT", 1_335_830_400),
        // Leap seconds, which certificates have not (RFC 5280 §4.1.2.5).
        ("Dec 31 23:59:60 2008 GMT", 1_230_768_000),
        ("Jan  1 00:00:61 2009 GMT", 1_230_768_061),
        // What OpenSSL never writes.
        ("Jan  5 9:34:43 2018 GMT", 1_515_144_883),
        ("Jan  5 09:4:3 2018 GMT", 1_515_143_043),
        ("Jan  5 09:34:43 2018 gmt", 1_515_144_883),
        ("Jan\t5 09:34:43 2018 GMT", 1_515_144_883_i64),
    ] {
        let refused = cert_time_to_seconds(text).unwrap_err().to_string();
        assert!(refused.ends_with("GMT\""), "{refused}");
    }
}

#[test]
fn the_refusal_quotes_what_it_was_given_escaped_and_cut() {
    assert_eq!(
        cert_time_to_seconds("now\n").unwrap_err().to_string(),
        "\"now\\u{a}\" is not a time of the form \"Jan  5 09:34:43 2018 GMT\""
    );
    let long = cert_time_to_seconds(&"9".repeat(100_000)).unwrap_err();
    assert!(long.to_string().len() < 400);
}
