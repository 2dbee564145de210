//! Answers the first request at once, and the next so many, as `/hold/MANY` says, only when all of
//! them are here: then begins anew.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::sleep;

use super::{head, response};
use crate::Result;

pub async fn serve(listener: TcpListener) -> Result<()> {
    let gate = Arc::new(Mutex::new(Gate::default()));
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(answer(stream, gate.clone()));
    }
}

/// Those who wait, and how they are told.
#[derive(Default)]
struct Gate {
    warm: bool,
    held: usize,
    open: watch::Sender<bool>,
}

async fn answer(mut stream: TcpStream, gate: Arc<Mutex<Gate>>) {
    let Some(head) = head(&mut stream).await else {
        return;
    };
    let many = head
        .split(['/', ' '])
        .find_map(|word| word.parse().ok())
        .unwrap_or(1);
    let waits = gate
        .lock()
        .expect("nothing panics while it holds it")
        .enter(many);
    if let Some(mut open) = waits {
        let _ = open.wait_for(|open| *open).await;
    }
    // Who hung up has no need of it.
    let _ = stream.write_all(&response()).await;
}

impl Gate {
    fn enter(&mut self, many: usize) -> Option<watch::Receiver<bool>> {
        if !self.warm {
            self.warm = true;
            return None;
        }
        let waits = self.open.subscribe();
        self.held += 1;
        if self.held == many {
            let full = std::mem::take(self);
            tokio::spawn(async move {
                sleep(LOOK_AROUND).await;
                let _ = full.open.send(true);
            });
        }
        Some(waits)
    }
}

/// For a client to look at its memory while all its requests wait.
const LOOK_AROUND: Duration = Duration::from_secs(1);
