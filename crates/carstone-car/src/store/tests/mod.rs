//! The store on a disk in memory that fails and forgets.

mod crashes;
mod faults;
mod model;
mod rig;
mod syncs;
