//! Machines with a router between them that drops what goes one way from one to another: packets are lost without a word, as on
//! a cable that is broken. It owns the machines, and must never drop anything between people and their own machine.

use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::process::Command;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::support::clients::is_installed;
use super::support::namespaces::Namespaces;

/// The machine between all others.
pub const ROUTER: &str = "router";

/// The machines, each joined to the router alone.
pub struct Net {
    namespaces: Namespaces,
    machines: Vec<&'static str>,
}

fn address(number: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 99, 8, u8::try_from(number).expect("few machines"))
}

impl Net {
    /// These machines; `None` where the system does not allow it, which is said.
    pub fn build(machines: &[&'static str]) -> Option<Self> {
        if !is_installed("ip", "iproute2") {
            return None;
        }
        let namespaces = Namespaces::add([ROUTER].into_iter().chain(machines.iter().copied()))?;
        let (router, net) = (address(254), Self { namespaces, machines: machines.to_vec() });
        for machine in machines {
            let (name, own) = (net.namespace(machine), net.address(machine));
            let ip = |on: &str, arguments: String| assert!(net.namespaces.ip(on, &arguments));
            ip(ROUTER, format!("link add {machine} type veth peer name eth0 netns {name}"));
            ip(ROUTER, format!("addr add {router}/32 dev {machine}"));
            ip(ROUTER, format!("link set {machine} up"));
            ip(ROUTER, format!("route add {own} dev {machine} src {router}"));
            ip(machine, format!("addr add {own}/32 dev eth0"));
            ip(machine, "link set eth0 up".to_owned());
            ip(machine, format!("route add {router} dev eth0"));
            ip(machine, format!("route add default via {router}"));
        }
        let forward = "echo 1 > /proc/sys/net/ipv4/ip_forward";
        let forwards = Command::new("ip").args(["netns", "exec", &net.namespace(ROUTER), "sh", "-c", forward]).status();
        assert!(forwards.expect("ip runs").success(), "the router forwards");
        Some(net)
    }

    /// The address of a machine.
    pub fn address(&self, machine: &str) -> Ipv4Addr {
        address(1 + self.machines.iter().position(|it| *it == machine).expect("there is such a machine"))
    }

    /// The name of a machine's namespace.
    pub fn namespace(&self, machine: &str) -> String {
        self.namespaces.of(machine)
    }

    /// Does something on a machine: what is connected, listens or is started there stays there.
    pub fn on<T: Send>(&self, machine: &str, act: impl FnOnce() -> T + Send) -> T {
        let namespace = File::open(format!("/run/netns/{}", self.namespace(machine))).expect("there is such a machine");
        std::thread::scope(|scope| {
            let within = scope.spawn(move || {
                move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
                    .expect("whoever made it may enter");
                act()
            });
            within.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    fn rule(&self, verb: &str, from: &str, to: &str) {
        let rule = format!("rule {verb} from {} to {} blackhole", self.address(from), self.address(to));
        assert!(self.namespaces.ip(ROUTER, &rule));
    }

    /// From now on nothing comes through from the first to the second of each pair, until what is returned is dropped.
    pub fn cut<'a>(&'a self, ways: &[(&'static str, &'static str)]) -> Cut<'a> {
        ways.iter().for_each(|(from, to)| self.rule("add", from, to));
        Cut { net: self, ways: ways.to_vec() }
    }
}

/// Ways on which nothing comes through.
pub struct Cut<'a> {
    net: &'a Net,
    ways: Vec<(&'static str, &'static str)>,
}

impl Drop for Cut<'_> {
    fn drop(&mut self) {
        self.ways.iter().for_each(|(from, to)| self.net.rule("del", from, to));
    }
}
