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

/// Finds packs and plain CARs at any offset of `source`: a disk image, a concatenation, a damaged file. What was found comes in the order
/// in which it begins.
///
/// The source is read once, from front to back; `progress` hears how far. Frames are told apart by their pack ids, so fragments may
/// be mixed, and copies of one pack make up one. What lies inside of a frame or a block that is intact is content of it. No key is needed.
///
/// # Errors
/// [`ErrorKind::Limit`](super::ErrorKind::Limit) for more fragments than are kept track of; whatever the source gives.
pub fn carve<R: ReadAt>(source: &R, progress: &mut dyn FnMut(u64)) -> Result<Vec<Carved>, Error> {
    let sightings = survey::survey(source, progress)?;
    Ok(settle::settle(sightings))
}
