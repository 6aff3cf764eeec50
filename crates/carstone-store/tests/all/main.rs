//! Stores as their users see them.

mod cached;
mod collect;
mod copies;
mod crashes;
mod faults;
mod faulty;
mod foreign;
mod hashes;
mod index;
mod layers;
mod maintain;
mod manifests;
mod mend;
mod moving;
mod odd;
mod packs;
#[cfg(feature = "parity")]
mod parity;
mod published;
mod puts_heal;
mod records;
mod remote;
mod roots;
mod service;
mod sim;
mod sources;
mod streams;
mod support;
mod tight;
mod uploads;
mod vectors;
mod watched;
