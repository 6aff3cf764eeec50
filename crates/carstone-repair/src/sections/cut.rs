//! Cuts a CAR stream with holes into sections. In whole frames it is known where one starts, and behind a hole the next frame states it.

use std::io;

use carstone_car::{ErrorKind as CarErrorKind, Limits, Section, SectionHead, parse_section};
use carstone_layer::{FailSafeRead, Gap};
use carstone_pack::{Error, ErrorKind};

use super::broken::Broken;
use super::{Begun, HEADER, Piece};

/// Cuts sections out of what a fail-safe stack gives.
pub(crate) struct Cutter<R> {
    source: R,
    limits: Limits,
    /// Bytes read and not yet used are `window[start..]`.
    window: Vec<u8>,
    start: usize,
    /// Offset in the CAR stream of the next byte to use.
    at: u64,
    state: State,
    /// What the source stopped at: nothing comes before that is told.
    stopped: Option<Option<Gap>>,
    /// What can be read of a gap.
    broken: Broken,
    /// What comes behind a piece that was given.
    next: Option<Piece>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// The CAR header is due.
    Header,
    /// The next byte starts a section, or the stream ends.
    Section,
    /// Where the next section starts is not known yet.
    Lost,
    /// There are bytes of a gap.
    Broken,
    Ended,
}

/// What came of an attempt to cut a section.
enum Cut {
    Done(Piece),
    /// The bytes ended, behind these of a section; they begin here.
    Stopped(u64, Vec<u8>),
}

impl<R: FailSafeRead> Cutter<R> {
    pub(crate) fn new(source: R) -> Self {
        let at = source.position();
        let state = if at == 0 { State::Header } else { State::Lost };
        Self {
            source,
            limits: Limits::default(),
            window: Vec::new(),
            start: 0,
            at,
            state,
            stopped: None,
            broken: Broken::new(),
            next: None,
        }
    }

    pub(crate) fn get_mut(&mut self) -> &mut R {
        &mut self.source
    }

    /// What comes next; `None` at the end.
    ///
    /// # Errors
    /// Only what the source gives.
    pub(crate) fn next(&mut self) -> io::Result<Option<Piece>> {
        if let Some(piece) = self.next.take() {
            return Ok(Some(piece));
        }
        loop {
            match self.state {
                State::Header => {
                    self.fill(HEADER.len())?;
                    self.state = match self.bytes().starts_with(HEADER) {
                        true => {
                            self.advance(HEADER.len());
                            State::Section
                        }
                        false => State::Lost,
                    };
                }
                State::Section => match self.section()? {
                    Cut::Done(piece) => return Ok(Some(piece)),
                    Cut::Stopped(at, begun) => {
                        if let Some(piece) = self.stopped(Some((at, begun)))? {
                            return Ok(Some(piece));
                        }
                    }
                },
                State::Lost => {
                    if let Some(piece) = self.find_section()? {
                        return Ok(Some(piece));
                    }
                }
                State::Broken => {
                    if let Some(piece) = self.broken()? {
                        return Ok(Some(piece));
                    }
                }
                State::Ended => return Ok(None),
            }
        }
    }

    fn bytes(&self) -> &[u8] {
        &self.window[self.start..]
    }

    fn advance(&mut self, n: usize) {
        self.start += n;
        self.at = self.at.saturating_add(n as u64);
        if self.start == self.window.len() {
            self.start = 0;
            self.window.clear();
        }
    }

    fn drop_window(&mut self) {
        self.advance(self.window.len() - self.start);
    }

    /// Reads until `wanted` bytes are in the window, or no more come.
    fn fill(&mut self, wanted: usize) -> io::Result<()> {
        while self.bytes().len() < wanted {
            if self.start > 0 {
                self.window.drain(..self.start);
                self.start = 0;
            }
            let have = self.window.len();
            let mut window = std::mem::take(&mut self.window);
            window.resize(have + AHEAD, 0);
            let read = self.read(&mut window[have..]);
            let n = *read.as_ref().unwrap_or(&0);
            window.truncate(have + n);
            self.window = window;
            if read? == 0 {
                break;
            }
        }
        Ok(())
    }

