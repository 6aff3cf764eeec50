//! Uploads in parts, which another run can go on with where they are long.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{MultipartId, ObjectStore, ObjectStoreExt, PutPayload, WriteMultipart};
use serde_json::{Value, json};

use super::local::blocking;
use super::remote::told;
use super::{Spool, Turn, read_exact_at};
use crate::error::Result;

/// Sends all parts, and makes an object of them when the turn comes. An upload that fails is given up.
pub(super) async fn send(
    store: &dyn ObjectStore,
    path: &Path,
    spool: &Arc<Spool>,
    mut turn: Turn,
) -> Result<()> {
    let upload = store.put_multipart(path).await.map_err(told)?;
    let mut upload = WriteMultipart::new_with_chunk_size(upload, PART as usize);
    let sent = async {
        for range in parts_of(spool.len()) {
            let bytes = part(spool, range).await?;
            upload.wait_for_capacity(PARTS_AT_ONCE).await.map_err(told)?;
            turn.ask()?;
            upload.put(bytes);
        }
        upload.wait_for_capacity(0).await.map_err(told)?;
        turn.come().await
    };
    match sent.await {
        Ok(()) => upload.finish().await.map(drop).map_err(told),
        Err(error) => {
            // The parts that were sent cost nothing but money; the error that ended it is the one to tell.
            let _ = upload.abort().await;
            Err(error)
        }
    }
}

/// A store that can go on with an upload.
#[derive(Clone)]
pub(super) struct Parts {
    pub(super) store: Arc<dyn MultipartStore>,
    /// After so many bytes it is noted which parts arrived.
    pub(super) each: u64,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").field("each", &self.each).finish_non_exhaustive()
    }
}

/// The same. What was sent is noted in an object beside it, so that another run goes on there.
pub(super) struct Resumable<'a> {
    pub(super) store: &'a dyn ObjectStore,
    pub(super) parts: &'a dyn MultipartStore,
    pub(super) path: &'a Path,
    /// Where it is noted.
    pub(super) note: Path,
    /// After how many parts.
    pub(super) each: usize,
}

/// An upload, and those of its parts that are there: the first ones.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Note {
    upload: MultipartId,
    len: u64,
    parts: Vec<String>,
}

impl Resumable<'_> {
    pub(super) async fn send(&self, spool: &Arc<Spool>, mut turn: Turn) -> Result<()> {
        if let Some(mut note) = read_note(self.store, &self.note, spool.len()).await? {
            let noted = note.parts.len();
            match self.send_parts(&mut note, spool, &mut turn).await {
                Err(error) if note.parts.len() > noted || turn.ask().is_err() => return Err(error),
                // It may have ended in the service meanwhile.
                Err(_) => self.forget(&note.upload).await,
                Ok(()) => {
                    turn.come().await?;
                    match self.complete(&note).await {
                        Ok(()) => return Ok(()),
                        Err(_) => self.forget(&note.upload).await,
                    }
                    turn = Turn::now();
                }
            }
        }
        let upload = self.parts.create_multipart(self.path).await.map_err(told)?;
        let mut note = Note { upload, len: spool.len(), parts: Vec::new() };
        self.send_parts(&mut note, spool, &mut turn).await?;
        turn.come().await?;
        self.complete(&note).await
    }

    /// Sends the parts behind those that are noted. Where that fails, those that arrived are noted.
    async fn send_parts(&self, note: &mut Note, spool: &Arc<Spool>, turn: &mut Turn) -> Result<()> {
        let upload = note.upload.clone();
        let ranges = parts_of(spool.len()).enumerate().skip(note.parts.len());
        let sending = ranges.map(|(at, range)| {
            let upload = &upload;
            async move {
                let payload = PutPayload::from_bytes(part(spool, range).await?);
                self.parts.put_part(self.path, upload, at, payload).await.map_err(told)
            }
        });
        let mut sent = stream::iter(sending).buffered(PARTS_AT_ONCE);
        let mut send = async || {
            while let Some(part) = sent.try_next().await? {
                note.parts.push(part.content_id);
                if note.parts.len().is_multiple_of(self.each) {
                    self.write_note(note).await?;
                }
                turn.ask()?;
            }
            Ok(())
        };
        let sent = send().await;
        if sent.is_err() {
            // The error that ended it is the one to tell; what is not noted is sent again.
            let _ = self.write_note(note).await;
        }
        sent
    }

    async fn complete(&self, note: &Note) -> Result<()> {
        let parts = note.parts.iter().map(|id| PartId { content_id: id.clone() }).collect();
        self.parts.complete_multipart(self.path, &note.upload, parts).await.map_err(told)?;
        // A note of what is over is found to be one by the next who reads it.
        let _ = self.store.delete(&self.note).await;
        Ok(())
    }

    async fn write_note(&self, note: &Note) -> Result<()> {
        let text = format!("{}\n", note.to_json());
        self.store.put(&self.note, text.into()).await.map(drop).map_err(told)
    }

    async fn forget(&self, upload: &MultipartId) {
        // It is most likely gone already; if it is not, the service's own rule ends it.
        let _ = self.parts.abort_multipart(self.path, upload).await;
        let _ = self.store.delete(&self.note).await;
    }
}

