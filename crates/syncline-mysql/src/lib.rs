//! MySQL, MariaDB and PlanetScale: one connector for the systems that speak the MySQL protocol.
//!
//! [`Mysql`] opens a source or a destination over a pinned session (`connect`). `discover` reads the catalogue, `native` and
//! `fit` say which of their types hold which values, `read` and `digest` answer through the binary protocol and in plain SQL,
//! `session` and `dialect` let `syncline-sql` apply a staged run. Where MySQL 8 and MariaDB part ways is in `flavour` alone.

mod bind;
mod canon;
mod check;
mod civil;
mod connect;
mod connector;
mod ddl;
mod decode;
mod destination;
mod dialect;
mod digest;
mod discover;
mod encode;
mod fault;
mod fit;
mod flavour;
mod horizon;
mod image;
mod leftovers;
mod literal;
mod native;
mod quote;
mod read;
mod session;
mod snapshot;
mod source;

pub use connector::{Mysql, connector};
