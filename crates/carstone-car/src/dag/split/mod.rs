//! Splitting into CARs of limited size, and joining them.

mod join;
mod parts;
mod simple;
mod treewalk;

pub use join::{JoinOptions, Joined, join, joined_roots};
pub use parts::{Parts, Split, SplitOptions};
pub use simple::split;
pub use treewalk::split_dag;

use cid::Cid;
use multihash::Multihash;

use crate::codec;

/// The CID that stands for "no root is known": `bafkqaaa`, the empty raw block in an identity CID.
/// [CARv1](https://ipld.io/specs/transport/car/carv1/#number-of-roots) proposes it for CARs without a root.
pub fn no_root() -> Cid {
    Cid::new_v1(codec::RAW, Multihash::default())
}
