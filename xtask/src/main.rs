//! Chores of the carstone workspace: `cargo xtask <task>`.

fn main() {}
