//! Accepting that does not give up.

use std::io;
use std::time::Duration;

use super::{Address, Listener};

/// The next connection. Errors are waited out: they end neither the loop nor the process.
pub(super) async fn accept<L: Listener>(listener: &mut L) -> (L::Io, Address) {
    let mut pause = FIRST_PAUSE;
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            // Of one caller that has gone already.
            Err(error) if is_of_the_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, pause_ms = pause.as_millis(), "accepting a connection failed");
                tokio::time::sleep(pause).await;
                pause = LONGEST_PAUSE.min(pause * 2);
            }
        }
    }
}

fn is_of_the_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}

const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use tokio::io::DuplexStream;
    use tokio::time::Instant;

    use super::*;

    /// Fails as listed, then accepts.
    struct Failing(Vec<io::ErrorKind>);

    impl Listener for Failing {
        type Io = DuplexStream;

        async fn accept(&mut self) -> io::Result<(DuplexStream, Address)> {
            match self.0.pop() {
                Some(kind) => Err(kind.into()),
                None => Ok((tokio::io::duplex(1).0, Address::Unix(None))),
            }
        }

        fn local_addr(&self) -> io::Result<Address> {
            Ok(Address::Unix(None))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn errors_of_the_process_are_waited_out_with_growing_pauses() {
        let began = Instant::now();
        accept(&mut Failing(vec![io::ErrorKind::Other; 10])).await;
        // 10 + 20 + 40 + 80 + 160 + 320 + 640 + 3 x 1000 ms
        let waited = began.elapsed().as_millis();
        assert!((4270..4290).contains(&waited), "{waited} ms");
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_went_away_costs_no_pause() {
        let began = Instant::now();
        accept(&mut Failing(vec![io::ErrorKind::ConnectionAborted; 5])).await;
        assert_eq!(began.elapsed(), Duration::ZERO);
    }
}
