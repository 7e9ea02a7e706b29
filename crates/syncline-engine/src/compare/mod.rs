//! Comparing both sides without reading them: digests per segment first, row hashes of the segments that differ next,
//! whole rows only of keys that differ (R12–R15).

mod choose;
mod differ;

pub use choose::{Choice, choose, has_comparable_key, has_exact_key, has_rewritten_key, requests};
pub use differ::{Memory, Seen, compare_keys, differ};