/// Gives up an upload that is noted here, of an object at this path.
pub(super) async fn give_up(
    store: &dyn ObjectStore,
    parts: &dyn MultipartStore,
    path: &Path,
    at: &Path,
) -> Result<()> {
    if let Some(note) = note_at(store, at).await? {
        // It may be over.
        let _ = parts.abort_multipart(path, &note.upload).await;
    }
    store.delete(at).await.map_err(told)
}

/// The note of an upload of so many bytes, of which this program makes the same parts.
async fn read_note(store: &dyn ObjectStore, at: &Path, len: u64) -> Result<Option<Note>> {
    let note = note_at(store, at).await?;
    Ok(note.filter(|note| note.len == len && note.parts.len() <= parts_of(len).count()))
}

async fn note_at(store: &dyn ObjectStore, at: &Path) -> Result<Option<Note>> {
    match store.get(at).await {
        Ok(got) if got.meta.size <= MOST_NOTE => {
            Ok(Note::from_json(&got.bytes().await.map_err(told)?))
        }
        Ok(_) | Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(told(error)),
    }
}

impl Note {
    fn to_json(&self) -> Value {
        json!({ "len": self.len, "part": PART, "parts": self.parts, "upload": self.upload })
    }

    fn from_json(text: &[u8]) -> Option<Self> {
        let note: Value = serde_json::from_slice(text).ok()?;
        if note["part"] != PART {
            return None;
        }
        let parts = note["parts"].as_array()?.iter();
        Some(Self {
            upload: note["upload"].as_str()?.to_owned(),
            len: note["len"].as_u64()?,
            parts: parts.map(|id| Some(id.as_str()?.to_owned())).collect::<Option<_>>()?,
        })
    }
}

fn parts_of(len: u64) -> impl Iterator<Item = Range<u64>> {
    (0..len.div_ceil(PART)).map(move |at| at * PART..len.min((at + 1) * PART))
}

/// A part of a spool, in memory.
pub(super) async fn part(spool: &Arc<Spool>, range: Range<u64>) -> Result<Bytes> {
    let spool = Arc::clone(spool);
    blocking(move || {
        let len = usize::try_from(range.end - range.start).map_err(io::Error::other)?;
        let mut bytes = vec![0; len];
        read_exact_at(&*spool, &mut bytes, range.start)?;
        Ok(bytes.into())
    })
    .await
}

/// Bytes of a part of an upload: at least 5 MiB, and in 10,000 of them, the most that S3 takes, 78 GiB.
pub(super) const PART: u64 = 8 << 20;
/// Parts of one upload that are on their way at the same time.
const PARTS_AT_ONCE: usize = 4;
const MOST_NOTE: u64 = 4 << 20;
