//! Accounts over real TCP: tokens and their scopes, passwords that change, and accounts that end.

mod support;

use std::collections::BTreeSet;

use linechat::event::Needs;
use linechat::wire::parse;
use linechat::wire::verbs::VERBS;
use rusqlite::{Connection, OpenFlags};
use support::admin::done;
use support::client::Client;
use support::server::Server;
use support::wait::until;

/// An account, of a server, that is in #ops and #tea.
fn ana(server: &Server) -> Client {
    let mut ana = server.connect();
    ana.ok("REGISTER ana correct horse battery");
    ana.ok("CREATE #ops");
    ana.ok("CREATE #tea");
    ana
}

/// Makes a token and returns it.
fn token(ana: &mut Client, what: &str) -> String {
    ana.ok(&format!("TOKEN NEW {what}")).split(' ').next_back().expect("it has a last word").to_owned()
}

fn login(server: &Server, token: &str) -> Client {
    let mut script = server.connect();
    script.ok(&format!("LOGIN {token}"));
    script
}

/// What somebody is shown of all that has happened before now.
fn shown(client: &mut Client) -> Vec<String> {
    client.send("PING");
    std::iter::from_fn(|| Some(client.line()).filter(|line| line != "OK PING")).collect()
}

/// Nobody is told that a script comes and goes: they are told what it says.
#[test]
fn a_visit_of_a_script_is_one_line() {
    let server = Server::start(&["--limit", "announce-after-seconds=0"]);
    let (mut ana, mut bob) = (ana(&server), server.connect());
    let token = token(&mut ana, "ci");
    bob.ok("JOIN #ops");
    login(&server, &token).ok("SAY #ops while ana is there");
    assert!(bob.event("MSG ").ends_with(" while ana is there"));
    ana.ok("QUIT");
    assert!(bob.event("LEAVE #ops ana:").ends_with(" offline"));
    let mut script = login(&server, &token);
    script.ok("SAY #ops build 311 passed");
    script.ok("QUIT");
    let seen = shown(&mut bob);
    assert!(seen.len() == 1 && seen[0].ends_with(" build 311 passed"), "{seen:?}");
    // A script stays, and Ana comes and goes as if it were not there.
    let mut script = login(&server, &token);
    let mut ana = server.connect();
    ana.ok("LOGIN ana correct horse battery");
    bob.event("JOIN #ops ana:");
    ana.ok("QUIT");
    bob.event("LEAVE #ops ana:");
    script.ok("QUIT");
    assert_eq!(shown(&mut bob), Vec::<String>::new());
}

/// Nor are they told of whoever comes with the password and goes at once. Whoever stays, they are.
#[test]
fn an_account_is_announced_once_it_has_been_there_for_a_while() {
    for (seconds, is_told) in [("3600", false), ("1", true)] {
        let server = Server::start(&["--limit", &format!("announce-after-seconds={seconds}")]);
        let (mut ana, mut bob) = (ana(&server), server.connect());
        bob.ok("JOIN #ops");
        ana.ok("QUIT");
        assert!(bob.event("LEAVE #ops ana:").ends_with(" offline"));
        let come = || {
            let mut ana = server.connect();
            ana.ok("LOGIN ana correct horse battery");
            ana
        };
        let (mut ana, mut phone) = (come(), come());
        if is_told {
            bob.event("JOIN #ops ana:");
            assert_eq!(shown(&mut ana), Vec::<String>::new(), "she knows");
            phone.event("JOIN #ops ana:");
            ana.ok("QUIT");
            phone.ok("QUIT");
            assert!(bob.event("LEAVE #ops ana:").ends_with(" offline"));
        } else {
            ana.ok("SAY #ops here in a minute");
            ana.ok("QUIT");
            phone.ok("QUIT");
            let seen = shown(&mut bob);
            assert!(seen.len() == 1 && seen[0].ends_with(" here in a minute"), "{seen:?}");
            // Where she is new, they are shown that she joins, and so that she goes.
            bob.ok("CREATE #new");
            come().ok("JOIN #new");
            bob.event("JOIN #new ana:");
            assert!(bob.event("LEAVE #new ana:").ends_with(" offline"));
        }
        assert_eq!(shown(&mut bob), Vec::<String>::new());
    }
}

