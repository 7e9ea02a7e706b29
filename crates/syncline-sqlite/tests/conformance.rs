//! The connector contract, sentence by sentence.

syncline_testkit::conformance!(syncline_testkit::conformance::on_sqlite(syncline_sqlite::connector()).await);
