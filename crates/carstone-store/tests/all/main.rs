//! Stores as their users see them.

mod cached;
mod collect;
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
mod packs;
mod published;
mod records;
mod remote;
mod roots;
mod service;
mod sim;
mod sources;
mod streams;
mod support;
mod uploads;
mod vectors;
mod watched;
