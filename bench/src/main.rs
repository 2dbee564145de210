//! urlfetch beside its peers.

fn main() {}