/// Each line of PROTOCOL.md's table of scopes, whatever else may be said of it, is refused to a token that is not for it.
#[test]
fn what_a_token_is_not_for_is_not_allowed_whatever_the_verb() {
    let server = Server::start(&["--limit", "commands-per-second=none"]);
    let mut ana = ana(&server);
    let page = include_str!("../grammar/PROTOCOL.md");
    let (_, table) = page.split_once("| scope | what it allows |\n|---|---|\n").expect("the table of scopes");
    let rows = table.lines().take_while(|line| line.starts_with('|')).map(|row| row.split('|').nth(2).unwrap_or_default());
    let lines: Vec<&str> = rows.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    let mut verbs = BTreeSet::new();
    for (label, scopes, may) in [
        ("say", "say:#ops", "SAY"),
        ("read", "read:#ops", "READ"),
        ("inbox", "inbox", "INBOX"),
        ("other", "say:#tea read:#tea say:bob", "NOTHING"),
    ] {
        let secret = token(&mut ana, &format!("{label} {scopes}"));
        for line in lines.iter().filter(|line| **line != "QUIT") {
            let command = parse(line.as_bytes()).expect("it parses").expect("it is not empty");
            verbs.insert(command.verb());
            let is_for = match command.needs() {
                Needs::Nothing => !line.starts_with("MSG") || (may == "SAY" && *line == "MSG #ops hi"),
                Needs::SayIn(_) => may == "SAY",
                Needs::Read(_) => may == "READ",
                Needs::Inbox => may == "INBOX",
                Needs::Everything | Needs::Password | Needs::SayTo(_) => false,
            };
            // What may end the connection, or answers when something has happened, is asked on one of its own.
            if is_for && matches!(command.verb(), "WAIT" | "FOLLOW" | "FORMAT") {
                continue;
            }
            let mut script = login(&server, &secret);
            let answer = script.ask(line).pop().expect("it is answered");
            let refused = answer.starts_with(&format!("ERR NOT_ALLOWED {} the token {label} ", command.verb()));
            // There is no nina, so nobody can say whether a token would be for her.
            let is_nobody = *line == "MSG nina hi" && answer.starts_with("ERR NO_SUCH_USER");
            assert!(refused != is_for || is_nobody, "{scopes}: {line}: {answer}");
            script.ok("QUIT");
        }
    }
    assert!(VERBS.iter().all(|verb| verb.name == "QUIT" || verbs.contains(verb.name)), "{verbs:?}");
}

#[test]
fn a_token_without_scopes_is_for_all_but_the_account_itself() {
    let server = Server::start(&[]);
    let mut ana = ana(&server);
    let mut script = login(&server, &token(&mut ana, "all"));
    for line in ["LIST", "CHANNELS", "CREATE #attic", "CLOSE #attic", "INBOX", "SAY #ops hi"] {
        script.ok(line);
    }
    for line in
        ["PASSWD correct horse battery -> battery staple", "TOKEN NEW other", "TOKEN LIST", "UNREGISTER correct horse battery"]
    {
        let refusal = script.err(line, "NOT_ALLOWED");
        assert!(refusal.contains("the token all is not enough for that"), "{refusal}");
    }
    ana.ok("LEAVE #tea");
}

#[test]
fn a_scoped_token_writes_where_it_may_and_to_whom() {
    let server = Server::start(&[]);
    let mut ana = ana(&server);
    let (mut nina, mut bob) = (server.connect(), server.connect());
    nina.ok("NAME nina");
    bob.ok("NAME bob");
    let mut script = login(&server, &token(&mut ana, "x say:#OPS say:nina"));
    script.ok("SAY #ops hi");
    script.ok("MSG #ops hi");
    script.ok("MSG nina hi");
    script.ok(&format!("MSG {} by her number", nina.id()));
    script.err("SAY #tea hi", "NOT_ALLOWED");
    script.err("MSG bob hi", "NOT_ALLOWED");
    script.err(&format!("MSG {} hi", bob.id()), "NOT_ALLOWED");
    assert!(ana.event("MSG ").ends_with(&format!(" #ops ana:{} hi", ana.id())), "it is the account that speaks");
    assert_eq!((0..2).map(|_| nina.event("MSG ")).filter(|line| line.contains(" ana:")).count(), 2);
    assert_eq!(bob.ask("INBOX"), ["OK INBOX 0 0"]);
}

