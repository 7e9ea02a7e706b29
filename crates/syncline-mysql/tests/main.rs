//! The connector against a real MariaDB: values there and back, digests, the catalogue, staged runs, failures.

mod applying;
mod catalogue;
mod connecting;
mod digests;
mod reading;
mod values;
mod world;

mod conformance {
    //! The connector contract, sentence by sentence.
    syncline_testkit::conformance!(syncline_testkit::conformance::on_mariadb(syncline_mysql::connector()).await);
}
