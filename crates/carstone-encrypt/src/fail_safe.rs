//! The fail-safe reader: authenticated bytes, and gaps where they are missing.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Read};
use std::ops::Range;

use carstone_layer::{
    Cause, FailSafeRead, Frame, FrameScan, FramesInOrder, Gap, Kind, LayerId, Ordered, PackId,
    Pool, Report, Scanned,
};

use crate::aead::Aead;
use crate::format::STORED_FRAME;
use crate::header::scan;
use crate::keys::Keys;
use crate::opening::{Done, Job, Opened, open, stated_end};
use crate::options::{Work, layers_or_alone};
use crate::{Error, ErrorKind, FailSafeOptions, KeySource, LayerHeader};

/// Reads what can be read of a damaged encrypted stream, front to back.
///
/// Bytes come out only when their frame's tag holds and only in the order of the plain stream: frames that are late or repeated are
/// dropped. The stream ends behind the frame that was sealed as its last; where that never comes, a gap says so. Without a
/// key everything is a gap.
///
/// ```
/// use std::io::{Read, Write};
///
/// use carstone_encrypt::{EncryptFailSafe, EncryptWriter, FRAME_LEN, FailSafeOptions};
/// use carstone_layer::{FailSafeRead, PlainSource};
///
/// let mut writer = EncryptWriter::new(Vec::new(), &[7; 32])?;
/// writer.write_all(&vec![1; 3 * FRAME_LEN])?;
/// let mut stored = writer.finish()?;
/// stored[200_000..200_100].fill(0); // Somewhere in the second frame.
///
/// let source = PlainSource::new(&stored[..]);
/// let mut reader = EncryptFailSafe::new(source, &[7; 32], FailSafeOptions::default())?;
/// let mut plain = Vec::new();
/// reader.read_to_end(&mut plain)?;
/// let gap = reader.next_gap()?.expect("the second frame is lost");
/// assert_eq!((gap.at, gap.len), (FRAME_LEN as u64, Some(FRAME_LEN as u64)));
/// reader.read_to_end(&mut plain)?;
/// assert_eq!(plain.len(), 2 * FRAME_LEN);
/// assert_eq!(reader.next_gap()?, None); // The end.
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct EncryptFailSafe<R> {
    scan: FramesInOrder<R>,
    scan_ended: bool,
    /// What the source gave after the frames that are still in the queue.
    failure: Option<io::Error>,
    opening: Ordered<Job, Done>,
    position: u64,
    current: Option<Opened>,
    /// Gaps before `current`.
    gaps: VecDeque<Gap>,
    /// Plain offset behind everything that was handed on or reported.
    next: u64,
    /// Damage that has been met since, with unknown effect until the next good frame.
    held: Option<Held>,
    /// Where the plain stream ends, as far as frames without proof say.
    hinted_end: Option<u64>,
    /// The layer header has come again, behind the last frame.
    has_end: bool,
    ended: bool,
}

impl<R: FailSafeRead> EncryptFailSafe<R> {
    /// Reads `inner` up to the first layer header, and asks `keys` for its key.
    ///
    /// Data frames before that are lost, unless the options hand the layer header in.
    ///
    /// # Errors
    /// [`ErrorKind::WrongKey`] when the key does not fit, and what `inner` and `keys` give. No key is not an error.
    pub fn new(
        inner: R,
        mut keys: impl KeySource,
        options: FailSafeOptions,
    ) -> Result<Self, Error> {
        let known = options.layer_header;
        let pack = options.pack_id.or_else(|| known.as_ref().map(|header| header.pack_id));
        let mut before = Before { scan: scan(inner, pack), held: None, hinted_end: None };
        let header = match known {
            Some(header) => Some(header),
            None => before.find_header()?,
        };
        let mut aead = None;
        if let Some(header) = &header
            && let Some(key) =
                keys.content_key(&header.envelope).map_err(|error| Error::io(error, 0))?
        {
            let keys = Keys::of_stream(header, &key, &layers_or_alone(options.layers))?;
            aead = Some(Aead::new(&keys.payload, options.work.backend));
        }
        let threads = if aead.is_some() { options.work.threads } else { 1 };
        let pool = Pool::new(threads, move |job| open(aead.as_ref(), job));
        let (frames, _) =
            Work { threads: threads.saturating_mul(4), ..options.work }.split(STORED_FRAME, 1);
        Ok(Self {
            scan: before.scan.in_order(),
            scan_ended: false,
            failure: None,
            opening: Ordered::new(pool, frames * STORED_FRAME),
            position: 0,
            current: None,
            gaps: VecDeque::new(),
            next: 0,
            held: before.held,
            hinted_end: before.hinted_end,
            has_end: false,
            ended: false,
        })
    }

