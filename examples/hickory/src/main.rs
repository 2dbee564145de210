//! Fetches a URL whose host's addresses hickory-resolver finds.
//!
//! `cargo run -- https://example.com/` asks the name servers of this system;
//! `cargo run -- https://example.com/ 192.0.2.53` asks the one at that address.

use std::error::Error;
use std::net::IpAddr;
use std::sync::Arc;

use urlfetch::Client;

use crate::hickory::Hickory;

mod hickory;
#[cfg(test)]
mod tests;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().ok_or("which URL?")?;
    let resolver = Arc::new(match arguments.next() {
        Some(name_server) => Hickory::at(name_server.parse::<IpAddr>()?, 53)?,
        None => Hickory::of_the_system()?,
    });
    // It may serve several clients, each of which has its own connections.
    let client = Client::builder().resolver(Arc::clone(&resolver)).build()?;
    let response = client.fetch(url).await?;
    println!("{} from {}", response.status(), response.remote_addr());
    println!("{}", response.text().await?);
    Ok(())
}
