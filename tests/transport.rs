//! The seams that simulations stand on: a session speaks over whatever can read and write, an order takes its time from a clock
//! of the test's own, and neither needs a network.

#[path = "support/pipe.rs"]
mod pipe;

use std::sync::Arc;

use linechat::hub::News;
use linechat::replica::Outlet;
use pipe::{connect, shared, shared_with};
use tokio::sync::{Mutex, mpsc};

#[tokio::test]
async fn a_conversation_needs_no_network_and_goes_by_a_clock_of_its_own() {
    let shared = shared();
    let (ana, bob) = (connect(&shared), connect(&shared));
    ana.lines_until("* HELLO ").await;
    bob.lines_until("* HELLO ").await;
    ana.types("NAME ana");
    assert_eq!(ana.lines_until("OK ").await, ["OK NAME ana:1000"]);
    ana.types("CREATE #rust");
    ana.lines_until("OK CREATE").await;
    bob.types("JOIN #rust");
    bob.lines_until("OK JOIN").await;
    bob.types("SAY #rust hi");
    bob.lines_until("OK SAY").await;
    let said = ana.lines_until("* MSG").await.pop().expect("it was said");
    assert!(said.contains(" 1999-12-31T12:") && said.ends_with(" #rust guest-1001:1001 hi"), "{said}");
    ana.types("QUIT");
    assert_eq!(ana.lines_until("OK QUIT").await, ["OK QUIT bye"]);
    let left = bob.lines_until("* OWNER").await;
    assert!(
        left[0].starts_with("* LEAVE #rust ana:1000 ") && left[1].starts_with("* OWNER #rust guest-1001:1001 "),
        "{left:?}"
    );
    while !ana.is_ended() {
        tokio::task::yield_now().await;
    }
}

/// A message can be read from the store a moment before its readers are woken. What PING promises holds in that moment, too.
#[tokio::test]
async fn ping_comes_after_a_message_that_a_page_has_shown_already() {
    let gate = Arc::new(Mutex::new(()));
    let (tell, mut told) = mpsc::channel::<Vec<News>>(8);
    let passage = Arc::clone(&gate);
    let shared = shared_with(|hub| {
        let hub = Arc::clone(hub);
        tokio::spawn(async move {
            while let Some(mut news) = told.recv().await {
                let _open = passage.lock().await;
                hub.tell(&mut news);
            }
        });
        Outlet::Channel(tell)
    });
    let (ana, bob) = (connect(&shared), connect(&shared));
    ana.lines_until("* HELLO ").await;
    bob.lines_until("* HELLO ").await;
    ana.types("CREATE #rust");
    ana.lines_until("OK CREATE").await;
    bob.types("JOIN #rust");
    bob.lines_until("OK JOIN").await;
    let closed = gate.lock().await;
    ana.types("SAY #rust hi");
    let mut page = Vec::new();
    while page.len() < 2 {
        bob.types("HISTORY #rust");
        page = bob.lines_until("OK HISTORY").await;
    }
    assert!(page[0].starts_with("- MSG ") && page[0].ends_with(" hi"), "{page:?}");
    bob.types("PING");
    // Everybody has had their turn: whoever does not wait has answered.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    drop(closed);
    let shown = bob.lines_until("OK PING").await;
    assert!(shown.len() == 2 && shown[0].starts_with("* MSG ") && shown[0].ends_with(" hi"), "{shown:?}");
}
