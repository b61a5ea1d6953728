//! What the stories are told with: real parts, and fakes of the parts that nobody may call from a test.
//!
//! Everything listens on loopback, on a free port, and ends when it is dropped. Every wait has an end.

pub mod aws;
pub mod browser;
pub mod cloud;
// One signer for the library's tests and for the stories.
#[path = "../../ingest/src/digest/tests/signer.rs"]
pub mod digests;
pub mod disk;
pub mod folder;
pub mod http;
pub mod keys;
pub mod moto;
pub mod oracle;
pub mod prometheus;
pub mod proxy;
pub mod receivers;
pub mod records;
pub mod remit;
pub mod tally;
pub mod tools;
pub mod trail_cloud;
pub mod world;

use std::net::TcpListener;
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// Where the fakes run. Stories themselves are plain functions: they read in the order they happen.
pub fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
    })
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

/// Waits until `look` sees it, and gives what it saw.
pub fn until<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(start.elapsed() < limit, "{what}: not within {limit:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Waits until it is so.
pub fn eventually(what: &str, limit: Duration, mut is_so: impl FnMut() -> bool) {
    until(what, limit, || is_so().then_some(()));
}

/// The seed of a story: its own, or that of `REMIT_SEED`, with which a failure can be repeated.
pub fn seed(own: u64) -> u64 {
    let seed = number("REMIT_SEED").unwrap_or(own);
    // Shown by the test runner together with why the story failed.
    eprintln!("--- seed {seed}: REMIT_SEED={seed} repeats it");
    seed
}

/// A number from the environment, by which a script makes a story long.
pub fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|error| panic!("{name}={text}: {error}")))
}

/// The folder of cases from outside the repository, if the run has one.
pub fn conformance() -> Option<std::path::PathBuf> {
    std::env::var_os("REMIT_CONFORMANCE").map(Into::into)
}
