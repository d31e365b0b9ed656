//! The seams that simulations stand on: a session speaks over whatever can read and write, an order takes its time from a clock
//! of the test's own, and neither needs a network.

#[path = "support/pipe.rs"]
mod pipe;

use pipe::{connect, shared};

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
