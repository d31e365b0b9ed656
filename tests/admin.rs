//! The operator's side: `linechat admin` speaks to a real server over its socket, and people notice.

#[path = "admin/socket.rs"]
mod socket;
mod support;

use std::net::Ipv4Addr;
use std::process::Command;

use support::admin::{done, refused, rows};
use support::client::{Client, stream_from};
use support::cluster::{Brokers, Cluster, LIMITS};
use support::raw::Raw;
use support::server::Server;
use support::wait::until;

const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// The last line of a connection that ends.
fn last(client: Client) -> String {
    client.rest().pop().expect("it is told something")
}

#[test]
fn the_operator_sees_how_the_server_is_and_who_is_there() {
    let server = Server::start(&[]);
    let (mut ana, bob) = (server.connect(), Client::connect_from(ELSEWHERE, server.address()));
    ana.ok("REGISTER ana correct horse battery");
    ana.ok("CREATE #rust");
    ana.ok("TOPIC #rust The borrow checker");
    let status = done(&server, &["status"]);
    let has = |name: &str, value: &str| rows(&status).contains(&vec![name, value]);
    assert!(
        has("connections", "2") && has("accounts", "1") && has("durable", "fsync") && has("registration", "open"),
        "{status}"
    );
    let connections = done(&server, &["connections"]);
    let seen: Vec<_> = rows(&connections).into_iter().map(|row| row[..4].join(" ")).collect();
    let expected = [
        format!("{id} ana:{id} account 127.0.0.1", id = ana.id()),
        format!("{id} guest-{id}:{id} guest 127.0.0.2", id = bob.id()),
    ];
    assert_eq!(seen, expected);
    assert_eq!(rows(&done(&server, &["connections", "127.0.0.2"])).len(), 1, "by address");
    assert_eq!(rows(&done(&server, &["connections", "AN?"])).len(), 1, "by name");
    assert!(done(&server, &["accounts", "list"]).contains(&format!("ana:{}  1            1         0       -", ana.id())));
    assert!(done(&server, &["channels", "list", "r*"]).contains("The borrow checker"));
    let json = done(&server, &["--json", "channels", "list"]);
    let channel: serde_json::Value = serde_json::from_str(json.trim()).expect("it is JSON");
    assert_eq!((channel["channel"].as_str(), channel["members"].as_u64()), (Some("#rust"), Some(1)));
    let json = done(&server, &["--json", "status"]);
    let status: serde_json::Value = serde_json::from_str(json.trim()).expect("it is one object");
    assert_eq!((status["connections"].as_u64(), status["durable"].as_str()), (Some(2), Some("fsync")));
    assert!(status["buffered_bytes"].is_number() && status["version"] == env!("CARGO_PKG_VERSION"), "{status}");
}

#[test]
fn whoever_is_disconnected_is_told_why_and_everybody_else_that_they_have_gone() {
    let server = Server::start(&[]);
    let (mut ana, mut bob) = (server.connect(), server.connect());
    ana.ok("CREATE #rust");
    bob.ok("JOIN #rust");
    ana.event("JOIN ");
    let id = bob.id().to_string();
    assert_eq!(done(&server, &["disconnect", &id, "please", "read", "the", "rules"]), format!("ended 1 connections of {id}\n"));
    assert_eq!(last(bob), "* BYE the operator has ended this connection: please read the rules");
    let left = ana.event("LEAVE ");
    assert!(left.ends_with(" disconnected"), "{left}");
    assert!(refused(&server, &["disconnect", &id]).contains(&format!("there is no connection {id}")));
    ana.ok("REGISTER ana correct horse battery");
    let mut phone = server.connect();
    phone.ok("LOGIN ana correct horse battery");
    assert_eq!(done(&server, &["disconnect", "ana"]), format!("ended 2 connections of ana:{}\n", ana.id()));
    for client in [ana, phone] {
        assert_eq!(last(client), "* BYE the operator has ended this connection");
    }
    let refusal = refused(&server, &["disconnect", "carol"]);
    assert!(
        refusal.contains("there is no user carol") && refusal.contains("; 'linechat admin connections' shows"),
        "{refusal}"
    );
}