#[test]
fn a_scoped_token_is_shown_only_what_it_may_read() {
    let server = Server::start(&[]);
    let (mut ana, mut bob) = (ana(&server), server.connect());
    bob.ok("JOIN #ops");
    bob.ok("JOIN #tea");
    let secrets = ["read read:#ops", "inbox inbox", "say say:*", "all"].map(|what| token(&mut ana, what));
    let mut scripts = secrets.map(|secret| login(&server, &secret));
    bob.ok("SAY #ops in ops");
    bob.ok("SAY #tea in tea");
    bob.ok("MSG ana to ana");
    // Whoever joins by another connection is not shown more than before.
    ana.ok("CREATE #attic");
    bob.ok("JOIN #attic");
    bob.ok("SAY #attic in the attic");
    let mut shown = scripts.each_mut().map(|script| {
        script.send("PING");
        let lines = std::iter::from_fn(|| Some(script.line()).filter(|line| !line.starts_with("OK PING")));
        let said = lines.filter(|line| line.starts_with("* MSG "));
        said.map(|line| line.rsplit(' ').next().expect("it has a last word").to_owned()).collect::<Vec<_>>()
    });
    shown[3].sort();
    let expected: [&[&str]; 4] = [&["ops"], &["ana"], &[], &["ana", "attic", "ops", "tea"]];
    assert_eq!(shown, expected);
    scripts[0].ok("HISTORY #ops");
    ana.ok("LEAVE #attic");
    ana.ok("LEAVE #ops");
    scripts[0].err("HISTORY #ops", "NOT_MEMBER");
}

#[test]
fn tokens_are_listed_and_dropped_and_outlive_the_server() {
    let mut server = Server::start(&[]);
    let mut ana = ana(&server);
    let secret = token(&mut ana, "Deploy say:#ops read:* for 90d");
    token(&mut ana, "backup");
    assert!(ana.err("TOKEN NEW deploy", "NOT_ALLOWED").contains("you have a token deploy already"));
    server.kill();
    server.restart();
    let mut script = login(&server, &secret);
    let mut ana = server.connect();
    ana.ok("LOGIN ana correct horse battery");
    let listed = ana.ask("TOKEN LIST");
    assert!(listed[0].starts_with("- TOKEN backup 2") && listed[0].ends_with("Z - *"), "{listed:?}");
    assert!(listed[1].starts_with("- TOKEN Deploy 2") && listed[1].ends_with("Z say:#ops read:*"), "{listed:?}");
    assert!(done(&server, &["connections"]).contains("token:Deploy"));
    ana.err("TOKEN DROP other", "NOT_ALLOWED");
    assert_eq!(ana.ok("TOKEN DROP DEPLOY"), "OK TOKEN Deploy");
    assert_eq!(script.event("BYE "), "* BYE the token Deploy is no longer good");
    assert!(script.rest().is_empty());
    let mut late = server.connect();
    let refusal = late.err(&format!("LOGIN {secret}"), "LOGIN_FAILED");
    assert_eq!(refusal, "ERR LOGIN_FAILED LOGIN the token is wrong, has expired, or was dropped");
    assert_eq!(ana.ask("TOKEN LIST").len(), 2);
    let kept = std::fs::read(server.dir().join("journal.db")).expect("there is a journal");
    assert!(!kept.windows(secret.len()).any(|window| window == secret.as_bytes()), "only a hash is kept");
}

