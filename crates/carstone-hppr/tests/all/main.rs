//! Repositories, from outside.
#![cfg(unix)]

mod batch;
mod collect;
mod crash;
mod detach;
mod faulty;
mod many;
mod rebuild;
mod sample;
mod store;
mod together;
