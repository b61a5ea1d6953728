//! A network that fails on command: stands before any server on this machine, and does with its bytes as it is told.

use super::runtime;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What becomes of a connection. Each keeps the trouble that it began with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// It goes through.
    None,
    /// Whatever is sent comes so much later, both ways.
    Delay(Duration),
    /// Nobody listens.
    Refuse,
    /// It is accepted, and reset at its first byte.
    Reset,
    /// The server has all that is sent, but nothing comes back, and nobody hangs up.
    HalfOpen,
    /// It is accepted, and nothing that is sent goes anywhere.
    BlackHole,
    /// So many bytes of the answer come; then it ends.
    CutAfter(usize),
    /// The server has the question; the connection ends where the answer would begin.
    LoseAnswer,
}

/// A proxy before one server. Dropped, nobody listens any more.
pub struct Proxy {
    /// The server's address, through here.
    pub url: String,
    trouble: watch::Sender<Trouble>,
    connections: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Proxy {
    /// Stands before the server of a URL, `http://127.0.0.1:PORT/...`.
    pub fn before(url: &str) -> Proxy {
        let rest = url.strip_prefix("http://").expect("plain HTTP");
        let (target, path) = rest.split_once('/').unwrap_or((rest, ""));
        let target: SocketAddr = target.parse().expect("an address of this machine");
        let listener = runtime().block_on(TcpListener::bind(("127.0.0.1", 0))).unwrap();
        let address = listener.local_addr().unwrap();
        let (trouble, told) = watch::channel(Trouble::None);
        let connections = Arc::new(AtomicUsize::new(0));
        let task = runtime().spawn(serve(listener, target, told, connections.clone()));
        let slash = if rest.contains('/') { "/" } else { "" };
        Proxy { url: format!("http://{address}{slash}{path}"), trouble, connections, task }
    }

    /// What becomes of connections from now on.
    pub fn does(&self, trouble: Trouble) {
        self.trouble.send_replace(trouble);
    }

    /// Connections that were accepted so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    mut listener: TcpListener,
    target: SocketAddr,
    mut told: watch::Receiver<Trouble>,
    connections: Arc<AtomicUsize>,
) {
    let address = listener.local_addr().unwrap();
    loop {
        if *told.borrow_and_update() == Trouble::Refuse {
            drop(listener);
            let refuses = |trouble: &Trouble| *trouble != Trouble::Refuse;
            if told.wait_for(refuses).await.is_err() {
                return;
            }
            listener = loop {
                match TcpListener::bind(address).await {
                    Ok(listener) => break listener,
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            };
        }
        tokio::select! {
            changed = told.changed() => if changed.is_err() { return },
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                connections.fetch_add(1, Ordering::Relaxed);
                let trouble = *told.borrow();
                tokio::spawn(async move {
                    // A connection that breaks is what a proxy like this one is for.
                    let _ = carry(stream, target, trouble).await;
                });
            }
        }
    }
}

async fn carry(mut client: TcpStream, target: SocketAddr, trouble: Trouble) -> std::io::Result<()> {
    match trouble {
        Trouble::BlackHole => return std::future::pending().await,
        Trouble::Reset => {
            client.read_u8().await?;
            // No farewell: the other side sees a reset.
            return client.set_zero_linger();
        }
        _ => {}
    }
    let mut server = TcpStream::connect(target).await?;
    let (mut asks, mut hears) = client.split();
    let (mut answers, mut takes) = server.split();
    let delay = if let Trouble::Delay(delay) = trouble { delay } else { Duration::ZERO };
    let there = async {
        copy(&mut asks, &mut takes, delay, usize::MAX).await?;
        // Or the server holds its end of a connection that is over, and in an hour all descriptors are gone.
        takes.shutdown().await
    };
    let back = async {
        match trouble {
            Trouble::HalfOpen => {
                tokio::io::copy(&mut answers, &mut tokio::io::sink()).await?;
                std::future::pending().await
            }
            Trouble::LoseAnswer => answers.read_u8().await.map(|_| ()),
            Trouble::CutAfter(bytes) => copy(&mut answers, &mut hears, delay, bytes).await,
            _ => copy(&mut answers, &mut hears, delay, usize::MAX).await,
        }
    };
    tokio::pin!(there, back);
    // Whoever asks may have said all and wait for the answer; once that has ended, so has all.
    tokio::select! {
        ended = &mut back => ended,
        ended = &mut there => match ended {
            Ok(()) => back.await,
            broken => broken,
        },
    }
}

async fn copy(
    from: &mut (impl AsyncReadExt + Unpin),
    to: &mut (impl AsyncWriteExt + Unpin),
    delay: Duration,
    mut bytes: usize,
) -> std::io::Result<()> {
    let mut buffer = vec![0; 16 << 10];
    while bytes > 0 {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            break;
        }
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        let passed = read.min(bytes);
        bytes -= passed;
        to.write_all(&buffer[..passed]).await?;
    }
    Ok(())
}
