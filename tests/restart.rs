//! What a restart must not change: who is in which channel, who owns it, what was not read.

mod support;

use support::client::Client;
use support::server::Server;

const PASSWORD: &str = "correct horse battery";

fn account(server: &Server, name: &str) -> Client {
    let mut client = server.connect();
    client.ok(&format!("REGISTER {name} {PASSWORD}"));
    client
}

/// The lines that LOGIN lists the account's channels with.
fn channels(server: &Server, name: &str) -> Vec<String> {
    let mut answer = server.connect().ask(&format!("LOGIN {name} {PASSWORD}"));
    assert!(answer.pop().is_some_and(|line| line.starts_with("OK LOGIN ")));
    answer
}

fn restarted(mut server: Server) -> Server {
    server.kill();
    server.restart();
    server
}

/// Ana has made #x and left it to Bob.
fn passed_on() -> (Server, Client, Client) {
    let server = Server::start(&[]);
    let mut ana = account(&server, "ana");
    ana.ok("CREATE #x");
    let mut bob = account(&server, "bob");
    bob.ok("JOIN #x");
    ana.ok("LEAVE #x");
    (server, ana, bob)
}

#[test]
fn an_owner_who_has_left_has_left() {
    let (server, _ana, mut bob) = passed_on();
    assert!(bob.event("OWNER ").contains("#x bob:"));
    bob.ok("PING");
    let server = restarted(server);
    assert_eq!(channels(&server, "ana"), Vec::<String>::new());
    assert_eq!(channels(&server, "bob"), [format!("- CHANNEL #x 1 bob:{}", bob.id())]);
}

#[test]
fn who_comes_back_to_a_channel_that_was_passed_on_does_not_own_it() {
    let (server, mut ana, bob) = passed_on();
    ana.ok("JOIN #x");
    let owner = format!("- CHANNEL #x 2 bob:{}", bob.id());
    assert_eq!(ana.ask("CHANNELS")[0], owner);
    assert_eq!(channels(&restarted(server), "ana"), [owner]);
}

#[test]
fn a_guest_who_owns_a_channel_and_registers_owns_it_for_good() {
    let server = Server::start(&[]);
    let mut gina = server.connect();
    gina.ok("CREATE #x");
    let mut bob = server.connect();
    bob.ok("JOIN #x");
    account(&server, "carol").ok("JOIN #x");
    gina.ok("QUIT");
    bob.event("OWNER ");
    bob.ok(&format!("REGISTER bob {PASSWORD}"));
    let server = restarted(server);
    assert_eq!(channels(&server, "carol"), [format!("- CHANNEL #x 2 bob:{}", bob.id())]);
}

#[test]
fn a_channel_and_its_creator_are_there_together() {
    let server = Server::start(&[]);
    let mut ana = account(&server, "ana");
    ana.ok("CREATE #x");
    let mut guest = server.connect();
    guest.ok("MSG ana one");
    guest.ok("MSG ana two");
    ana.ok("INBOX 1");
    let first = ana.ask("INBOX 1")[0].split(' ').nth(2).expect("a seq").to_owned();
    ana.ok(&format!("ACK {first}"));
    let server = restarted(server);
    let mut ana = server.connect();
    assert_eq!(ana.ask(&format!("LOGIN ana {PASSWORD}")).len(), 2, "her channel, and the OK");
    assert!(ana.ask("INBOX")[0].ends_with(" two"));
    ana.ok("TOPIC #x still hers");
}

#[test]
fn what_was_meant_for_a_closed_channel_does_not_reach_its_successor() {
    let server = Server::start(&[]);
    let mut ana = account(&server, "ana");
    ana.ok("CREATE #x");
    ana.ok("SAY #x old");
    ana.ok("CLOSE #x");
    ana.err("SAY #x gone", "NO_SUCH_CHANNEL");
    let mut bob = account(&server, "bob");
    bob.ok("CREATE #x");
    bob.ok("SAY #x new");
    let server = restarted(server);
    let mut bob = server.connect();
    bob.ok(&format!("LOGIN bob {PASSWORD}"));
    let history = bob.ask("HISTORY #x");
    assert_eq!(history.len(), 2);
    assert!(history[0].ends_with(" new"));
}

/// Shares by address are counted, but what lasts tells nobody from where it came.
#[test]
fn the_share_of_an_address_is_forgotten_and_no_address_is_stored() {
    let mut server = Server::start(&["--limit", "channels-per-address=1"]);
    let mut ana = account(&server, "ana");
    ana.ok("CREATE #one");
    ana.ok("MSG ana where is it");
    ana.err("CREATE #two", "QUOTA");
    server.kill();
    let stored: Vec<Vec<u8>> =
        ["journal.db", "journal.db-wal"].iter().filter_map(|name| std::fs::read(server.dir().join(name)).ok()).collect();
    let holds = |text: &str| stored.iter().any(|file| file.windows(text.len()).any(|bytes| bytes == text.as_bytes()));
    assert!(holds("where is it") && !holds("127.0.0.1") && !holds("address"), "no address is on the disk");
    server.restart();
    let mut ana = server.connect();
    ana.ok(&format!("LOGIN ana {PASSWORD}"));
    ana.ok("CREATE #two");
    ana.err("CREATE #three", "QUOTA");
}
