//! What is left of [sidecars](crate::Sidecars) without the feature `parity`: they are kept, and nobody reads them.

use super::copy::Carried;
use crate::error::{Error, Result};
use crate::name::Hash;
use crate::objects::Spool;
use crate::pack::StoredPack;
use crate::store::Store;

pub(super) async fn can_restore(_: &Store, _: &Hash) -> Option<Result<f64>> {
    None
}

pub(super) async fn restore(_: &Store, _: &Hash) -> Result<Option<Spool>> {
    Ok(None)
}

pub(super) async fn verify(_: &Store, _: &StoredPack) -> Result<Option<Error>> {
    Ok(None)
}

pub(super) async fn make_again(_: &Store, _: &Hash, _: &Error) -> Result<bool> {
    Ok(false)
}

pub(super) async fn carried(_: &Store, _: &Hash, _: u64, sidecar: Spool) -> Result<Carried> {
    Ok(Carried::AsItIs(sidecar))
}
