//! An S3 and SQS that somebody else wrote: `moto_server` from PyPI.

use super::{http, tools, until};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A running moto. Dropped, it is killed.
pub struct Moto {
    /// Its endpoint, for both services.
    pub url: String,
    child: Child,
}

impl Moto {
    /// Starts one; back when it answers.
    pub fn start() -> Moto {
        let port = super::free_port();
        let child = Command::new(tools::tool("moto_server"))
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let moto = Moto { url: format!("http://127.0.0.1:{port}"), child };
        let address = format!("{}/moto-api/", moto.url);
        until("moto answers", Duration::from_secs(60), || http::try_get(&address, &[]));
        moto
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
