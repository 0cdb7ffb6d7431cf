//! One process per service: the same binary with `--role`.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command};

/// Ends its process when the test ends, however it ends.
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn spawn(command: &mut Command) -> Self {
        Self(command.spawn().unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A service that is about to run.
pub(crate) fn role(role: &str, version: &str, listen: SocketAddr, config: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bookinfo"));
    command.args(["--role", role, "--version", version, "--listen", &listen.to_string()]);
    command.arg("--config").arg(config).env("RUST_LOG", "error,tower_http=off");
    command
}

/// Free a moment ago; the process is to bind it.
pub(crate) fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
