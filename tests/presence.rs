//! What outlives a server of who ignores whom, and of when accounts were last there; and whom a slow reader hears.

mod support;

use rusqlite::{Connection, OpenFlags};
use support::client::Client;
use support::server::Server;

const PASSWORD: &str = "correct horse battery";
/// Everybody logs in from one address here.
const OFTEN: [&str; 4] = ["--limit", "passwords-per-minute=none", "--limit", "passwords-per-address=none"];

fn account(server: &Server, name: &str) -> Client {
    let mut client = server.connect();
    client.ok(&format!("REGISTER {name} {PASSWORD}"));
    client
}

fn log_in(server: &Server, name: &str) -> (Client, String) {
    let mut client = server.connect();
    let ok = client.ok(&format!("LOGIN {name} {PASSWORD}"));
    (client, ok)
}

fn quit(mut client: Client) {
    client.send("QUIT");
    client.rest();
}

#[test]
fn whom_an_account_ignores_outlives_the_server() {
    let mut server = Server::start(&OFTEN);
    let (mut ana, mut bob, mut carol) = (account(&server, "ana"), account(&server, "bob"), account(&server, "carol"));
    ana.ok("CREATE #x");
    bob.ok("JOIN #x");
    bob.ok("SAY #x one");
    bob.ok("MSG ana two");
    ana.ok("IGNORE bob");
    ana.ok("IGNORE carol");
    ana.ok("UNIGNORE carol");
    let stored = bob.ok("MSG @k ana three");
    carol.ok("MSG ana four");
    let ignores = ana.ask("IGNORES");
    assert!(ignores[0].starts_with(&format!("- IGNORED bob:{} ", bob.id())) && ignores.len() == 2, "{ignores:?}");
    server.kill();
    server.restart();
    let (mut ana, ok) = log_in(&server, "ana");
    assert!(ok.ends_with(" 1"), "what bob has sent is not counted: {ok}");
    assert_eq!(ana.ask("IGNORES"), ignores);
    let (mut bob, _) = log_in(&server, "bob");
    assert_eq!(bob.ok("MSG @k ana three"), format!("{stored} dup"));
    bob.ok("MSG ana five");
    bob.ok("SAY #x six");
    let inbox = ana.ask("INBOX");
    assert!(inbox.len() == 2 && inbox[0].ends_with(" four") && inbox[1] == "OK INBOX 1 0", "{inbox:?}");
    assert_eq!(ana.ask("HISTORY #x"), ["OK HISTORY 0"]);
    ana.ok("UNIGNORE bob");
    assert_eq!(ana.ask("HISTORY #x").len(), 3);
    let inbox = ana.ask("INBOX");
    assert!(inbox.len() == 3 && inbox[0].ends_with(" two"), "what was said to nobody stays unheard: {inbox:?}");
}

/// To ignore one changes nothing of how another's messages are counted, not even of those that were retracted.
#[test]
fn what_is_unread_is_counted_alike_with_and_without_an_ignore_list() {
    let server = Server::start(&OFTEN);
    let (mut ana, mut bob, mut carol) = (account(&server, "ana"), account(&server, "bob"), account(&server, "carol"));
    bob.ok("MSG ana one");
    for text in ["two", "three"] {
        let said = bob.ok(&format!("MSG ana {text}"));
        bob.ok(&format!("RETRACT {}", said.split(' ').nth(2).expect("it has a seq")));
    }
    bob.ok("MSG ana four");
    let counted = |ana: &mut Client| [ana.ask("INBOX").pop(), ana.ask("INBOX 1").pop()];
    let before = counted(&mut ana);
    assert_eq!(before, [Some("OK INBOX 2 0".to_owned()), Some("OK INBOX 1 3".to_owned())]);
    quit(ana);
    let (mut ana, ok) = log_in(&server, "ana");
    assert!(ok.ends_with(" 4"), "what was retracted counts until it is acknowledged: {ok}");
    let said = carol.ok("MSG ana five");
    ana.ok("IGNORE carol");
    carol.ok(&format!("RETRACT {}", said.split(' ').nth(2).expect("it has a seq")));
    assert_eq!(counted(&mut ana), before);
    quit(ana);
    let (_, ok) = log_in(&server, "ana");
    assert!(ok.ends_with(" 4"), "{ok}");
}

