//! Detection and resolution: case by case, and as laws.

mod cases;
mod laws;
