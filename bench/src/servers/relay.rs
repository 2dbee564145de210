//! A proxy 30 ms away. Its answer to CONNECT takes the round trip that TCP would take to a server
//! at that distance; what goes through it, half of that each way.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

use super::head;
use crate::Result;

pub async fn serve(listener: TcpListener) -> Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(async {
            // Either side may hang up when it has what it wants.
            let _ = tunnel(stream).await;
        });
    }
}

async fn tunnel(mut near: TcpStream) -> Result<()> {
    let head = head(&mut near).await.ok_or("no request")?;
    let to = head.split(' ').nth(1).ok_or("no target")?;
    sleep(2 * RELAY_TRIP).await;
    let far = TcpStream::connect(to).await?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    near.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").await?;
    let (near_read, near_write) = near.into_split();
    let (far_read, far_write) = far.into_split();
    tokio::try_join!(late(near_read, far_write), late(far_read, near_write))?;
    Ok(())
}

/// Hands on each piece as late as it would come from afar, however many are under way.
async fn late(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) -> Result<()> {
    let (sender, mut pieces) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let reading = async move {
        loop {
            let mut piece = Vec::with_capacity(16 << 10);
            if from.read_buf(&mut piece).await? == 0 {
                return Result::Ok(());
            }
            sender.send((Instant::now() + RELAY_TRIP, piece))?;
        }
    };
    let writing = async {
        while let Some((due, piece)) = pieces.recv().await {
            sleep_until(due).await;
            to.write_all(&piece).await?;
        }
        to.shutdown().await?;
        Ok(())
    };
    tokio::try_join!(reading, writing)?;
    Ok(())
}

/// One way.
const RELAY_TRIP: Duration = Duration::from_millis(15);