#[test]
fn a_token_ends_with_its_time_and_its_connections_with_it() {
    let server = Server::start(&[]);
    let mut ana = ana(&server);
    let script = login(&server, &token(&mut ana, "brief for 2s"));
    assert_eq!(script.rest(), ["* BYE the token has expired; TOKEN NEW makes another"]);
    assert_eq!(ana.ask("TOKEN LIST"), ["OK TOKEN 0"]);
    token(&mut ana, "brief");
}

#[test]
fn an_account_has_so_many_tokens_and_a_token_so_many_scopes() {
    let server = Server::start(&[]);
    let mut ana = ana(&server);
    let scopes: Vec<_> = (0..33).map(|number| format!("say:#c{number}")).collect();
    assert!(ana.err(&format!("TOKEN NEW many {}", scopes.join(" ")), "QUOTA").contains("at most 32"));
    (0..50).for_each(|number| drop(token(&mut ana, &format!("t{number}"))));
    assert!(ana.err("TOKEN NEW another", "QUOTA").contains("you have 50 tokens"));
    ana.ok("TOKEN DROP t7");
    token(&mut ana, "another");
    let mut guest = server.connect();
    assert!(guest.err("TOKEN NEW x", "NOT_ALLOWED").contains("only accounts have tokens"));
    guest.err("TOKEN LIST", "NOT_ALLOWED");
    guest.err("TOKEN DROP x", "NOT_ALLOWED");
}

#[test]
fn wrong_tokens_and_codes_are_told_so_only_so_often() {
    let server = Server::start(&["--limit", "wrong-secrets-per-address=2", "--registration", "invite"]);
    let mut guest = server.connect();
    let wrong = format!("LOGIN lct_{}", "a".repeat(32));
    guest.err(&wrong, "LOGIN_FAILED");
    guest.err("REGISTER @wrong ana correct horse battery", "NOT_ALLOWED");
    guest.err(&wrong, "RATE_LIMITED");
    guest.err("REGISTER @wrong ana correct horse battery", "RATE_LIMITED");
}

/// What is wrong with a password, or with who asks, says nothing about a code.
#[test]
fn only_a_wrong_code_is_a_guess() {
    let limit = ["--limit", "wrong-secrets-per-address=1"];
    let server = Server::start(&[&limit[..], &["--registration", "invite"]].concat());
    let said = done(&server, &["invite", "--uses", "2"]);
    let code = said.lines().next().and_then(|line| line.rsplit(' ').next()).expect("it is shown");
    let mut ana = server.connect();
    for code in [code, "wrong", code, "wrong"] {
        assert!(ana.err(&format!("REGISTER @{code} ana short"), "NOT_ALLOWED").contains("at least 8 bytes"));
    }
    ana.ok(&format!("REGISTER @{code} ana correct horse battery"));
    (0..3).for_each(|_| drop(ana.err(&format!("REGISTER @{code} nina correct horse battery"), "NOT_ALLOWED")));
    let mut bob = server.connect();
    bob.err("REGISTER @wrong bob correct horse battery", "NOT_ALLOWED");
    bob.err("REGISTER @wrong bob correct horse battery", "RATE_LIMITED");
    bob.ok(&format!("REGISTER @{code} bob correct horse battery"));
    // Where nobody can register, no code is looked at.
    let closed = Server::start(&[&limit[..], &["--registration", "closed"]].concat());
    let mut carol = closed.connect();
    (0..3).for_each(|_| drop(carol.err("REGISTER @wrong carol correct horse battery", "NOT_ALLOWED")));
}

