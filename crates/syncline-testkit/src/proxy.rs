//! A TCP proxy in front of a server that loses connections on command: the network's faults, without a network.
//!
//! Plain threads, so that it works the same from any runtime and goes on while a test's runtime is busy. What it does with the next bytes is
//! one [`Rules`] value behind a lock; every forwarding thread looks at it before it passes a chunk on.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

/// A proxy on 127.0.0.1. Its connections end with the value.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    target: u16,
    rules: Mutex<Rules>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Rules {
    refusing: bool,
    listening: bool,
    held: bool,
    closed: bool,
    bytes_left: Option<usize>,
    /// The request whose answer is to be lost.
    lose_answer_to: Option<Vec<u8>>,
    links: Vec<Arc<Link>>,
    cuts: usize,
}

/// One client connection and its server connection.
#[derive(Debug)]
struct Link {
    client: TcpStream,
    server: TcpStream,
    /// The request was forwarded; the server's next bytes are its answer, and they are lost with the connection.
    answer_is_lost: Mutex<bool>,
}

impl Link {
    fn close(&self) {
        // The other end may have closed first.
        let _ = self.client.shutdown(Shutdown::Both);
        let _ = self.server.shutdown(Shutdown::Both);
    }
}

impl Proxy {
    /// Forwards to `port` of 127.0.0.1 until told otherwise.
    pub fn in_front_of(port: u16) -> Proxy {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("bind a proxy port on 127.0.0.1");
        let own = listener.local_addr().expect("a bound listener has an address").port();
        let rules = Mutex::new(Rules { listening: true, ..Rules::default() });
        let shared = Arc::new(Shared { target: port, rules, changed: Condvar::new() });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || accept_all(&accepting, listener, own));
        Proxy { port: own, shared }
    }

    /// The port to connect to; see [`Database::url_on`](crate::Database::url_on).
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Closes every current connection; new ones are accepted.
    pub fn cut(&self) {
        self.shared.lock().cut();
    }

    /// Forwards `n` more bytes, both directions together, then closes every connection once; new ones are accepted.
    pub fn cut_after_bytes(&self, n: usize) {
        self.shared.change(|rules| rules.bytes_left = Some(n));
    }

    /// When a client's bytes contain `request` (for instance `COMMIT`), forwards them, waits until the server has answered, and closes the
    /// connection instead of passing the answer on. Happens once.
    pub fn lose_answer_to(&self, request: &str) {
        self.shared.change(|rules| rules.lose_answer_to = Some(request.as_bytes().to_vec()));
    }

    /// Stops forwarding: connections stay open and silent, as behind a firewall that drops packets.
    pub fn hold(&self) {
        self.shared.change(|rules| rules.held = true);
    }

    /// Closes every connection and stops listening: new connections are refused.
    pub fn refuse(&self) {
        self.shared.change(|rules| {
            rules.refusing = true;
            rules.cut();
        });
        // Wakes the accepting thread, which is blocked in the kernel; it may have woken for another client already.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        drop(self.shared.wait_while(|rules| rules.listening));
    }

    /// Ends [`hold`](Self::hold) and [`refuse`](Self::refuse), and forgets cuts that have not happened yet.
    pub fn restore(&self) {
        self.shared.change(|rules| {
            rules.held = false;
            rules.refusing = false;
            rules.bytes_left = None;
            rules.lose_answer_to = None;
        });
        drop(self.shared.wait_while(|rules| !rules.listening));
    }

    /// How many times connections were cut so far, so that a test can tell that its fault really happened.
    pub fn cuts(&self) -> usize {
        self.shared.lock().cuts
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.change(|rules| {
            rules.closed = true;
            rules.cut();
        });
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl Rules {
    fn cut(&mut self) {
        self.cuts += 1;
        self.links.drain(..).for_each(|link| link.close());
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn change(&self, how: impl FnOnce(&mut Rules)) {
        how(&mut self.lock());
        self.changed.notify_all();
    }

    fn wait_while(&self, condition: impl Fn(&Rules) -> bool) -> MutexGuard<'_, Rules> {
        let guard = self.lock();
        self.changed.wait_while(guard, |rules| condition(rules) && !rules.closed).unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn accept_all(shared: &Arc<Shared>, listener: TcpListener, port: u16) {
    let mut listener = Some(listener);
    loop {
        let accepted = listener.as_ref().map(TcpListener::accept);
        let rules = shared.lock();
        let (refusing, closed) = (rules.refusing, rules.closed);
        drop(rules);
        if closed {
            return;
        }
        if refusing {
            listener = None;
            shared.change(|rules| rules.listening = false);
            drop(shared.wait_while(|rules| rules.refusing));
        } else if let Some(Ok((client, _))) = accepted {
            open_link(shared, client);
        }
        if listener.is_none() && !shared.lock().closed {
            listener = Some(TcpListener::bind(("127.0.0.1", port)).expect("bind the proxy's port again"));
            shared.change(|rules| rules.listening = true);
        }
    }
}

/// A server that is down looks to the client like one that hangs up.
fn open_link(shared: &Arc<Shared>, client: TcpStream) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", shared.target)) else { return };
    for stream in [&client, &server] {
        stream.set_nodelay(true).expect("set TCP_NODELAY on a fresh connection");
    }
    let link = Arc::new(Link { client, server, answer_is_lost: Mutex::new(false) });
    shared.lock().links.push(Arc::clone(&link));
    for direction in [Direction::Request, Direction::Answer] {
        let (shared, link) = (Arc::clone(shared), Arc::clone(&link));
        std::thread::spawn(move || {
            forward(&shared, &link, direction);
            link.close();
            shared.lock().links.retain(|other| !Arc::ptr_eq(other, &link));
        });
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Request,
    Answer,
}

fn forward(shared: &Shared, link: &Link, direction: Direction) {
    let (mut from, mut to) = match direction {
        Direction::Request => (&link.client, &link.server),
        Direction::Answer => (&link.server, &link.client),
    };
    let mut chunk = [0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut chunk) {
        let passed = pass(shared, link, direction, &chunk[..read]);
        if to.write_all(&chunk[..passed]).is_err() {
            break;
        }
        if passed < read {
            shared.lock().cut();
        }
    }
}

/// How many of these bytes may pass; fewer than all means that the connections are to be cut after them.
fn pass(shared: &Shared, link: &Link, direction: Direction, bytes: &[u8]) -> usize {
    let mut rules = shared.wait_while(|rules| rules.held);
    let mut answer_is_lost = link.answer_is_lost.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    match direction {
        Direction::Answer if *answer_is_lost => return 0,
        Direction::Answer => {}
        // Found only within one chunk: a request short enough to name is sent in one packet.
        Direction::Request => {
            if rules.lose_answer_to.as_ref().is_some_and(|request| bytes.windows(request.len()).any(|window| window == request)) {
                rules.lose_answer_to = None;
                *answer_is_lost = true;
            }
        }
    }
    match rules.bytes_left {
        None => bytes.len(),
        Some(left) if left >= bytes.len() => {
            rules.bytes_left = Some(left - bytes.len());
            bytes.len()
        }
        Some(left) => {
            rules.bytes_left = None;
            left
        }
    }
}
