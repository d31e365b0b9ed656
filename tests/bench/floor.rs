//! The floor: an epoll loop that writes what one connection sent to all others and parses nothing. What a delivery costs here is
//! the kernel's price for the bytes. `cargo bench --bench floor -- 127.0.0.1:12500` serves until it is stopped.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

const LISTENER: Token = Token(usize::MAX);
const READ_BYTES: usize = 64 * 1024;

struct Peer {
    stream: TcpStream,
    waiting: Vec<u8>,
}

/// Writes as much as is taken; the rest waits.
fn write(peer: &mut Peer, bytes: &[u8]) {
    let mut sent = 0;
    while peer.waiting.is_empty() && sent < bytes.len() {
        match peer.stream.write(&bytes[sent..]) {
            Ok(length) => sent += length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(_) => return,
        }
    }
    peer.waiting.extend_from_slice(&bytes[sent..]);
}

fn main() -> std::io::Result<()> {
    let address: SocketAddr = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok())
        .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 12500)));
    rlimit::increase_nofile_limit(u64::MAX)?;
    let (mut poll, mut events) = (Poll::new()?, Events::with_capacity(1024));
    let mut listener = TcpListener::bind(address)?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut peers: HashMap<usize, Peer> = HashMap::new();
    let (mut next, mut buffer) = (0, vec![0; READ_BYTES]);
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            if event.token() == LISTENER {
                while let Ok((mut stream, _)) = listener.accept() {
                    stream.set_nodelay(true)?;
                    poll.registry().register(&mut stream, Token(next), Interest::READABLE | Interest::WRITABLE)?;
                    let mut peer = Peer { stream, waiting: Vec::new() };
                    write(&mut peer, b"ready\n");
                    peers.insert(next, peer);
                    next += 1;
                }
                continue;
            }
            let me = event.token().0;
            while let Some(peer) = peers.get_mut(&me) {
                let waiting = std::mem::take(&mut peer.waiting);
                write(peer, &waiting);
                match peer.stream.read(&mut buffer) {
                    Ok(0) => drop(peers.remove(&me)),
                    Ok(length) => {
                        peers
                            .iter_mut()
                            .filter(|(other, _)| **other != me)
                            .for_each(|(_, peer)| write(peer, &buffer[..length]));
                        if length < READ_BYTES {
                            break;
                        }
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(_) => drop(peers.remove(&me)),
                }
            }
        }
    }
}