/// Answers that were due come before the goodbye.
#[test]
fn what_was_sent_before_is_answered_before_the_goodbye() {
    let server = Server::start(&[]);
    let mut ana = server.connect();
    let id = ana.id().to_string();
    (0..200).for_each(|number| ana.send(&format!("MSG {id} {number}")));
    done(&server, &["disconnect", &id]);
    let lines = ana.rest();
    let (last, rest) = lines.split_last().expect("there is a goodbye");
    assert_eq!(last, "* BYE the operator has ended this connection");
    assert!(rest.iter().all(|line| line.starts_with("OK MSG ") || line.starts_with("ERR UNAVAILABLE MSG ")), "{rest:?}");
}

/// Nobody stays because they do not listen.
#[test]
fn whoever_takes_nothing_is_cut_off() {
    let server = Server::start(&["--limit", "stalled-seconds=none"]);
    let deaf = Raw::connect_narrowly(server.address());
    let _writing = deaf.write_beside("HELP\n".repeat(100_000).into());
    let buffered = || {
        let status = done(&server, &["status"]);
        rows(&status).iter().find(|row| row[0] == "buffered-bytes").and_then(|row| row[1].parse().ok()).unwrap_or(0)
    };
    until("it leaves what it was sent", || (buffered() > 10_000_u64).then_some(()));
    let mut ana = server.connect();
    let there = || rows(&done(&server, &["connections"])).len();
    assert_eq!(there(), 2);
    done(&server, &["notice", "this wakes it once, in vain"]);
    done(&server, &["disconnect", &(ana.id() - 1).to_string()]);
    assert_eq!(there(), 1, "for everybody else it is gone at once");
    ana.ok("PING");
    until("its socket is closed", || (!is_open(server.address().port(), deaf.port())).then_some(()));
}

/// Whether a process has the socket at `own` port, whose peer has the other.
fn is_open(own: u16, peer: u16) -> bool {
    let sockets = std::fs::read_to_string("/proc/net/tcp").expect("there is a list of sockets");
    let mut rows = sockets.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    let is_it = |row: &Vec<&str>| row[1].ends_with(&format!(":{own:04X}")) && row[2].ends_with(&format!(":{peer:04X}"));
    rows.any(|row| is_it(&row) && row[9] != "0")
}

#[test]
fn a_banned_network_is_shut_out_for_as_long_as_the_operator_says() {
    let server = Server::start(&[]);
    let (mut ana, bob) = (server.connect(), Client::connect_from(ELSEWHERE, server.address()));
    let said = done(&server, &["ban", "127.0.0.2/31", "--for", "2h", "--reason", "a flood"]);
    assert!(said.starts_with("banned 127.0.0.2/31 until 2") && said.ends_with("; 1 connections were ended\n"), "{said}");
    let told = bob.rest();
    assert!(told.len() == 1 && told[0].starts_with("* BYE your address is banned from this server until 2"), "{told:?}");
    assert!(told[0].ends_with(": a flood"));
    let turned_away = Client::connect_from_silently(Ipv4Addr::new(127, 0, 0, 3), server.address()).rest();
    assert!(
        turned_away.len() == 1 && turned_away[0].starts_with("ERR NOT_ALLOWED - your address is banned"),
        "{turned_away:?}"
    );
    ana.ok("PING");
    assert!(Client::if_let_in(stream_from(Ipv4Addr::new(127, 0, 0, 4), server.address())).is_some(), "it is another network");
    let bans = done(&server, &["bans"]);
    assert!(bans.contains("127.0.0.2/31") && bans.contains("a flood"), "{bans}");
    assert!(refused(&server, &["unban", "127.0.0.2"]).contains("127.0.0.2/32 is not banned"));
    assert_eq!(done(&server, &["unban", "127.0.0.2/31"]), "127.0.0.2/31 is banned no more\n");
    Client::connect_from(ELSEWHERE, server.address());
    done(&server, &["ban", "127.0.0.2", "--for", "1s"]);
    until("it is over", || Client::if_let_in(stream_from(ELSEWHERE, server.address())));
    assert_eq!(rows(&done(&server, &["bans"])).len(), 0, "what is over is not listed");
}

