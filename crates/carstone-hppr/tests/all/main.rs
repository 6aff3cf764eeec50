//! Repositories, from outside.
#![cfg(unix)]

mod check;
mod exchange;
mod get;
mod laid;
mod lists;
mod repair;
#[cfg(feature = "watch")]
mod watch;