    /// One read. `Ok(0)` where nothing more comes before the next gap is told.
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        read(&mut self.source, &mut self.stopped, buf)
    }

    fn section(&mut self) -> io::Result<Cut> {
        self.fill(HEAD)?;
        let head = loop {
            let at_least = match parse_section(self.bytes(), &self.limits) {
                Ok(head) => break head,
                Err(error) => match error.kind() {
                    CarErrorKind::NeedMore { at_least, .. } => *at_least,
                    _ => {
                        let fault = Error::from(error.with_offset(self.at));
                        self.state = State::Lost;
                        return Ok(Cut::Done(Piece::Fault(fault)));
                    }
                },
            };
            let have = self.bytes().len();
            self.fill(at_least.max(have + 1))?;
            if self.bytes().len() == have {
                let begun = self.bytes().to_vec();
                return Ok(Cut::Stopped(self.at, begun));
            }
        };
        self.body(&head)
    }

    /// Reads the data of a section; memory grows with what comes.
    fn body(&mut self, head: &SectionHead) -> io::Result<Cut> {
        let offset = self.at;
        let kept = Head::of(self.bytes(), head);
        self.advance(head.head_len);
        let data_offset = self.at;
        let known = self.bytes().len().min(head.data_len);
        let mut data = Vec::with_capacity(head.data_len.min(known.max(AHEAD)));
        data.extend_from_slice(&self.bytes()[..known]);
        self.advance(known);
        while data.len() < head.data_len {
            let have = data.len();
            let step = (head.data_len - have).min(have.max(AHEAD));
            data.resize(have + step, 0);
            let n = self.read(&mut data[have..])?;
            data.truncate(have + n);
            self.at = self.at.saturating_add(n as u64);
            if n == 0 {
                return Ok(Cut::Stopped(offset, kept.with(&data)));
            }
        }
        let section = Section { cid: head.cid, offset, data_offset, data_len: head.data_len };
        Ok(Cut::Done(Piece::Section { section, data }))
    }

    /// No bytes are left before a gap or the end. `due` is where a section is due or has begun, and what there is of it.
    fn stopped(&mut self, due: Option<(u64, Vec<u8>)>) -> io::Result<Option<Piece>> {
        self.drop_window();
        match self.stopped.take() {
            Some(Some(gap)) => {
                let Some((gap, begun)) = self.broken.take_up(&mut self.source, gap, due)? else {
                    self.state = State::Broken;
                    return Ok(None);
                };
                self.go_on();
                Ok(Some(self.behind(&begun, Piece::Gap(gap))))
            }
            _ => {
                self.state = State::Ended;
                let cut = ErrorKind::Io(io::ErrorKind::UnexpectedEof.into());
                let begun = due.filter(|(_, begun)| !begun.is_empty());
                Ok(begun.map(|(at, begun)| {
                    let at = at.saturating_add(begun.len() as u64);
                    self.behind(&begun, Piece::Fault(Error::new(cut, at)))
                }))
            }
        }
    }

    /// What there is of a section that has begun, if anything, and then `piece`.
    fn behind(&mut self, section: &[u8], piece: Piece) -> Piece {
        match Begun::of(section, section.len()) {
            Some(begun) => {
                self.next = Some(piece);
                Piece::Begun(begun)
            }
            None => piece,
        }
    }

    /// Goes on behind a gap.
    fn go_on(&mut self) {
        self.state = State::Lost;
        self.at = self.source.position();
    }

    /// What can be read of a gap, part by part.
    fn broken(&mut self) -> io::Result<Option<Piece>> {
        let Self { broken, source, stopped, .. } = self;
        let piece = broken.next(&mut |missing| rest(source, stopped, missing))?;
        if piece.is_none() {
            self.go_on();
        }
        Ok(piece)
    }

    /// Goes to the next section start that a frame states.
    fn find_section(&mut self) -> io::Result<Option<Piece>> {
        self.drop_window();
        if self.stopped.is_some() {
            return self.stopped(None);
        }
        let here = self.source.position();
        let start = self.source.next_boundary();
        let wanted = start.map_or(AHEAD as u64, |start| start.saturating_sub(here));
        if wanted == 0 {
            self.at = here;
            self.state = State::Section;
            return Ok(None);
        }
        let mut passed = vec![0; AHEAD.min(usize::try_from(wanted).unwrap_or(AHEAD))];
        match self.read(&mut passed)? {
            0 => self.stopped(None),
            _ => Ok(None),
        }
    }
}

fn read<R: FailSafeRead>(
    source: &mut R,
    stopped: &mut Option<Option<Gap>>,
    buf: &mut [u8],
) -> io::Result<usize> {
    while stopped.is_none() {
        match source.read(buf) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(0) => *stopped = Some(source.next_gap()?),
            other => return other,
        }
    }
    Ok(0)
}

/// The bytes up to where the frame behind a gap says that a section starts. Where a section that began in the gap has so many `missing`, only if it is so many.
fn rest<R: FailSafeRead>(
    source: &mut R,
    stopped: &mut Option<Option<Gap>>,
    missing: Option<usize>,
) -> io::Result<Option<Vec<u8>>> {
    if stopped.is_some() {
        return Ok(None);
    }
    let here = source.position();
    let stated = source.next_boundary().and_then(|at| usize::try_from(at.checked_sub(here)?).ok());
    let most = Limits::default().section + LONGEST_HEAD;
    let Some(missing) =
        stated.filter(|&n| n <= missing.unwrap_or(most) && n >= missing.unwrap_or(1))
    else {
        return Ok(None);
    };
    let mut rest = Vec::new();
    while rest.len() < missing {
        let have = rest.len();
        rest.resize(missing.min(have + AHEAD), 0);
        let n = read(source, stopped, &mut rest[have..])?;
        rest.truncate(have + n);
        if n == 0 {
            return Ok(None);
        }
    }
    Ok(Some(rest))
}

/// The head of a section, kept until its data are there.
struct Head {
    bytes: [u8; LONGEST_HEAD],
    len: usize,
}

impl Head {
    fn of(section: &[u8], head: &SectionHead) -> Self {
        let mut kept = Self { bytes: [0; LONGEST_HEAD], len: 0 };
        if let Some(bytes) = section.get(..head.head_len)
            && let Some(room) = kept.bytes.get_mut(..head.head_len)
        {
            room.copy_from_slice(bytes);
            kept.len = head.head_len;
        }
        kept
    }

    /// The section as far as it is there; nothing where its head is too long to be kept.
    fn with(&self, data: &[u8]) -> Vec<u8> {
        match self.bytes.get(..self.len) {
            Some(head) if self.len > 0 => [head, data].concat(),
            _ => Vec::new(),
        }
    }
}

/// Enough for the head of a section with a usual CID.
const HEAD: usize = 64;
/// Bytes that are read, and memory that is taken, before it is known whether more come.
const AHEAD: usize = 64 << 10;
/// More than the head of any section of a pack has.
const LONGEST_HEAD: usize = 128;