#[test]
fn a_banned_account_is_told_at_login_and_not_before_the_right_password() {
    let mut server = Server::start(&[]);
    let mut ana = server.connect();
    ana.ok("REGISTER ana correct horse battery");
    let id = ana.id();
    assert_eq!(
        done(&server, &["ban", "ana", "--reason", "for good reason"]),
        format!("banned ana:{id} for ever; 1 connections were ended\n")
    );
    let goodbye = format!("ana:{id} is banned from this server: for good reason");
    assert_eq!(ana.rest(), [format!("* BYE {goodbye}")]);
    server.kill();
    server.restart();
    let mut again = server.connect();
    assert_eq!(
        again.err("LOGIN ana wrong horse battery", "LOGIN_FAILED"),
        "ERR LOGIN_FAILED LOGIN the name or the password is wrong"
    );
    assert_eq!(again.err("LOGIN ana correct horse battery", "NOT_ALLOWED"), format!("ERR NOT_ALLOWED LOGIN {goodbye}"));
    assert!(done(&server, &["accounts", "list"]).trim_end().ends_with("banned"));
    done(&server, &["unban", "ana"]);
    again.ok("LOGIN ana correct horse battery");
    assert!(refused(&server, &["ban", "guest-1"]).contains("there is no user guest-1"));
    let guest = server.connect();
    assert!(refused(&server, &["ban", guest.name()]).contains("is a guest; a guest is banned by address"));
}

#[test]
fn an_account_is_reset_or_removed() {
    let server = Server::start(&["--limit", "passwords-per-minute=100"]);
    let mut ana = server.connect();
    ana.ok("REGISTER ana correct horse battery");
    let token = ana.ok("TOKEN NEW script").split(' ').next_back().expect("it has a last word").to_owned();
    let said = done(&server, &["accounts", "reset", "ana"]);
    let password = said.lines().next().and_then(|line| line.rsplit(' ').next()).expect("it is shown").to_owned();
    assert_eq!(ana.rest(), ["* BYE the operator has reset the password of the account"]);
    let mut again = server.connect();
    again.err("LOGIN ana correct horse battery", "LOGIN_FAILED");
    again.err(&format!("LOGIN {token}"), "LOGIN_FAILED");
    again.ok(&format!("LOGIN ana {password}"));
    again.ok(&format!("PASSWD {password} -> battery staple"));
    again.ok("CREATE #rust");
    let said = done(&server, &["accounts", "remove", "ana", "--reason", "as she asked"]);
    assert!(said.starts_with("removed ana:"), "{said}");
    assert_eq!(last(again), "* BYE the operator has removed the account: as she asked");
    let mut other = server.connect();
    other.err("LOGIN ana battery staple", "LOGIN_FAILED");
    other.ok("NAME ana");
    assert!(refused(&server, &["accounts", "remove", "ana"]).contains("is a guest; a guest has no account"));
}

