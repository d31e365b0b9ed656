//! A whole session, from bytes to bytes, without a network: whatever a peer sends, each command is answered once, every line is
//! clean, and the session ends when the peer does.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use linechat::limits::WAIT_SECONDS_MAX;
use linechat::replica::Outlet;
use linechat::search;
use linechat::session::{Passwords, Shared};
use linechat::store::{self, Backend, Presence, Reader, Store};
use linechat::wire::{Back, LineDecoder, Next, parse};
use tempfile::TempDir;

use super::text::assert_clean;
use crate::json::as_text;
use crate::pipe::{connect, parts};

/// Longer than anybody waits for anything.
const LONGEST: Duration = Duration::from_secs(2 * WAIT_SECONDS_MAX);

/// How many of these bytes' lines are answered if nothing ends the conversation early.
fn answered(bytes: &[u8]) -> usize {
    let (mut decoder, mut input, mut count) = (LineDecoder::default(), bytes, 0);
    loop {
        count += match decoder.next(&mut input, &mut Back::default()) {
            Next::Line(line) => usize::from(!matches!(parse(line), Ok(None))),
            Next::TooLong | Next::Flood => 1,
            Next::End => return count + usize::from(decoder.is_partial()),
            Next::More => return count + usize::from(decoder.is_partial()),
        };
    }
}

/// The bytes without telnet's answers, each of which has three.
fn without_telnet(bytes: &[u8]) -> Vec<u8> {
    let mut lines = Vec::new();
    let mut rest = bytes.iter();
    while let Some(&byte) = rest.next() {
        if byte == 255 {
            rest.nth(1);
        } else {
            lines.push(byte);
        }
    }
    lines.retain(|&byte| byte != b'\r');
    lines
}

/// Everything that a session sends to a peer who sends this and then closes its side. Time passes only where everybody waits for it;
/// the server stops once nothing comes any more, or whoever FOLLOWs would stay for ever.
fn talk<B: Backend + 'static>(data: &[u8], open: impl FnOnce() -> (Store<B>, Arc<dyn Reader>)) -> Vec<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
    runtime.block_on(async {
        let parts = parts(open(), |hub| Outlet::Hub(Arc::clone(hub)));
        let (search, follower) = search::open(Arc::clone(&parts.reader), None);
        let passwords = Passwords::simulated(&parts.limits);
        let shared = Arc::new(Shared { search, passwords, ..parts });
        let following = tokio::spawn(follower.run());
        let pipe = connect(&shared);
        pipe.sends(data);
        pipe.ends();
        let everything = async {
            let (mut everything, mut before) = (pin!(pipe.everything()), None);
            loop {
                // A moment that passes only once nobody has anything to do.
                match tokio::time::timeout(Duration::from_millis(1), &mut everything).await {
                    Ok(everything) => return everything,
                    Err(_) if before == Some(pipe.waiting()) => {
                        shared.stopping.cancel();
                        shared.hub.wake_all();
                    }
                    Err(_) => {
                        before = Some(pipe.waiting());
                        tokio::time::advance(LONGEST).await;
                    }
                }
            }
        };
        let everything = everything.await;
        shared.search.close();
        following.await.expect("the index does not fail");
        everything
    })
}

/// The lines of what a session has sent, as if nobody had asked for JSON.
fn lines(sent: &[u8]) -> String {
    let bytes = without_telnet(sent);
    assert_clean(&bytes);
    let text = String::from_utf8(bytes).expect("it is clean");
    text.lines().map(|line| as_text(line).into_owned() + "\n").collect()
}

fn judge(data: &[u8], sent: &[u8]) {
    let text = lines(sent);
    assert_clean(text.as_bytes());
    let starts = |start: &str| text.lines().filter(|line| line.starts_with(start)).count();
    let answers = starts("OK ") + starts("ERR ");
    assert_eq!(answers + starts("* ") + starts("- "), text.lines().count(), "every line says what it is: {text:?}");
    assert_eq!(starts("ERR INTERNAL"), 0, "nothing fails: {text:?}");
    let sniffed = ["this port speaks plain lines", "this is not a web server", "this looks like a header"];
    let is_another_protocol = sniffed.iter().any(|said| text.contains(said));
    let is_cut_short = is_another_protocol || starts("OK QUIT") + starts("* BYE") + starts("ERR TOO_LONG") > 0;
    let expected = answered(data);
    assert!(answers == expected || (is_cut_short && answers <= expected + 1), "{answers} answers to {expected}: {text:?}");
}

/// The bytes are everything that the peer sends before it closes its side.
pub fn check(data: &[u8]) {
    judge(data, &talk(data, || store::open_memory(1 << 20, Presence::Forgotten)));
}

/// The same with a store on a disk, which then can be opened again.
pub fn check_on_disk(data: &[u8]) {
    let directory = TempDir::with_prefix("linechat-fuzz-").expect("a directory");
    judge(data, &talk(data, || store::open_disk(directory.path(), Presence::Forgotten).expect("the store opens")));
    crate::store::Store::disk(directory.path()).expect("what was stored can be loaded");
}
