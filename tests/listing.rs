//! Lists of many people: pages that fit together, whoever comes and goes, and patterns that are looked for among all.

mod support;

use support::client::Client;
use support::server::Server;

/// More than a server looks at at a time.
const PEOPLE: usize = 600;

/// All pages of a list: who is in each.
fn pages(client: &mut Client, list: &str, count: usize) -> Vec<Vec<String>> {
    let (mut pages, mut after) = (Vec::new(), String::new());
    loop {
        let mut answer = client.ask(&format!("{list} {count}{after}"));
        let ok = answer.pop().expect("it is answered");
        let page: Vec<String> =
            answer.iter().map(|line| line.split(' ').nth(2).expect("a user or a channel").to_owned()).collect();
        let verb = list.split(' ').next().expect("a verb");
        let is_last = ok == format!("OK {verb} {}", page.len());
        assert!(is_last || ok == format!("OK {verb} {} more", page.len()), "{ok}");
        after = format!(" after {}", page.last().cloned().unwrap_or_default());
        pages.push(page);
        if is_last {
            return pages;
        }
    }
}

#[test]
fn pages_of_many_people_fit_together() {
    let server = Server::start(&["--limit", "announce-members=0", "--limit", "commands-per-address=none"]);
    let mut ana = server.connect();
    ana.ok("NAME ana");
    ana.ok("CREATE #all");
    let mut people: Vec<Client> = (0..PEOPLE)
        .map(|number| {
            let mut client = server.connect();
            client.send(&format!("NAME person-{number}"));
            client.ok("JOIN #all");
            client
        })
        .collect();
    let mut expected: Vec<String> = vec![format!("ana:{}", ana.id())];
    expected.extend(people.iter().enumerate().map(|(number, client)| format!("person-{number}:{}", client.id())));
    for list in ["LIST", "LIST #all"] {
        assert_eq!(pages(&mut ana, list, 1000), [expected.clone()]);
        let some = pages(&mut ana, list, 250);
        assert_eq!(some.iter().map(Vec::len).collect::<Vec<_>>(), [250, 250, 101]);
        assert_eq!(some.concat(), expected);
        // The last of those who fit lies far behind the others, and nobody after it.
        let rare: Vec<String> = expected.iter().filter(|who| who.contains("99:")).cloned().collect();
        assert_eq!(pages(&mut ana, &format!("{list} *99"), 5), [&rare[..5], &rare[5..]]);
        assert_eq!(ana.ask(&format!("{list} nobody*")), ["OK LIST 0"]);
        assert_eq!(ana.ask(&format!("{list} person-599 1")).last().map(String::as_str), Some("OK LIST 1"));
        assert_eq!(ana.ask(&format!("{list} ana 1")).last().map(String::as_str), Some("OK LIST 1"));
    }
    // Whoever goes between two pages leaves no hole behind, not even the one with whom the first has ended.
    let first = ana.ask("LIST 300");
    let last = first[299].split(' ').nth(2).expect("a user").to_owned();
    for mut client in people.drain(250..350) {
        client.send("QUIT");
        client.rest();
    }
    let mut rest = ana.ask(&format!("LIST 1000 after {last}"));
    assert_eq!(rest.pop().as_deref(), Some("OK LIST 250"));
    assert!(rest.iter().zip(&expected[351..]).all(|(line, who)| line.contains(&format!(" {who} "))), "{rest:?}");
}

#[test]
fn pages_of_many_channels_fit_together() {
    let server = Server::start(&["--limit", "channels-per-user=none", "--limit", "channels-per-address=none"]);
    let mut ana = server.connect();
    let names: Vec<String> = (0..PEOPLE).map(|number| format!("#c{number:03}")).collect();
    for name in &names {
        ana.ok(&format!("CREATE {name}"));
    }
    assert_eq!(pages(&mut ana, "CHANNELS", 1000), std::slice::from_ref(&names));
    assert_eq!(pages(&mut ana, "CHANNELS", 250).concat(), names);
    let rare: Vec<String> = names.iter().filter(|name| name.ends_with("99")).cloned().collect();
    assert_eq!(pages(&mut ana, "CHANNELS #*99", 5), [&rare[..5], &rare[5..]]);
    assert_eq!(ana.ask("CHANNELS nothing*"), ["OK CHANNELS 0"]);
}