#[test]
fn when_an_account_was_last_there_outlives_the_server() {
    let mut server = Server::start(&OFTEN);
    quit(account(&server, "ana"));
    let look = |server: &Server| server.connect().ask("WHOIS ana");
    let (first, carol) = (look(&server), account(&server, "carol"));
    assert!(first[0].contains(" offline 2"), "{first:?}");
    server.kill();
    server.restart();
    assert_eq!(look(&server), first);
    // Who was there when the server was killed has at least been there once.
    assert!(server.connect().ask("WHOIS carol")[0].starts_with(&format!("- USER carol:{} offline 2", carol.id())));
    // Whoever comes and goes often leaves no more behind than others.
    for _ in 0..5 {
        quit(log_in(&server, "ana").0);
    }
    assert_ne!(look(&server), first);
    server.kill();
    let store = Connection::open_with_flags(server.dir().join("journal.db"), OpenFlags::SQLITE_OPEN_READ_ONLY);
    let count = "SELECT count(*) FROM entries WHERE event LIKE '{\"seen\":%'";
    assert_eq!(store.expect("there is a store").query_row(count, [], |row| row.get::<_, i64>(0)), Ok(2));
}

/// Much more is unread than a page holds, and little of it is to be heard.
#[test]
fn what_is_heard_is_found_among_much_that_is_not() {
    let server = Server::start(&["--limit", "inbox-per-sender=none", "--limit", "inbox-per-address=none"]);
    let (mut ana, mut bob, mut carol) = (account(&server, "ana"), account(&server, "bob"), account(&server, "carol"));
    ana.ok("CREATE #x");
    bob.ok("JOIN #x");
    carol.ok("JOIN #x");
    let say = |bob: &mut Client, count: usize| {
        bob.write("MSG ana much\nSAY #x much\n".repeat(count).as_bytes());
        (0..2 * count).for_each(|_| assert!(bob.answer().last().is_some_and(|line| line.starts_with("OK "))));
    };
    for number in 0..5 {
        say(&mut bob, 70);
        carol.ok(&format!("MSG ana {number}"));
        carol.ok(&format!("SAY #x {number}"));
    }
    say(&mut bob, 70);
    ana.ok("PING");
    ana.ok("IGNORE bob");
    let texts = |lines: &[String]| -> Vec<String> {
        lines.iter().filter_map(|line| line.split(' ').nth(6)).map(str::to_owned).collect()
    };
    let answer = |client: &mut Client, line: &str| {
        let lines = client.ask(line);
        (texts(&lines), lines.last().cloned().unwrap_or_default())
    };
    let is = |texts: &[&str], ok: &str| (texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>(), ok.to_owned());
    assert_eq!(answer(&mut ana, "INBOX"), is(&["0", "1", "2", "3", "4"], "OK INBOX 5 0"));
    assert_eq!(answer(&mut ana, "INBOX 2"), is(&["0", "1"], "OK INBOX 2 3"));
    assert_eq!(answer(&mut ana, "HISTORY #x"), is(&["0", "1", "2", "3", "4"], "OK HISTORY 5"));
    assert_eq!(answer(&mut ana, "HISTORY #x 2"), is(&["3", "4"], "OK HISTORY 2"));
    assert_eq!(answer(&mut ana, "HISTORY #x 2 since 1"), is(&["0", "1"], "OK HISTORY 2"));
    let (phone, ok) = log_in(&server, "ana");
    assert!(ok.ends_with(" 5"), "{ok}");
    drop(phone);
}
