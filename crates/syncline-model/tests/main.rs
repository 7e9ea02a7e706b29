//! Laws of the model, from outside: canonical forms by golden vectors and properties, detection and resolution by properties.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking, also in its helper functions")]

mod equality;
mod three_way;
