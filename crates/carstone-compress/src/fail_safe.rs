//! The fail-safe reading side: all that is intact, in order, with the gaps between.

mod end;

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;

use carstone_layer::{
    Cause, FailSafeRead, FrameScan, FramesInOrder, Gap, LayerId, Ordered, PackId, Pool, Report,
    default_threads,
};

use crate::footer::scan_limits;
use crate::salvage::{Broken, Done, Gone, Job, KEPT_BESIDES, Lost, Plain, Salvage};
use crate::seen::SeenCodecs;
use crate::unchecked::Unchecked;
use crate::{Codec, Error, ErrorKind, ReadOptions};
use end::FooterSeen;

/// Reads what can be read of a damaged compressed stream, front to back.
///
/// Bytes come out only when their frame's checksum holds, and only in the order of the plain stream: frames that are late or
/// repeated are dropped, and what late ones held has been reported as a gap by then. The stream ends behind the last data frame; where that
/// never comes, a gap says so.
///
/// ```
/// use std::io::{Read, Write};
/// use carstone_compress::{CompressFailSafe, CompressOptions, CompressWriter, ReadOptions};
/// use carstone_layer::{FailSafeRead, PlainSource};
///
/// let options = CompressOptions::default().block_size(1 << 16);
/// let mut writer = CompressWriter::with_options(Vec::new(), options)?;
/// writer.write_all(&b"keystone".repeat(20_000))?;
/// let mut stored = writer.finish()?;
/// stored[100..120].fill(0); // In the payload of the first frame.
///
/// let mut reader = CompressFailSafe::new(PlainSource::new(&stored[..]), ReadOptions::default());
/// let mut plain = Vec::new();
/// reader.read_to_end(&mut plain)?;
/// let gap = reader.next_gap()?.expect("the first frame is lost");
/// assert_eq!((gap.at, gap.len), (0, Some(65_536)));
/// reader.read_to_end(&mut plain)?;
/// assert_eq!(plain.len(), 160_000 - 65_536);
/// assert_eq!(reader.next_gap()?, None); // The end.
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct CompressFailSafe<R> {
    scan: FramesInOrder<R>,
    scan_ended: bool,
    /// What the source gave behind the frames that are still in the queue.
    failure: Option<io::Error>,
    queue: Ordered<Job, Done>,
    salvage: Arc<Salvage>,
    position: u64,
    current: Option<Plain>,
    /// Gaps before `current`.
    gaps: VecDeque<(Gap, Unchecked)>,
    /// What can be decoded of the gap that was given last.
    unchecked: Unchecked,
    /// Section starts that the frames read so far state, and the plain offset behind these frames.
    boundaries: VecDeque<u64>,
    scanned: u64,
    /// Plain offset behind everything that was handed on or reported.
    next: u64,
    /// A frame that is lost, unless it comes again next.
    gone: Option<Gone>,
    /// Damage met since, whose effect the next good frame tells.
    held: Option<Lost>,
    /// Where the plain stream ends, as the footer says.
    stated_end: Option<u64>,
    footer: FooterSeen,
    ended: bool,
}

impl<R: FailSafeRead> CompressFailSafe<R> {
    /// Reads `inner` from where it stands; a stream that begins in the middle is fine. Without a pack id in the options that of
    /// the first good frame is taken.
    pub fn new(inner: R, options: ReadOptions) -> Self {
        let limit = options.block_limit();
        let threads = if options.threads == 0 { default_threads() } else { options.threads };
        let salvage = Arc::new(Salvage::new(limit, threads.saturating_add(2)));
        let worker = Arc::clone(&salvage);
        let pool = Pool::new(threads, move |job| worker.work(job));
        let limits = scan_limits(limit);
        let scan = FrameScan::new(inner, LayerId::COMPRESSION, options.pack_id, limits);
        Self {
            scan: scan.keeping(limit as usize + KEPT_BESIDES).in_order(),
            scan_ended: false,
            failure: None,
            queue: Ordered::new(pool, options.budget),
            salvage,
            position: 0,
            current: None,
            gaps: VecDeque::new(),
            unchecked: Unchecked::None,
            boundaries: VecDeque::new(),
            scanned: 0,
            next: 0,
            gone: None,
            held: None,
            stated_end: None,
            footer: FooterSeen::default(),
            ended: false,
        }
    }

    /// The pack that is read, once a frame of it has been found.
    pub fn pack_id(&self) -> Option<PackId> {
        self.scan.pack()
    }

    /// Hears which codecs the frames have that are read.
    pub fn seen_codecs(&self) -> SeenCodecs {
        self.salvage.seen.clone()
    }

