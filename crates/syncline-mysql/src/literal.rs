//! Literals in a statement under construction.

use std::fmt::Display;
use std::io::Write as _;

use crate::quote::push_quoted;

/// A text literal in the connection's character set, UTF-8.
pub(crate) fn push_text(out: &mut Vec<u8>, text: &str) {
    push_quoted(out, text.as_bytes());
}

/// A literal of bytes; half the size of a hexadecimal one.
pub(crate) fn push_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(b"_binary");
    push_quoted(out, bytes);
}

/// Anything whose text is SQL.
pub(crate) fn push_display(out: &mut Vec<u8>, v: impl Display) {
    write!(out, "{v}").expect("invariant: writing to memory cannot fail");
}
