//! The connector against a real MariaDB: values there and back, digests, the catalogue, staged runs, failures.

mod applying;
mod catalogue;
mod connecting;
mod digests;
mod reading;
mod values;
mod world;
