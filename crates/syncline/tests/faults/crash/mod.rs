//! Every failpoint of a run, broken three ways, on real databases: the process aborts, the connection is cut, the answer to
//! the commit is lost. Then the run is run again, and nothing may be lost, doubled, or left behind.

mod case;
mod lane;
mod routes;
mod story;
