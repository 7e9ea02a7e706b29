//! What happens when things go wrong, end to end: the real binary against real servers.

mod commits;
mod crash;
mod deletions;
mod features;
mod first_load;
mod first_load_mariadb;
mod first_load_values;
mod histories;
mod hosts;
mod interference;
mod kills;
mod large;
mod lies;
mod memory;
mod moving_source;
mod parts;
mod rig;
mod settings;
mod sizes;
mod straight;
mod undo_created;
mod values;
mod windows;
