//! Who may do what in a channel: each cell of the server's table, tried over TCP. PROTOCOL.md shows the same table.

mod support;

use std::net::Ipv4Addr;

use linechat::state::permissions::{Act, Mode, RANKS, RULES, Rank, Rule};
use support::client::Client;
use support::server::Server;

/// The people of all channels: one for each rank, and others to whom something is done.
struct People {
    owner: Client,
    others: Vec<(Rank, Client)>,
    bob: Client,
    _cara: Client,
}

impl People {
    fn gather(server: &Server) -> Self {
        let named = |name: &str| {
            let mut client = server.connect();
            client.ok(&format!("NAME {name}"));
            client
        };
        // The ban of a guest keeps out their address, too.
        let mut banned = Client::connect_from(Ipv4Addr::new(127, 0, 0, 9), server.address());
        banned.ok("NAME banned-one");
        let mut account = server.connect();
        account.ok("REGISTER account-one correct horse battery");
        let others = vec![
            (Rank::Banned, banned),
            (Rank::Guest, named("passer-by")),
            (Rank::Account, account),
            (Rank::Invited, named("invited-one")),
            (Rank::Member, named("member-one")),
            (Rank::Operator, named("operator-one")),
        ];
        Self { owner: named("owner-one"), others, bob: named("bob"), _cara: named("cara") }
    }

    fn other(&mut self, rank: Rank) -> &mut Client {
        self.others.iter_mut().find(|(own, _)| *own == rank).map(|(_, client)| client).expect("there is one of each rank")
    }

    /// A new channel, in which bob is, and somebody of this rank.
    fn channel(&mut self, channel: &str, rank: Rank) {
        self.owner.ok(&format!("CREATE {channel}"));
        self.bob.ok(&format!("JOIN {channel}"));
        if matches!(rank, Rank::Member | Rank::Operator) {
            self.other(rank).ok(&format!("JOIN {channel}"));
        }
        match rank {
            Rank::Operator => drop(self.owner.ok(&format!("OP {channel} operator-one"))),
            Rank::Invited => drop(self.owner.ok(&format!("INVITE {channel} invited-one"))),
            Rank::Banned => drop(self.owner.ok(&format!("BAN {channel} banned-one"))),
            Rank::Guest | Rank::Account | Rank::Member | Rank::Owner => {}
        }
    }

    fn set(&mut self, channel: &str, mode: Mode) {
        let setting = match mode {
            Mode::NoGuests => "guests off",
            Mode::Key => "key up-the-ladder",
            Mode::InviteOnly => "invite-only on",
            Mode::OperatorsSpeak => "speak operators",
        };
        self.owner.ok(&format!("SET {channel} {setting}"));
    }

    fn tries(&mut self, rule: &Rule, rank: Rank, channel: &str) -> String {
        let mut line = rule.example.replace("#it", channel);
        if rule.act == Act::Retract {
            let said = self.bob.ok(&format!("SAY {channel} something"));
            line = line.replace("42", said.split(' ').nth(2).expect("OK SAY has a seq"));
        }
        let actor = if rank == Rank::Owner { &mut self.owner } else { self.other(rank) };
        let answer = actor.ask(&line).pop().expect("there is an answer");
        format!("{line}: {}", answer.split(' ').take(2).collect::<Vec<_>>().join(" "))
    }
}

#[test]
fn every_cell_of_the_table_is_as_it_says() {
    let server = Server::start(&["--limit", "channels-per-user=none", "--limit", "channels-per-address=none"]);
    let (mut people, mut tried) = (People::gather(&server), 0);
    for rule in RULES {
        for (rank, words) in RANKS {
            tried += 1;
            let channel = format!("#room-{tried}-of-all");
            people.channel(&channel, rank);
            rule.mode.iter().for_each(|mode| people.set(&channel, *mode));
            let verb = rule.example.split(' ').next().expect("it has a verb");
            let expected = rule.refuses(rank).map_or_else(|| format!("OK {verb}"), |code| format!("ERR {code}"));
            let came = people.tries(rule, rank, &channel);
            assert!(came.ends_with(&format!(": {expected}")), "{words}, {:?}: {came} instead of {expected}", rule.mode);
        }
    }
    assert_eq!(tried, RULES.len() * RANKS.len());
}

/// Those who keep order do not turn on each other: only the owner is above operators.
#[test]
fn nobody_puts_out_who_is_not_below_them() {
    let server = Server::start(&[]);
    let mut people = People::gather(&server);
    people.channel("#rust", Rank::Operator);
    people.owner.ok("OP #rust bob");
    for verb in ["KICK", "BAN"] {
        people.bob.err(&format!("{verb} #rust operator-one"), "NOT_ALLOWED");
        people.bob.err(&format!("{verb} #rust owner-one"), "NOT_ALLOWED");
        people.bob.err(&format!("{verb} #rust bob"), "NOT_ALLOWED");
        people.owner.err(&format!("{verb} #rust owner-one"), "NOT_ALLOWED");
    }
    people.owner.ok("KICK #rust operator-one");
    people.owner.ok("BAN #rust bob");
    people.bob.err("JOIN #rust", "NOT_ALLOWED");
}

/// By RETRACT nobody finds out whether a message is in a channel that they are not in.
#[test]
fn an_outsider_is_told_the_same_of_a_seq_that_is_there_and_of_one_that_is_not() {
    let server = Server::start(&[]);
    let (mut ana, bob, mut outsider) = (server.connect(), server.connect(), server.connect());
    ana.ok("CREATE #rust");
    let seq = |ok: String| ok.split(' ').nth(2).expect("it has a seq").to_owned();
    let (in_channel, in_inbox) = (seq(ana.ok("SAY #rust hello")), seq(ana.ok(&format!("MSG {} hello", bob.id()))));
    let told = [in_channel.as_str(), &in_inbox, "4711"]
        .map(|seq| outsider.err(&format!("RETRACT {seq}"), "NOT_ALLOWED").replace(seq, "n"));
    assert!(told.iter().all(|line| *line == told[2]), "{told:?}");
    ana.ok(&format!("RETRACT {in_channel}"));
    ana.ok(&format!("RETRACT {in_inbox}"));
}
