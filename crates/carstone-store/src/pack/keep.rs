//! Packs on their way into a store.

use std::pin::pin;
use std::sync::Arc;

use futures::future::{self, BoxFuture, Either, FutureExt};
use futures::stream::{FuturesOrdered, Stream, StreamExt};

use super::store::PackStore;
use super::writer::PackWritten;
use crate::error::Result;
use crate::objects::{Content, Spool, Turn};

/// Puts packs into a store, two at the same time, and none is there before those in front of it: so a pack with a root means that all of them are there.
/// `kept` hears of each when it is.
pub(super) async fn keep(
    store: &Arc<dyn PackStore>,
    packs: impl Stream<Item = Result<(PackWritten, Spool)>>,
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
        packs: impl Stream<Item = Result<(PackWritten, Spool)>>,
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
                    let (pack, spool) = pack?;
                    self.put(Arc::clone(store), pack, spool);
                }
                Either::Right((None, _)) => is_end = true,
            }
        }
        Ok(written)
    }

    fn put(&mut self, store: Arc<dyn PackStore>, mut pack: PackWritten, spool: Spool) {
        let (done, behind) = Turn::behind();
        let turn = std::mem::replace(&mut self.behind, behind);
        let put = async move {
            pack.created = store.put_in_turn(&pack.name, Content::Spool(spool), turn).await?;
            done.say();
            Ok(pack)
        };
        self.puts.push_back(put.boxed());
    }
}

const AT_ONCE: usize = 2;
