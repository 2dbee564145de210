//! What is handed from function to function is small: futures and responses are moved, and sizes are
//! no clock.

use urlfetch::{Body, Response, fetch};

/// What glibc gives out again without a search for it has 1,032 bytes at most.
#[test]
fn what_is_moved_is_small() {
    let future = fetch("https://host.example/").send();
    for (size, most) in [
        (size_of_val(&future), 1032),
        (size_of::<Response>(), 136),
        (size_of::<Body>(), 8),
    ] {
        assert!(size <= most, "{size} > {most}");
    }
}