#[test]
fn a_channel_is_given_or_closed() {
    let server = Server::start(&[]);
    let (mut ana, mut bob) = (server.connect(), server.connect());
    ana.ok("NAME ana");
    ana.ok("CREATE #rust");
    bob.ok("NAME bob");
    assert!(refused(&server, &["channels", "give", "#rust", "bob"]).contains("is not in #rust; only members can own it"));
    bob.ok("JOIN #rust");
    done(&server, &["channels", "give", "#rust", "bob"]);
    assert!(ana.event("OWNER ").contains(&format!("#rust bob:{} ", bob.id())));
    assert_eq!(done(&server, &["channels", "close", "#rust", "--reason", "spam"]), "closed #rust, which had 2 members\n");
    assert!(bob.event("CLOSE ").starts_with("* CLOSE #rust operator:0 "), "nobody has that name or that id");
    bob.err("SAY #rust hi", "NO_SUCH_CHANNEL");
    let refusal = refused(&server, &["channels", "close", "#rust"]);
    assert!(refusal.ends_with("there is no channel #rust; 'linechat admin channels list' shows them\n"), "{refusal}");
}

#[test]
fn everybody_reads_a_notice() {
    let server = Server::start(&[]);
    let mut people = [server.connect(), server.connect()];
    assert_eq!(done(&server, &["notice", "at two", "the server  moves"]), "everybody was told\n");
    for person in &mut people {
        let line = person.line();
        assert!(line.starts_with("* NOTICE 2") && line.ends_with("Z at two the server  moves"), "{line}");
    }
}

#[test]
fn each_act_is_noted_with_who_when_and_why_and_outlives_the_server() {
    let mut server = Server::start(&[]);
    server.connect().ok("REGISTER ana correct horse battery");
    done(&server, &["ban", "10.0.0.0/8", "--reason", "a flood"]);
    done(&server, &["notice", "sorry for the noise"]);
    done(&server, &["accounts", "reset", "ana"]);
    done(&server, &["invite", "--uses", "3"]);
    refused(&server, &["unban", "10.0.0.0/9"]);
    server.kill();
    server.restart();
    let whoami = Command::new("id").arg("-un").output().expect("id runs");
    let me = String::from_utf8_lossy(&whoami.stdout).trim().to_owned();
    let log = done(&server, &["--json", "log"]);
    let acts: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).expect("it is JSON")).collect();
    let told: Vec<_> = acts.iter().map(|act| (act["act"].as_str().expect("it has an act"), act["reason"].as_str())).collect();
    assert_eq!(told[..2], [("BAN 10.0.0.0/8", Some("a flood")), ("NOTICE sorry for the noise", None)]);
    assert!(told[2].0.starts_with("RESET ana:") && told[3].0.starts_with("INVITE 3 until "), "{told:?}");
    assert_eq!(told.len(), 4, "what was refused was not done");
    assert!(acts.iter().all(|act| act["by"] == me.as_str() && act["time"].as_str().is_some_and(|time| time.ends_with('Z'))));
    assert_eq!(rows(&done(&server, &["log", "-n", "1"])).len(), 1);
    assert!(done(&server, &["bans"]).contains("10.0.0.0/8"), "the ban is still there, too");
}

#[test]
fn who_may_register_is_the_operators_to_say() {
    let open = Server::start(&[]);
    open.connect().ok("REGISTER @any-code ana correct horse battery");
    let closed = Server::start(&["--registration", "closed"]);
    let mut ana = closed.connect();
    assert!(ana.ok("CAPS").contains(" registration=closed"));
    assert!(ana.err("REGISTER ana correct horse battery", "NOT_ALLOWED").contains("nobody can register here"));
    let invite = Server::start(&["--registration", "invite"]);
    let mut people = [invite.connect(), invite.connect(), invite.connect()];
    let [ana, bob, carol] = &mut people;
    assert!(ana.err("REGISTER ana correct horse battery", "NOT_ALLOWED").contains("REGISTER @code name password"));
    assert!(
        ana.err("REGISTER @wrong ana correct horse battery", "NOT_ALLOWED").contains("that code is wrong, used up, or over")
    );
    let said = done(&invite, &["--json", "invite", "--uses", "2", "--for", "1h"]);
    let said: serde_json::Value = serde_json::from_str(said.trim()).expect("it is JSON");
    assert!(said["uses"] == 2 && said["until"].as_str().is_some_and(|until| until.ends_with('Z')), "{said}");
    let code = said["code"].as_str().expect("it is shown").to_owned();
    ana.ok(&format!("REGISTER @{code} ana correct horse battery"));
    bob.err(&format!("REGISTER @{code} ana correct horse battery"), "NAME_TAKEN");
    bob.ok(&format!("REGISTER @{code} bob correct horse battery"));
    carol.err(&format!("REGISTER @{code} carol correct horse battery"), "NOT_ALLOWED");
    let said = done(&invite, &["invite", "--for", "1s"]);
    let code = said.lines().next().and_then(|line| line.rsplit(' ').next()).expect("it is shown").to_owned();
    until("it is over", || {
        // With a name that nobody may have it is not used up.
        let answer = invite.connect().ask(&format!("REGISTER @{code} server correct horse battery"));
        answer[0].starts_with("ERR NOT_ALLOWED ").then_some(())
    });
}