    /// The reader below.
    pub fn get_ref(&self) -> &R {
        self.scan.get_ref()
    }

    /// Goes on until there are bytes, a gap, or the end.
    fn advance(&mut self) -> io::Result<()> {
        while !self.ended && self.gaps.is_empty() && self.unread().is_empty() {
            self.recycle();
            self.read_ahead();
            match self.queue.pop() {
                Some(Ok(done)) => self.take(done)?,
                Some(Err(_)) => {
                    return Err(Error::new(ErrorKind::WorkerLost, self.scan.position()).into());
                }
                None => match (self.gone.take(), self.failure.take()) {
                    (Some(gone), failure) => {
                        self.failure = failure;
                        self.lose(gone)?;
                    }
                    (None, Some(error)) => return Err(error),
                    (None, None) => self.end(),
                },
            }
        }
        Ok(())
    }

    fn drop_passed_boundaries(&mut self) {
        while self.boundaries.front().is_some_and(|&at| at < self.position) {
            self.boundaries.pop_front();
        }
    }

    fn read_ahead(&mut self) {
        self.drop_passed_boundaries();
        // What a frame will cost is known when it is there; one may be over the budget.
        while !self.scan_ended && self.failure.is_none() && self.queue.has_room(1) {
            match self.scan.next() {
                Ok(Some(scanned)) => {
                    let job = Job::new(scanned);
                    if let Some((range, boundary)) = job.data()
                        && range.start >= self.scanned
                    {
                        self.scanned = range.end;
                        self.boundaries.extend(boundary);
                    }
                    // Statements of loss are small, but there may be many.
                    let cost = job.cost(self.salvage.limit).saturating_add(STATEMENT);
                    match job.is_work() {
                        true => self.queue.push(job, cost),
                        false => self.queue.push_done(self.salvage.work(job), cost),
                    }
                }
                Ok(None) => self.scan_ended = true,
                // What stands before it is given first.
                Err(error) => self.failure = Some(error),
            }
        }
    }

    fn take(&mut self, done: Done) -> io::Result<()> {
        let mut lost = Ok(());
        if let Some(gone) = self.gone.take() {
            match &done {
                // Where bytes were repeated, the frame may come again, whole.
                Done::Plain(plain) if plain.start == gone.start => {}
                Done::Lost(rest) if gone.goes_on_in(rest) => {
                    self.gone = Some(gone);
                }
                _ => lost = self.lose(gone),
            }
        }
        match done {
            Done::Footer(footer) if self.ended => self.footer.take(&footer),
            _ if self.ended => {}
            Done::Plain(plain) if plain.start < self.next => {
                // Late or repeated: its place was filled or reported already.
                self.current = Some(plain);
                self.recycle();
            }
            Done::Plain(plain) => {
                self.report_up_to(plain.start);
                self.next = plain.start.saturating_add(plain.len as u64);
                self.ended = plain.last;
                self.current = Some(plain);
            }
            Done::Gone(gone) => self.gone = Some(gone),
            Done::Lost(next) => match (&mut self.gone, &mut self.held) {
                (Some(gone), _) => gone.go_on(next),
                (None, Some(held)) => held.go_on(next),
                (None, held) => *held = Some(next),
            },
            Done::Footer(footer) => self.stated_end = self.stated_end.max(Some(footer.end)),
            Done::Nothing => {}
        }
        lost
    }

    /// A frame is lost, and its header says what it held.
    fn lose(&mut self, gone: Gone) -> io::Result<()> {
        let Gone { start, len, last, stored, cause, broken, unknown_codec, rest, behind } = gone;
        if start < self.next {
            return Ok(());
        }
        self.report_up_to(start);
        let (at, codec) = (stored.start, broken.as_ref().map(Broken::codec));
        let rest = rest.map(|rest| (rest.stored.clone(), rest.into_last(len))).unwrap_or_default();
        let before = len.saturating_sub(rest.1.len() as u64);
        let prefix = broken.map_or(Unchecked::None, Unchecked::Broken);
        let gaps = [
            (start, before, stored, cause, prefix),
            (start.saturating_add(before), len - before, rest.0, Cause::Corrupt, rest.1.into()),
        ];
        for (at, len, stored, cause, unchecked) in gaps {
            if len > 0 {
                let gap = Gap::new(LayerId::COMPRESSION, at, Some(len), cause);
                self.gaps.push_back((gap.with_stored(stored), unchecked));
            }
        }
        self.held = behind;
        self.next = start.saturating_add(len);
        self.ended = last;
        match codec {
            Some(codec) if unknown_codec && len > 0 => {
                Err(Error::new(ErrorKind::UnknownCodec { codec }, at).into())
            }
            _ => Ok(()),
        }
    }

