//! Times of certificates, read.

use urlfetch::ssl::cert_time_to_seconds;

/// What Python read, and what is read here. The second column is what Python 3.11's
/// `cert_time_to_seconds` gave; `None` is its ValueError.
#[test]
fn a_time_is_read_as_python_read_it_but_for_what_is_none() {
    for (text, in_python, here) in [
        (
            "Jan  5 09:34:43 2018 GMT",
            Some(1_515_144_883),
            Some(1_515_144_883),
        ),
        ("Jan  1 00:00:00 1970 GMT", Some(0), Some(0)),
    ] {
        let _ = in_python;
        assert_eq!(cert_time_to_seconds(text).ok(), here, "{text}");
    }
}