    /// The pack that is read, once a frame of it has been found.
    pub fn pack_id(&self) -> Option<PackId> {
        self.scan.pack()
    }

    /// The reader below.
    pub fn get_ref(&self) -> &R {
        self.scan.get_ref()
    }

    /// Goes on until there are bytes, a gap, or the end.
    fn advance(&mut self) -> io::Result<()> {
        while !self.ended && self.gaps.is_empty() && self.unread().is_empty() {
            if let Some(done) = self.current.take() {
                self.scan.recycle(done.plain);
            }
            self.read_ahead();
            match self.opening.pop() {
                Some(Ok(done)) => self.take(done),
                Some(Err(_)) => return Err(Error::new(ErrorKind::WorkerLost, 0).into()),
                None => match self.failure.take() {
                    Some(error) => return Err(error),
                    None => self.end(),
                },
            }
        }
        Ok(())
    }

    fn read_ahead(&mut self) {
        while !self.scan_ended && self.failure.is_none() && self.opening.has_room(STORED_FRAME) {
            match self.scan.next() {
                Ok(Some(Scanned::Frame(frame))) => {
                    // Frames without a payload are small, but there may be many.
                    let cost = frame.payload.len().saturating_add(STATEMENT);
                    self.opening.push(Job::of_frame(frame), cost);
                }
                Ok(Some(Scanned::Lost { stored, cause, broken, .. })) => {
                    let end = broken.and_then(|frame| stated_end(&frame.header));
                    self.opening.push(Job::Lost { stored, cause, end }, STATEMENT);
                }
                // Later versions of the scan may find other things; they are not ours.
                Ok(Some(_)) => {}
                Ok(None) => self.scan_ended = true,
                // What stands before it is given first.
                Err(error) => self.failure = Some(error),
            }
        }
    }

    fn take(&mut self, done: Done) {
        match done {
            Done::Opened(opened) if opened.start < self.next => {
                // Late or repeated. Its place was filled or reported already.
                self.scan.recycle(opened.plain);
            }
            Done::Opened(opened) => {
                self.report_up_to(opened.start);
                // Damage that left no bytes missing was between the frames.
                self.held = None;
                self.next = opened.start + opened.plain.len() as u64;
                self.ended = opened.last;
                self.current = Some(opened);
            }
            Done::NoKey { start, len, stored, last } => {
                if start < self.next {
                    return;
                }
                self.report_up_to(start);
                self.held = None;
                let gap = Gap::new(LayerId::ENCRYPTION, start, Some(len), Cause::NoKey);
                self.gaps.push_back(gap.with_stored(stored));
                self.next = start + len;
                self.ended = last;
            }
            Done::Lost { stored, cause, end } => {
                Held::extend(&mut self.held, stored, cause);
                self.hinted_end = self.hinted_end.max(end);
            }
            Done::End(end) => self.hinted_end = self.hinted_end.max(Some(end)),
            Done::Nothing => {}
        }
    }

    /// Reads on behind the last frame, where the layer header is repeated, and gives the damage that is there.
    fn pass_over_header(&mut self) -> io::Result<Option<Gap>> {
        let mut lost = None;
        loop {
            self.read_ahead();
            match self.opening.pop() {
                Some(Ok(Done::Lost { stored, cause, .. })) => {
                    lost.get_or_insert((stored, cause));
                }
                Some(Ok(Done::End(_))) => self.has_end = true,
                Some(Ok(_)) => {}
                Some(Err(_)) => return Err(Error::new(ErrorKind::WorkerLost, 0).into()),
                None => match self.failure.take() {
                    Some(error) => return Err(error),
                    None => break,
                },
            }
        }
        let gap = |cause| Gap::new(LayerId::ENCRYPTION, self.next, Some(0), cause);
        Ok(match lost {
            Some((stored, cause)) => Some(gap(cause).with_stored(stored)),
            None if !self.has_end => Some(gap(Cause::Missing)),
            None => None,
        })
    }

    /// Reports what is missing before plain offset `start`.
    fn report_up_to(&mut self, start: u64) {
        if start > self.next {
            let (cause, stored) = match self.held.take() {
                Some(held) => (held.cause, Some(held.stored)),
                None => (Cause::Missing, None),
            };
            self.push_gap(Some(start - self.next), cause, stored);
        }
    }

    /// The source has ended, and the last frame has not come.
    fn end(&mut self) {
        // An end that was stated, but not beyond what came, is no end: then nobody knows how much is missing.
        let len = self.hinted_end.and_then(|end| end.checked_sub(self.next)).filter(|&len| len > 0);
        let (cause, stored) = match self.held.take() {
            Some(Held { cause, stored })
                if len.is_some() || matches!(cause, Cause::NoKey | Cause::Below(_)) =>
            {
                (cause, Some(stored))
            }
            Some(held) => (Cause::Truncated, Some(held.stored)),
            None => (Cause::Truncated, None),
        };
        self.push_gap(len, cause, stored);
        // All that stood there has been passed over, and the gap tells it.
        (self.ended, self.has_end) = (true, true);
    }

