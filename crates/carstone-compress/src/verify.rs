//! Checks a whole stored stream, front to back.

use std::sync::Arc;

use carstone_layer::{FrameHeader, Kind, Ordered, Pool, ReadAt};

use crate::fetch::{Fetch, Raw};
use crate::format::{Entry, PAGE_ENTRIES, Tail};
use crate::walk::{Walk, is_data};
use crate::{Error, ErrorKind};

/// Reads every frame once; payloads are checked on `threads` threads.
pub(crate) fn verify<R: ReadAt>(
    source: &R,
    size: u64,
    fetch: &Arc<Fetch>,
    threads: usize,
    budget: usize,
    mut progress: impl FnMut(u64),
) -> Result<(), Error> {
    let worker = Arc::clone(fetch);
    let mut queue = Ordered::new(Pool::new(threads, move |raw| check(&worker, raw)), budget);
    let mut done = |verified: Result<Result<u64, Error>, carstone_layer::Error>| {
        let end = verified.map_err(|_| Error::new(ErrorKind::WorkerLost, 0))??;
        progress(end);
        Ok::<_, Error>(())
    };
    let mut walk = Walk::new(fetch.rules, size);
    let mut footer = Footer::default();
    loop {
        // A payload that was handed in before a damaged header is the first fault.
        let next = walk.next(source).and_then(|next| match next {
            Some((at, header)) => load(fetch, source, at, header).map(Some),
            None => Ok(None),
        });
        let raw = match next {
            Ok(Some(raw)) => raw,
            ended => {
                while let Some(verified) = queue.pop() {
                    done(verified)?;
                }
                ended?;
                break;
            }
        };
        let (header, at) = (raw.header, raw.at);
        if is_data(&header) {
            footer.entries.push(Entry { plain: header.plain_offset, stored: at });
        } else if header.kind == Kind::FOOTER {
            footer.check(&raw, &walk)?;
        }
        let cost = raw.payload().len().saturating_add(header.plain_len as usize);
        while !queue.has_room(cost)
            && let Some(verified) = queue.pop()
        {
            done(verified)?;
        }
        queue.push(raw, cost);
        while let Some(verified) = queue.pop_ready() {
            done(verified)?;
        }
    }
    if footer.ended { Ok(()) } else { Err(Error::new(ErrorKind::Truncated, size)) }
}

fn load<R: ReadAt>(fetch: &Fetch, source: &R, at: u64, header: FrameHeader) -> Result<Raw, Error> {
    let len = header.stored_len as usize;
    let mut buffer = fetch.buffers.take(len);
    let payload_at = at.saturating_add(header.frame_len() - u64::from(header.stored_len));
    source
        .read_exact_at(&mut buffer[..len], payload_at)
        .map_err(|error| Error::io(error, payload_at))?;
    Ok(Raw { header, at, buffer, range: 0..len })
}

/// Checks one frame and gives the plain offset behind it.
fn check(fetch: &Fetch, raw: Raw) -> Result<u64, Error> {
    let (header, at) = (raw.header, raw.at);
    if is_data(&header) {
        raw.check_readable()?;
    }
    if !header.payload_is_intact(raw.payload()) {
        return Err(Error::new(ErrorKind::BadChecksum { frame: header.sequence }, at));
    }
    if is_data(&header) {
        fetch.buffers.give(fetch.decode(raw)?.into_buffer());
    } else {
        fetch.buffers.give(raw.buffer);
    }
    Ok(header.plain_end().unwrap_or(header.plain_offset))
}

/// The footer as the data frames say it must be.
#[derive(Default)]
struct Footer {
    entries: Vec<Entry>,
    pages: u64,
    pages_at: u64,
    ended: bool,
}

impl Footer {
    fn check(&mut self, raw: &Raw, walk: &Walk) -> Result<(), Error> {
        let header = &raw.header;
        let wrong = |what| Err(Error::new(ErrorKind::BadFooter(what), raw.at));
        if !walk.ended || self.ended {
            return wrong("place");
        }
        if self.pages == 0 {
            self.pages_at = raw.at;
        }
        let tail = Tail::new(walk.plain, walk.frames, self.pages_at);
        let last = self.pages == tail.pages;
        if header.sequence != self.pages || header.last != last || header.plain_offset != walk.plain
        {
            return wrong("header");
        }
        let mut expected = Vec::with_capacity(raw.payload().len());
        if last {
            expected.extend_from_slice(&tail.encode());
        } else {
            let from = usize::try_from(self.pages * PAGE_ENTRIES).unwrap_or(usize::MAX);
            let rest = self.entries.get(from..).unwrap_or_default();
            rest.iter().take(PAGE_ENTRIES as usize).for_each(|e| e.encode_into(&mut expected));
        }
        if raw.payload() != expected {
            return wrong(if last { "tail" } else { "entry" });
        }
        self.pages += 1;
        self.ended = last;
        Ok(())
    }
}
