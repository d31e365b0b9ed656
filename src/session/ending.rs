//! How a session ends that does not end by itself: the server stops, or somebody has ended the connection.
//!
//! It owns nothing. It must never wait for a peer without a deadline.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use crate::clock;
use crate::code::{Code, Refusal};
use crate::limits::FAREWELL_SECONDS;
use crate::session::Session;
use crate::session::socket::Gone;
use crate::wire::{Word, reply};

impl Session {
    /// Somebody has ended the connection: what came before is shown and answered, and then the peer is told why, if it takes
    /// that soon. Whatever else waits for it is not worth a connection.
    pub(super) async fn say_goodbye(&mut self) -> Result<(), Gone> {
        let last = async {
            self.settle().await?;
            self.follow_to_ends().await?;
            let reason = self.farewell.take();
            self.socket.write(|out| reason.iter().for_each(|reason| reply::bye(out, reason)));
            self.flush().await
        };
        let told = tokio::time::timeout(Duration::from_secs(FAREWELL_SECONDS), last).await;
        told.unwrap_or(Err(Gone::Stalled(FAREWELL_SECONDS)))
    }

    /// The server is stopping: answers what was received, and then tells the peer. A peer that never pauses is cut off in time.
    pub(super) async fn stop(&mut self) -> Result<(), Gone> {
        let deadline = clock::now() + Duration::from_secs(self.shared.limits.shutdown_seconds) / 2;
        loop {
            self.throttled_until = None;
            let took_all = poll_fn(|context| Poll::Ready(self.take_lines(context))).await?;
            if let Some(line) = self.slow.take() {
                self.execute_slow(&line).await?;
            }
            self.settle().await?;
            self.flush().await?;
            if took_all || self.ending.is_some() {
                break;
            }
            if clock::now() >= deadline {
                let text = "the server is stopping; this line and those after it were not executed";
                self.refuse(Word::NONE, &Refusal::new(Code::ShuttingDown, text));
                break;
            }
        }
        self.socket.write(reply::shutdown);
        self.flush().await
    }
}
