//! Getting in: finding a server, and becoming a guest or logging in to an account.
//!
//! It owns nothing beside the client. It must never go on under another name than the person's.

use std::io::{self, IsTerminal};

use crate::menu::Options;
use crate::menu::address::{at_port, port, split};
use crate::menu::client::{Again, Answer, Client, Ended, Identity, Lost, name_of};
use crate::menu::link::{Happening, Link};
use crate::menu::servers::Servers;
use crate::menu::terminal::{Look, Terminal, Typed};
use crate::menu::unread::Unread;

impl Client {
    /// Connects, and takes a name or logs in; asks for whatever the options leave open.
    pub fn start(options: &Options, mut terminal: Terminal) -> Result<Self, Ended> {
        let (servers, link) = connect(options, &mut terminal)?;
        let mut client = Self::over(link, servers, terminal, options.show_protocol);
        match client.greet() {
            Ok(()) => {}
            Err(lost) if client.servers.are_many() => client.reconnect(&lost)?,
            Err(Lost(why)) => {
                client.terminal.show(Look::Red, &format!("No connection: {why}."));
                return Err(Ended::Disconnected);
            }
        }
        let unread = match &options.login {
            Some(name) => client.log_in(name)?,
            None => client.take_name(options.name.as_deref())?,
        };
        let peer = client.link.peer();
        let (name, id) = client.who.split_once(':').unwrap_or((&client.who, ""));
        let lines =
            [format!("Successfully connected to server: {peer}"), format!("Client Name: {name}"), format!("Client ID: {id}")];
        lines.iter().for_each(|line| client.terminal.show(Look::Plain, line));
        client.show_unread(&unread);
        Ok(client)
    }

    /// Takes a name as a guest, asking until one is accepted. Returns how much is unread, which is nothing for a new guest.
    fn take_name(&mut self, given: Option<&str>) -> Result<Unread, Ended> {
        let mut name = given.map(str::to_owned);
        loop {
            let wanted = match name.take() {
                Some(name) => name,
                None => self.question("Enter a username: ")?.ok_or(Ended::ByPerson)?,
            };
            if self.takes_name(&wanted)? {
                return Ok(Unread::default());
            }
            if given.is_some() && !io::stdin().is_terminal() {
                return Err(Ended::Refused);
            }
        }
    }

    /// Takes this name as a guest; whether they have it now.
    pub(super) fn takes_name(&mut self, wanted: &str) -> Result<bool, Ended> {
        // More than one word would be another command.
        if wanted.split_whitespace().count() != 1 {
            self.terminal.show(Look::Red, "Not done: type a name, which is one word without spaces.");
            return Ok(false);
        }
        match self.command(&format!("NAME {}", wanted.trim()), Again::Yes)? {
            Answer::Ok(_, who) => {
                self.identity = Identity::Guest(Some(name_of(&who).to_owned()));
                self.who = who;
                Ok(true)
            }
            other => {
                self.show_refused("Not done", &other);
                Ok(false)
            }
        }
    }

    fn log_in(&mut self, name: &str) -> Result<Unread, Ended> {
        loop {
            let password = self.terminal.password(&format!("Password of {name}: ")).ok_or(Ended::ByPerson)?;
            match self.command(&format!("LOGIN {name} {password}"), Again::Yes)? {
                Answer::Ok(data, fields) => {
                    self.identity = Identity::Account { name: name.to_owned(), password };
                    let unread = self.is_now(&data, &fields);
                    if unread.inbox > 0 && self.resumes_inbox() {
                        self.mark_inbox()?;
                    }
                    return Ok(unread);
                }
                other => self.show_refused("Not done", &other),
            }
        }
    }
}

/// Connects to the first of the given servers that can be reached, or asks for servers until one answers.
fn connect(options: &Options, terminal: &mut Terminal) -> Result<(Servers, Link), Ended> {
    loop {
        let named = match &options.server {
            Some(named) => named.clone(),
            None => ask_server(terminal)?,
        };
        let mut servers = match Servers::new(&named, options.tls.as_ref()) {
            Ok(servers) => servers,
            Err(wrong) => {
                terminal.show(Look::Red, &format!("No connection: {wrong}."));
                return Err(Ended::Disconnected);
            }
        };
        let queue = terminal.queue();
        let reached = servers.reach(&queue, |address, error| {
            terminal.show(Look::Red, &format!("Cannot connect to {address}: {error}."));
        });
        if let Some(link) = reached {
            link.notices().for_each(|line| terminal.show(Look::Plain, line));
            return Ok((servers, link));
        }
        if options.server.is_some() {
            return Err(Ended::Disconnected);
        }
    }
}

/// Asks where the server is: its port may be typed with it, and is asked for otherwise.
fn ask_server(terminal: &mut Terminal) -> Result<String, Ended> {
    let typed = loop {
        let typed = simple(terminal, "Enter the server IP Address: ")?;
        let typed = if typed.is_empty() { "localhost".to_owned() } else { typed };
        match typed.split(',').map(|server| split(server.trim())).collect::<Result<Vec<_>, _>>() {
            Ok(servers) if servers.iter().any(|(_, port)| port.is_some()) => return Ok(typed),
            Ok(_) => break typed,
            Err(wrong) => terminal.show(Look::Red, &format!("Not a server: {wrong}.")),
        }
    };
    loop {
        let number = simple(terminal, "Enter the server port: ")?;
        if number.is_empty() {
            return Ok(typed);
        }
        match port(&number) {
            Ok(port) => {
                return Ok(typed.split(',').map(|host| at_port(host.trim(), port)).collect::<Vec<_>>().join(","));
            }
            Err(wrong) => terminal.show(Look::Red, &format!("Not a port: {wrong}.")),
        }
    }
}

/// Asks a question before there is a connection.
fn simple(terminal: &mut Terminal, prompt: &str) -> Result<String, Ended> {
    terminal.ask(prompt);
    match terminal.next(None) {
        Some(Happening::Typed(Typed::Line(line))) => Ok(line.trim().to_owned()),
        _ => Err(Ended::ByPerson),
    }
}
