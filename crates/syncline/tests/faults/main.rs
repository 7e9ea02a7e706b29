//! What happens when things go wrong, end to end: the real binary against real servers.

mod crash;
mod rig;