#[test]
fn what_an_operator_does_at_one_server_holds_at_all_on_a_cluster() {
    let Some(brokers) = Brokers::start(1) else { return };
    let cluster = Cluster::start(&brokers, "admin", &LIMITS);
    let (here, there) = (&cluster.nodes[0], &cluster.nodes[1]);
    let mut ana = there.connect();
    ana.ok("REGISTER ana correct horse battery");
    let token = ana.ok("TOKEN NEW script inbox").split(' ').next_back().expect("it has a last word").to_owned();
    let mut script = here.connect();
    script.ok(&format!("LOGIN {token}"));
    done(here, &["notice", "hello to both"]);
    assert!(ana.event("NOTICE ").ends_with(" hello to both") && script.event("NOTICE ").ends_with(" hello to both"));
    done(there, &["ban", "ana", "--for", "1h"]);
    assert!([last(ana), last(script)].iter().all(|line| line.contains(" is banned from this server until ")));
    let mut again = here.connect();
    again.err("LOGIN ana correct horse battery", "NOT_ALLOWED");
    again.err(&format!("LOGIN {token}"), "NOT_ALLOWED");
    done(here, &["ban", "127.0.0.2"]);
    until("it holds there too", || Client::if_let_in(stream_from(ELSEWHERE, there.address())).is_none().then_some(()));
    assert_eq!(done(here, &["log"]), done(there, &["log"]));
}

/// The page's commands, in its order, at a server where there are such people.
#[test]
fn the_commands_of_the_page_are_those_that_there_are() {
    let page = include_str!("../scripts/package/OPERATING.md");
    let (_, section) = page.split_once("\n## The operator's commands\n").expect("there is a section");
    let commands = section.split("```bash\n").nth(1).and_then(|rest| rest.split("```").next()).expect("it shows commands");
    let server = Server::start(&[]);
    let mut people: Vec<_> = (0..4).map(|_| server.connect()).collect();
    people[0].ok("REGISTER nina correct horse battery");
    people[0].ok("CREATE #rust");
    assert_eq!(people[3].id(), 1003);
    for command in commands.lines() {
        let typed = command.replacen("linechat", env!("CARGO_BIN_EXE_linechat"), 1);
        let mut bash = Command::new("bash");
        let output = bash.args(["-c", &typed]).env("STATE_DIRECTORY", server.dir()).output().expect("bash runs");
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success() && !said.is_empty(), "{command}: {said}");
    }
    let help = Command::new(env!("CARGO_BIN_EXE_linechat")).args(["admin", "--help"]).output().expect("it runs");
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    let verbs = help.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next()).filter(|verb| !verb.is_empty());
    let missing: Vec<_> = verbs.filter(|verb| !verb.starts_with('-') && *verb != "help").collect();
    let missing: Vec<_> = missing.into_iter().filter(|verb| !commands.contains(&format!(" {verb}"))).collect();
    assert!(missing.is_empty() && help.contains("disconnect"), "the page does not show {missing:?}");
}
