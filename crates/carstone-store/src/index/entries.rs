//! What the index says, gone through as a whole.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use futures::stream::{self, BoxStream, Stream, StreamExt, TryStreamExt};

use super::format::EntryKind;
use super::location::Location;
use super::merge::merge;
use super::scan::{IndexEntry, Scan};
use super::segment::{Found, Segment};
use super::set::{Index, MOST_LOOKS};
use crate::error::Result;
use crate::name::Hash;
use crate::objects::{Spool, blocking};

impl Index {
    /// All that the index says, each once, sorted by kind, hash function and digest. Segments are fetched into temporary files, compared with their names and put
    /// together there, so that this takes the room of the index twice on the disk, and next to no memory.
    ///
    /// # Errors
    /// A segment is damaged, or cannot be read; there is no room.
    pub async fn entries(&self) -> Result<BoxStream<'static, Result<IndexEntry>>> {
        self.entries_of(|_| true).await
    }

    /// The same of some locations. Segments that have none of them are left alone.
    pub(crate) async fn entries_of(
        &self,
        is_wanted: impl Fn(&Location) -> bool + Clone + Send + Sync + 'static,
    ) -> Result<BoxStream<'static, Result<IndexEntry>>> {
        let inputs = self.fetch_all(|segment| segment.locations().iter().any(&is_wanted)).await?;
        if inputs.is_empty() {
            return Ok(stream::empty().boxed());
        }
        let (spool, keep) = (Spool::unnamed()?, is_wanted.clone());
        let scan = blocking(move || match inputs.len() {
            1 => inputs.into_iter().map(Scan::open).next().transpose(),
            _ => merge(&inputs, spool, &keep).and_then(Scan::open).map(Some),
        });
        let entries = pieces(scan.await?).map_ok(move |mut piece| {
            piece.retain(|entry| is_wanted(&entry.found.location));
            stream::iter(piece).map(Ok)
        });
        Ok(entries.try_flatten().boxed())
    }

    /// The same of some packs, and of blobs only, each with its pack.
    pub(crate) async fn blobs_of(
        &self,
        packs: HashSet<Hash>,
    ) -> Result<BoxStream<'static, Result<(Hash, IndexEntry)>>> {
        let packs = Arc::new(packs);
        let is_wanted = move |at: &Location| at.pack().is_some_and(|pack| packs.contains(pack));
        let entries = self.entries_of(is_wanted).await?;
        let blobs = entries.try_filter_map(|entry| async move {
            let pack = entry.found.location.pack().copied();
            Ok(pack.filter(|_| entry.kind == EntryKind::Blob).map(|pack| (pack, entry)))
        });
        Ok(blobs.boxed())
    }

    /// The blobs of a pack, in their order. All segments that have the pack are read whole, so that it costs as much as they have bytes.
    ///
    /// # Errors
    /// A segment is damaged, or cannot be read.
    pub async fn blobs_in(&self, pack: &Hash) -> Result<Vec<(Hash, Found)>> {
        let mut blobs = self.blobs_in_some(&BTreeSet::from([*pack])).await?;
        Ok(blobs.remove(pack).unwrap_or_default())
    }

    /// The same of several packs, for which segments are read once: of the first of them, and of as many others as there is memory for.
    pub(crate) async fn blobs_in_some(
        &self,
        packs: &BTreeSet<Hash>,
    ) -> Result<BTreeMap<Hash, Vec<(Hash, Found)>>> {
        let mut blobs: BTreeMap<Hash, Vec<(Hash, Found)>> =
            packs.iter().map(|pack| (*pack, Vec::new())).collect();
        let mut count = 0;
        let mut entries = self.blobs_of(packs.iter().copied().collect()).await?;
        while let Some((pack, entry)) = entries.try_next().await? {
            let Some(of_pack) = blobs.get_mut(&pack) else { continue };
            of_pack.push((entry.hash, entry.found));
            count += 1;
            while count > MOST_BLOBS && blobs.len() > 1 {
                count -= blobs.pop_last().map_or(0, |(_, last)| last.len());
            }
        }
        for of_pack in blobs.values_mut() {
            of_pack.sort_by_key(|(hash, found)| (found.offset, found.len, *hash));
            of_pack.dedup();
        }
        Ok(blobs)
    }

    /// Those of these packs in which the index knows other blobs than the pack itself.
    pub(crate) async fn inhabited(&self, packs: HashSet<Hash>) -> Result<HashSet<Hash>> {
        let mut inhabited = HashSet::new();
        let mut entries = self.blobs_of(packs).await?;
        while let Some((pack, entry)) = entries.try_next().await? {
            if entry.hash != pack {
                inhabited.insert(pack);
            }
        }
        Ok(inhabited)
    }

    /// All roots of which it knows where blobs of their DAGs are; of segments that cannot be read, none.
    ///
    /// # Errors
    /// A segment is there, and is not given.
    pub(crate) async fn roots(&self) -> Result<HashSet<Hash>> {
        let mut roots = HashSet::new();
        for segment in self.segments() {
            match segment.roots().await {
                Err(error) if error.is_not_found() || error.is_malformed() => {}
                found => roots.extend(found?),
            }
        }
        Ok(roots)
    }

    /// Some segments in files. Where others have put them together meanwhile, those that there are now.
    async fn fetch_all(&self, wanted: impl Fn(&Segment) -> bool + Send) -> Result<Vec<Spool>> {
        let mut looks = 0;
        'look: loop {
            looks += 1;
            let segments = self.segments().into_iter().filter(|segment| wanted(segment));
            let mut spools = Vec::new();
            for segment in segments.collect::<Vec<_>>() {
                match self.fetch(&segment, Spool::unnamed()?).await {
                    Ok(spool) => spools.push(spool),
                    Err(error) if error.is_not_found() && looks < MOST_LOOKS => {
                        self.refresh().await?;
                        continue 'look;
                    }
                    Err(error) => return Err(error),
                }
            }
            return Ok(spools);
        }
    }
}

/// The entries of a segment, piece by piece.
fn pieces(scan: Option<Scan>) -> impl Stream<Item = Result<Vec<IndexEntry>>> {
    stream::try_unfold(scan, |scan| async move {
        let Some(mut scan) = scan else { return Ok(None) };
        let next = move || Ok((scan.next()?, scan));
        let (piece, scan) = blocking(next).await?;
        Ok((!piece.is_empty()).then_some((piece, Some(scan))))
    })
}

/// Blobs of packs that are looked at together: about 50 MB.
const MOST_BLOBS: usize = 1 << 18;
