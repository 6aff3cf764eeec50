//! HPPR: packets, their stream form, addresses and texts, files of a repository, and CARs.

mod cars;
mod forge;
mod packets;
mod texts;
mod thin;
mod trailers;

pub(crate) use cars::{car, car_seeds};
pub(crate) use packets::{packet, packet_seeds};
pub(crate) use texts::{b64a, text_seeds, urc};
pub(crate) use thin::{thin, thin_seeds};
pub(crate) use trailers::{trailer, trailer_seeds};
