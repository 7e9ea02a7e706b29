//! The starred fault cases, end to end through the real binary.