    /// Reports what is missing before the frame at plain offset `start`. Damage that left nothing missing stood between frames.
    fn report_up_to(&mut self, start: u64) {
        let held = self.held.take();
        if start > self.next {
            self.push_gap(Some(start - self.next), Cause::Missing, held);
        }
    }

    /// The source has ended, and the last frame has not come.
    fn end(&mut self) {
        // An end that was stated, but lies not behind what came, is none.
        let end = self.stated_end.filter(|&end| end > self.next);
        let len = end.map(|end| end - self.next);
        let mut held = self.held.take();
        if let Some(held) = &mut held
            && len.is_none()
            && !matches!(held.cause, Cause::Below(_))
        {
            held.cause = Cause::Truncated;
        }
        self.push_gap(len, Cause::Truncated, held);
        self.next = end.unwrap_or(self.next);
        self.ended = true;
        // All that stood there has been passed over, and the gap tells it.
        self.footer.is_whole = true;
    }

    /// A gap from here on, and what can be read of it: where a frame without its header was not compressed, what stood there is the end of what is missing.
    fn push_gap(&mut self, len: Option<u64>, cause: Cause, held: Option<Lost>) {
        let (mut stored, mut cause, mut bytes) = (None, cause, Vec::new());
        if let Some(held) = held {
            (stored, cause) = (Some(held.stored.clone()), held.cause.clone());
            let is_plain = match len {
                Some(len) => held.may_be_plain(len),
                None => matches!(self.salvage.seen.codec(), None | Some(Codec::Stored)),
            };
            if is_plain {
                bytes = held.into_last(len.unwrap_or(u64::MAX));
            }
        }
        let mut at = self.next;
        let mut push = |at, len, unchecked: Vec<u8>| {
            let mut gap = Gap::new(LayerId::COMPRESSION, at, len, cause.clone());
            gap.stored.clone_from(&stored);
            self.gaps.push_back((gap, unchecked.into()));
        };
        let known = len.map(|len| len.min(bytes.len() as u64));
        let before = len.zip(known).map_or(0, |(len, known)| len - known);
        if before > 0 {
            push(at, Some(before), Vec::new());
            at = at.saturating_add(before);
        }
        if known != Some(0) {
            push(at, known, bytes);
        }
    }

    /// Gives the buffers of the current frame back.
    fn recycle(&mut self) {
        if let Some(Plain { bytes, payload, .. }) = self.current.take() {
            match payload {
                Some(payload) => {
                    self.scan.recycle(payload);
                    self.salvage.buffers.give(bytes);
                }
                None => self.scan.recycle(bytes),
            }
        }
    }

    fn unread(&self) -> &[u8] {
        self.current
            .as_ref()
            .and_then(|plain| plain.bytes.get(plain.read..plain.len))
            .unwrap_or_default()
    }
}

impl<R: FailSafeRead> Read for CompressFailSafe<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        self.unchecked = Unchecked::None;
        self.advance()?;
        if !self.gaps.is_empty() {
            return Ok(0);
        }
        let n = self.unread().read(buf)?;
        if let Some(plain) = &mut self.current {
            plain.read += n;
        }
        self.position = self.position.saturating_add(n as u64);
        Ok(n)
    }
}

impl<R: FailSafeRead> FailSafeRead for CompressFailSafe<R> {
    fn position(&self) -> u64 {
        self.position
    }

    fn next_gap(&mut self) -> io::Result<Option<Gap>> {
        self.unchecked = Unchecked::None;
        self.advance()?;
        // Bytes that stand before the gap are read first.
        let Some((gap, unchecked)) = self.gaps.pop_front() else { return Ok(None) };
        self.position = gap.at.saturating_add(gap.len.unwrap_or(0));
        self.unchecked = unchecked;
        Ok(Some(gap))
    }

    fn next_boundary(&mut self) -> Option<u64> {
        if let Err(error) = self.advance() {
            self.failure.get_or_insert(error);
        }
        self.drop_passed_boundaries();
        self.boundaries.front().copied()
    }

    fn read_unchecked(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.unchecked.read(buf)
    }

    fn check_end(&mut self) -> io::Result<Option<Gap>> {
        self.check_footer()
    }

    fn drain_report(&mut self, report: &mut Report) {
        self.scan.drain_report(report);
    }
}

impl<R> fmt::Debug for CompressFailSafe<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompressFailSafe")
            .field("position", &self.position)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

const STATEMENT: usize = 1 << 10;