#[test]
fn a_new_password_ends_what_the_old_one_began() {
    let server = Server::start(&["--limit", "passwords-per-minute=100"]);
    let mut ana = ana(&server);
    let mut script = login(&server, &token(&mut ana, "script"));
    let mut thief = server.connect();
    thief.ok("LOGIN ana correct horse battery");
    assert!(ana.err("PASSWD correct horse battery -> short", "NOT_ALLOWED").contains("at least 8 bytes"));
    ana.err("PASSWD wrong horse battery -> battery staple", "LOGIN_FAILED");
    assert_eq!(ana.ok("PASSWD correct horse battery -> battery staple"), format!("OK PASSWD ana:{} 1", ana.id()));
    assert_eq!(
        thief.rest().last().map(String::as_str),
        Some("* BYE the password of the account was changed; LOGIN with the new one")
    );
    script.ok("PING");
    ana.ok("PING");
    let mut again = server.connect();
    again.err("LOGIN ana correct horse battery", "LOGIN_FAILED");
    again.ok("LOGIN ana battery staple");
    assert!(server.connect().err("PASSWD a guest -> has no password", "NOT_ALLOWED").contains("LOGIN or REGISTER first"));
}

#[test]
fn an_account_that_ends_leaves_what_it_said_and_nothing_else() {
    let mut server = Server::start(&["--limit", "passwords-per-minute=100"]);
    let (mut ana, mut bob) = (ana(&server), server.connect());
    let secret = token(&mut ana, "script");
    bob.ok("REGISTER bob correct horse battery");
    bob.ok("JOIN #ops");
    bob.ok("MSG ana for her inbox");
    ana.ok("SAY #ops so long");
    let (script, phone) = (login(&server, &secret), server.connect());
    ana.err("UNREGISTER wrong horse battery", "LOGIN_FAILED");
    let id = ana.id();
    assert_eq!(ana.ok("UNREGISTER correct horse battery"), format!("OK UNREGISTER ana:{id}"));
    assert_eq!(ana.rest(), ["* BYE the account was removed"]);
    assert_eq!(script.rest().last().map(String::as_str), Some("* BYE the account was removed"));
    assert!(bob.event("LEAVE ").ends_with(" unregistered"));
    assert!(bob.event("OWNER ").contains(&format!("#ops bob:{} ", bob.id())), "its channels pass on");
    drop(phone);
    server.kill();
    server.restart();
    let mut bob = server.connect();
    bob.ok("LOGIN bob correct horse battery");
    let path = server.dir().join("journal.db");
    let journal = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("there is a journal");
    let count = "SELECT count(*) FROM entries WHERE event LIKE '%for her inbox%'";
    let kept = || journal.query_row(count, [], |row| row.get::<_, i64>(0)).expect("it can be read");
    until("her inbox is deleted", || (kept() == 0).then_some(()));
    assert!(bob.ask("HISTORY #ops")[0].ends_with(&format!("#ops ana:{id} so long")));
    bob.err(&format!("MSG ana:{id} are you there?"), "NO_SUCH_USER");
    bob.err(&format!("MSG {id} are you there?"), "NO_SUCH_USER");
    let mut other = server.connect();
    other.err(&format!("LOGIN {secret}"), "LOGIN_FAILED");
    other.err("LOGIN ana correct horse battery", "LOGIN_FAILED");
    let answer = other.ok("REGISTER ana correct horse battery");
    assert_ne!(answer, format!("OK REGISTER ana:{id}"));
    assert_eq!(other.ask("INBOX"), ["OK INBOX 0 0"], "nobody inherits an inbox");
    let tea =
        until("an empty channel has nobody in charge", || bob.ask("CHANNELS").into_iter().find(|line| line.contains(" #tea ")));
    assert!(tea.contains(" #tea 0 -"), "{tea}");
}

/// Whoever changes a password and whoever logs in with the old one meet in the order.
#[test]
fn a_password_that_was_verified_must_still_be_the_password() {
    let server = Server::start(&["--limit", "passwords-per-minute=none", "--limit", "passwords-per-address=none"]);
    let mut ana = ana(&server);
    let mut phone = server.connect();
    phone.ok("LOGIN ana correct horse battery");
    ana.send("PASSWD correct horse battery -> battery staple");
    phone.send("PASSWD correct horse battery -> staple battery");
    let (first, second) = (ana.rest_or_answer(), phone.rest_or_answer());
    let changed = [&first, &second].into_iter().filter(|answer| answer.starts_with("OK PASSWD ")).count();
    assert_eq!(changed, 1, "{first}; {second}");
}
