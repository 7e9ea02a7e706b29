//! Free TCP ports for servers, and names nobody else uses.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

/// Below Linux's ephemeral range (32768 up), so that no outgoing connection can take a killed server's port before it restarts.
const PORTS: std::ops::Range<u16> = 15_000..32_000;

/// A port nobody listens on now. Two processes may draw the same one; whoever loses the bind draws again.
pub(crate) fn free_port() -> u16 {
    let width = u64::from(PORTS.end - PORTS.start);
    (0..1_000)
        .map(|_| PORTS.start + u16::try_from(random() % width).expect("invariant: smaller than the range"))
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a free TCP port on 127.0.0.1 between 15000 and 32000")
}

/// A database name unique across the processes of one test run.
pub(crate) fn unique_name() -> String {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    format!("t{:08x}_{}", random() & 0xffff_ffff, COUNTER.fetch_add(1, Ordering::Relaxed))
}

/// Random without a dependency: the standard library seeds every `RandomState` differently.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// `text` with everything that does not belong in a file name replaced.
pub(crate) fn file_name_part(text: &str) -> String {
    text.trim().chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect()
}
