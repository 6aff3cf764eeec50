//! Repositories, from outside.
#![cfg(unix)]

mod batch;
mod check;
mod collect;
mod crash;
mod decisions;
mod detach;
mod exchange;
mod faulty;
mod full;
mod get;
mod laid;
mod lists;
mod losses;
mod outage;
mod outages;
mod rebuild;
mod repair;
mod sample;
mod sim;
mod store;
mod together;
mod vectors;
#[cfg(feature = "watch")]
mod watch;
