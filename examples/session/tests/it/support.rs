//! Servers to start, to ask and to kill.

use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use example_session::client::Connection;

/// A server in a process of its own, which does not outlive the test.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    pub(crate) fn start(file: &Path, options: &[&str]) -> Server {
        let mut child = Command::new(env!("CARGO_BIN_EXE_example-session"))
            .args(["serve", "--port", "0", "--file"])
            .arg(file)
            .args(options)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.strip_prefix("listening on ").and_then(|line| line.split(',').next());
        let address = address.and_then(|address| address.parse().ok());
        Server { address: address.unwrap_or_else(|| panic!("said {line:?}")), child }
    }

    /// Connects from 127.0.0.`host`.
    pub(crate) async fn connect(&self, host: u8) -> Connection {
        let from = IpAddr::V4(Ipv4Addr::new(127, 0, 0, host));
        Connection::open(self.address, from).await.unwrap()
    }

    /// SIGKILL, and not a signal that it could notice.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
}

/// A directory in memory, where there is one. What a kill shows does not depend on it, and a disk that others keep busy takes
/// its time for each file that is opened and closed.
pub(crate) fn dir() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}
