//! Packs on their way into a store.

use std::pin::pin;
use std::sync::Arc;

use futures::future::{self, BoxFuture, Either, FutureExt};
use futures::stream::{FuturesOrdered, Stream, StreamExt};

use super::store::PackStore;
use super::writer::PackWritten;
use crate::error::Result;
use crate::name::Hash;
use crate::objects::{Content, Spool, Turn};

/// A pack that is to be kept, with its sidecar.
pub(super) struct ToKeep {
    pub(super) pack: PackWritten,
    pub(super) spool: Spool,
    pub(super) sidecar: Option<Spool>,
}

/// Keeps the sidecar of a pack that is there, if it has one, and gives its bytes.
pub(super) async fn keep_sidecar(
    store: &dyn PackStore,
    pack: &Hash,
    sidecar: Option<Spool>,
) -> Result<Option<u64>> {
    let (Some(sidecar), Some(sidecars)) = (sidecar, store.sidecars()) else { return Ok(None) };
    let len = sidecar.len();
    sidecars.put(pack, Content::Spool(sidecar)).await?;
    Ok(Some(len))
}

/// Puts packs into a store, two at the same time, and none is there before those in front of it: so a pack with a root means that all of them are there.
/// `kept` hears of each when it is, and its sidecar with it.
pub(super) async fn keep(
    store: &Arc<dyn PackStore>,
    packs: impl Stream<Item = Result<ToKeep>>,
    kept: impl FnMut(&PackWritten) -> Result<()>,
) -> Result<Vec<PackWritten>> {
    let mut on_their_way = OnTheirWay { puts: FuturesOrdered::new(), behind: Turn::now() };
    let written = on_their_way.keep(store, packs, kept).await;
    // Those behind one that failed see that, and give up what they have sent.
    while written.is_err() && on_their_way.puts.next().await.is_some() {}
    written
}

struct OnTheirWay {
    puts: FuturesOrdered<BoxFuture<'static, Result<PackWritten>>>,
    /// That of the next one.
    behind: Turn,
}

impl OnTheirWay {
    async fn keep(
        &mut self,
        store: &Arc<dyn PackStore>,
        packs: impl Stream<Item = Result<ToKeep>>,
        mut kept: impl FnMut(&PackWritten) -> Result<()>,
    ) -> Result<Vec<PackWritten>> {
        let (mut packs, mut written, mut is_end) = (pin!(packs), Vec::new(), false);
        while !is_end || !self.puts.is_empty() {
            let takes = !is_end && self.puts.len() < AT_ONCE;
            let put = match self.puts.is_empty() {
                true => future::pending().left_future(),
                false => self.puts.next().right_future(),
            };
            let pack = match takes {
                true => packs.next().left_future(),
                false => future::pending().right_future(),
            };
            match future::select(put, pack).await {
                Either::Left((put, _)) => {
                    if let Some(pack) = put.transpose()? {
                        kept(&pack)?;
                        written.push(pack);
                    }
                }
                Either::Right((Some(pack), _)) => {
                    self.put(Arc::clone(store), pack?);
                }
                Either::Right((None, _)) => is_end = true,
            }
        }
        Ok(written)
    }

    fn put(&mut self, store: Arc<dyn PackStore>, pack: ToKeep) {
        let ToKeep { mut pack, spool, sidecar } = pack;
        let (done, behind) = Turn::behind();
        let turn = std::mem::replace(&mut self.behind, behind);
        let put = async move {
            pack.created = store.put_in_turn(&pack.name, Content::Spool(spool), turn).await?;
            done.say();
            pack.sidecar = keep_sidecar(&*store, &pack.name, sidecar).await?;
            Ok(pack)
        };
        self.puts.push_back(put.boxed());
    }
}

const AT_ONCE: usize = 2;