    fn push_gap(&mut self, len: Option<u64>, cause: Cause, stored: Option<Range<u64>>) {
        let mut gap = Gap::new(LayerId::ENCRYPTION, self.next, len, cause);
        gap.stored = stored;
        self.gaps.push_back(gap);
    }

    fn unread(&self) -> &[u8] {
        self.current.as_ref().and_then(|opened| opened.plain.get(opened.read..)).unwrap_or_default()
    }
}

impl<R: FailSafeRead> Read for EncryptFailSafe<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        self.advance()?;
        if !self.gaps.is_empty() {
            return Ok(0);
        }
        let mut unread = self.unread();
        let n = unread.read(buf)?;
        if let Some(opened) = &mut self.current {
            opened.read += n;
        }
        self.position += n as u64;
        Ok(n)
    }
}

impl<R: FailSafeRead> FailSafeRead for EncryptFailSafe<R> {
    fn position(&self) -> u64 {
        self.position
    }

    fn next_gap(&mut self) -> io::Result<Option<Gap>> {
        self.advance()?;
        let gap = self.gaps.pop_front();
        if let Some(gap) = &gap {
            self.position = gap.at + gap.len.unwrap_or(0);
        }
        Ok(gap)
    }

    fn next_boundary(&mut self) -> Option<u64> {
        // The next frame names its boundary before a large read can pass it.
        if let Err(error) = self.advance() {
            self.failure.get_or_insert(error);
        }
        let opened = self.current.as_ref()?;
        let at = opened.start + u64::from(opened.boundary?);
        (at >= self.position).then_some(at)
    }

    fn check_end(&mut self) -> io::Result<Option<Gap>> {
        let behind = self.pass_over_header()?;
        let gap = |cause| Gap::new(LayerId::ENCRYPTION, self.next, Some(0), cause);
        let moved = self.scan.out_of_order();
        let moved = moved.map(|stored| gap(Cause::OutOfOrder).with_stored(stored));
        let below = self.scan.check_end()?;
        Ok(behind.or(moved).or_else(|| below.map(|below| gap(Cause::Below(Box::new(below))))))
    }

    fn drain_report(&mut self, report: &mut Report) {
        self.scan.drain_report(report);
    }
}

impl<R> fmt::Debug for EncryptFailSafe<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncryptFailSafe").field("position", &self.position).finish_non_exhaustive()
    }
}

/// The scan before a layer header has been found.
struct Before<R> {
    scan: FrameScan<R>,
    held: Option<Held>,
    hinted_end: Option<u64>,
}

impl<R: FailSafeRead> Before<R> {
    fn find_header(&mut self) -> Result<Option<LayerHeader>, Error> {
        loop {
            match self.scan.next().map_err(|error| Error::io(error, self.scan.position()))? {
                Some(Scanned::Frame(Frame { header, payload, at, .. })) => {
                    if let Some(found) = LayerHeader::in_frame(&header, &payload) {
                        if header.kind == Kind::LAYER_HEADER && header.sequence > 0 {
                            self.hinted_end = self.hinted_end.max(Some(header.plain_offset));
                        }
                        return Ok(Some(found));
                    }
                    if header.kind == Kind::DATA {
                        // It cannot be opened any more when the key comes.
                        let stored = at..at.saturating_add(header.frame_len());
                        Held::extend(&mut self.held, stored, Cause::NoKey);
                        if let Some(held) = &mut self.held {
                            held.cause = Cause::NoKey;
                        }
                        self.hinted_end = self.hinted_end.max(stated_end(&header));
                    }
                    self.scan.recycle(payload);
                }
                Some(Scanned::Lost { stored, cause, broken, .. }) => {
                    Held::extend(&mut self.held, stored, cause);
                    let end = broken.and_then(|frame| stated_end(&frame.header));
                    self.hinted_end = self.hinted_end.max(end);
                }
                Some(_) => {}
                None => return Ok(None),
            }
        }
    }
}

struct Held {
    stored: Range<u64>,
    cause: Cause,
}

impl Held {
    /// The first cause counts: what follows is often its effect.
    fn extend(held: &mut Option<Self>, stored: Range<u64>, cause: Cause) {
        match held {
            Some(held) => held.stored.end = held.stored.end.max(stored.end),
            None => *held = Some(Self { stored, cause }),
        }
    }
}

/// What a frame or a loss costs in the queue besides its payload.
const STATEMENT: usize = 1 << 10;
