//! Finding packs and plain CARs, and fragments of them, in bytes of any kind.

mod car;
mod pack;
mod settle;
mod sightings;
mod spliced;
mod survey;

use std::ops::Range;

use carstone_layer::ReadAt;

use super::error::Error;
pub use car::CarvedCar;
pub use pack::{CarvedPack, MendedPack};
pub use spliced::Spliced;

/// Something that was found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Carved {
    /// A pack, or what is left of one.
    Pack(CarvedPack),
    /// A plain CAR, or what is left of one.
    Car(CarvedCar),
}

impl Carved {
    /// The bytes of the source from its first to its last. Others may lie between them.
    pub fn range(&self) -> Range<u64> {
        match self {
            Self::Pack(pack) => pack.range(),
            Self::Car(car) => car.range(),
        }
    }
}

/// What was found in a part of a source.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Carving {
    /// In the order in which it begins.
    pub found: Vec<Carved>,
    /// Where to go on, if there is more than is kept track of at a time: 65,536 packs and CARs, in 1,048,576 pieces. A pack with
    /// fragments on both sides of this place is found on both.
    pub next: Option<u64>,
}

/// Finds packs and plain CARs at any offset of `source` from `start` on: in a disk image, a concatenation, a damaged file.
///
/// The source is read once, from front to back; `progress` hears how far. Frames are told apart by their pack ids, so fragments may
/// be mixed, and copies of one pack make up one. What lies inside of a frame or a block that is intact is content of it. No key is needed.
///
/// # Errors
/// Whatever the source gives.
pub fn carve<R: ReadAt>(
    source: &R,
    start: u64,
    progress: &mut dyn FnMut(u64),
) -> Result<Carving, Error> {
    let (sightings, next) = survey::survey(source, start, progress)?;
    Ok(Carving { found: settle::settle(sightings), next })
}
