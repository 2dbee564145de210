//! Header maps that are done with, for the next requests of their thread: one has room for a dozen
//! fields and more, which is the largest piece of memory that a request needs of its own.

use std::cell::RefCell;

use http::HeaderMap;

thread_local! {
    static SPARE: RefCell<Vec<HeaderMap>> = const { RefCell::new(Vec::new()) };
}

/// An empty map with room for so many fields.
pub(crate) fn header_map(room: usize) -> HeaderMap {
    // There are none where the thread is at its end.
    let spare = SPARE.try_with(|spare| spare.try_borrow_mut().ok()?.pop());
    match spare.ok().flatten() {
        Some(map) if map.capacity() >= room => map,
        _ => HeaderMap::with_capacity(room),
    }
}

/// Takes back a map that nobody needs any more.
pub(crate) fn keep(mut map: HeaderMap) {
    if !(1..=LARGEST).contains(&map.capacity()) {
        return;
    }
    map.clear();
    let _ = SPARE.try_with(|spare| {
        let mut spare = spare.try_borrow_mut().ok()?;
        if spare.len() < MOST {
            spare.push(map);
        }
        Some(())
    });
}

/// Maps that a thread keeps: some 20 KiB.
const MOST: usize = 16;

/// Fields for which a map that is kept may have room. What one server has sent in thousands is not
/// held for the next.
const LARGEST: usize = 32;

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::COOKIE;

    use super::*;

    #[test]
    fn a_map_comes_back_empty_and_with_its_room() {
        let mut map = HeaderMap::with_capacity(20);
        let room = map.capacity();
        map.append(COOKIE, HeaderValue::from_static("a secret"));
        map.append(COOKIE, HeaderValue::from_static("another"));
        keep(map);
        let map = header_map(8);
        assert!(map.is_empty() && map.get(COOKIE).is_none());
        assert_eq!(map.capacity(), room);
        assert_ne!(header_map(8).capacity(), room, "it was the only one");
        keep(map);
        assert!(header_map(room + 1).capacity() > room);
    }

    #[test]
    fn so_many_are_kept_and_none_that_is_large() {
        keep(HeaderMap::with_capacity(LARGEST + 1));
        keep(HeaderMap::new());
        assert_eq!(SPARE.with_borrow(Vec::len), 0);
        for _ in 0..2 * MOST {
            keep(HeaderMap::with_capacity(8));
        }
        assert_eq!(SPARE.with_borrow(Vec::len), MOST);
    }
}
