//! Cuts a CAR stream with holes into sections. Where one starts is known, never guessed.

use std::io;

use carstone_car::{ErrorKind as CarErrorKind, Limits, Section, SectionHead, parse_section};
use carstone_layer::{Cause, FailSafeRead, Gap};
use carstone_pack::{Error, ErrorKind};

/// How far the bytes of a section are known to be those that were written, before its hash is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// All of them stood in whole frames.
    Frame,
    /// They were decoded from the beginning of a frame whose end is missing.
    Cut,
    /// They were decoded from a frame that is damaged somewhere.
    Broken,
}

/// What comes next in the stream.
pub(crate) enum Piece {
    /// A section, whose hash is still to be compared.
    Section { section: Section, data: Vec<u8>, proof: Proof },
    /// Bytes are missing.
    Gap(Gap),
    /// Bytes are there, but are no section.
    Fault(Error),
}

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
    input: Input,
    /// From where on bytes are without proof.
    unproven: Option<(u64, Proof)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// The CAR header is due.
    Header,
    /// The next byte starts a section, or the stream ends.
    Section,
    /// Where the next section starts is not known yet.
    Lost,
    Ended,
}

/// Where bytes come from now.
enum Input {
    Verified,
    /// The readable beginning of this gap.
    Prefix(Gap),
    /// Nothing comes: there is a gap, or the end.
    Stopped(Option<Gap>),
}

/// What came of an attempt to cut a section.
enum Cut {
    Done(Piece),
    /// The bytes ended; `inside` a section or between two.
    Stopped {
        inside: bool,
    },
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
            input: Input::Verified,
            unproven: None,
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
                    Cut::Stopped { inside } => {
                        if let Some(piece) = self.stopped(inside)? {
                            return Ok(Some(piece));
                        }
                    }
                },
                State::Lost => {
                    if let Some(piece) = self.find_section()? {
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
            let read = self.read(&mut window[have..], self.at.saturating_add(have as u64));
            let n = *read.as_ref().unwrap_or(&0);
            window.truncate(have + n);
            self.window = window;
            if read? == 0 {
                break;
            }
        }
        Ok(())
    }

    /// One read; `at` is the offset of the first byte of `buf`. `Ok(0)` where nothing more comes before the next gap is told.
    fn read(&mut self, buf: &mut [u8], at: u64) -> io::Result<usize> {
        loop {
            let n = match &self.input {
                Input::Verified => self.source.read(buf),
                Input::Prefix(_) => self.source.read_unchecked(buf),
                Input::Stopped(_) => return Ok(0),
            };
            match n {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) => self.stop(at)?,
                other => return other,
            }
        }
    }

    /// Finds out why nothing came. What the beginning of a gap still gives follows without a hole.
    fn stop(&mut self, at: u64) -> io::Result<()> {
        self.input = match std::mem::replace(&mut self.input, Input::Verified) {
            Input::Verified => match self.source.next_gap()? {
                Some(gap) if gap.at == at && self.state != State::Lost => {
                    let proof = match gap.cause {
                        Cause::Truncated | Cause::Below(_) => Proof::Cut,
                        _ => Proof::Broken,
                    };
                    self.unproven = Some((at, proof));
                    Input::Prefix(gap)
                }
                gap => Input::Stopped(gap),
            },
            Input::Prefix(gap) => Input::Stopped(Some(gap)),
            stopped @ Input::Stopped(_) => stopped,
        };
        Ok(())
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
                return Ok(Cut::Stopped { inside: have > 0 });
            }
        };
        self.body(&head)
    }

    /// Reads the data of a section; memory grows with what comes.
    fn body(&mut self, head: &SectionHead) -> io::Result<Cut> {
        let offset = self.at;
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
            let n = self.read(&mut data[have..], self.at)?;
            if n == 0 {
                return Ok(Cut::Stopped { inside: true });
            }
            data.truncate(have + n);
            self.at = self.at.saturating_add(n as u64);
        }
        let proof = match self.unproven {
            Some((from, proof)) if self.at > from => proof,
            _ => Proof::Frame,
        };
        let section = Section { cid: head.cid, offset, data_offset, data_len: head.data_len };
        Ok(Cut::Done(Piece::Section { section, data, proof }))
    }

    /// No bytes are left before a gap or the end.
    fn stopped(&mut self, inside: bool) -> io::Result<Option<Piece>> {
        let at = self.at;
        self.drop_window();
        match std::mem::replace(&mut self.input, Input::Verified) {
            Input::Stopped(Some(gap)) | Input::Prefix(gap) => {
                self.state = State::Lost;
                self.unproven = None;
                self.at = self.source.position();
                Ok(Some(Piece::Gap(gap)))
            }
            Input::Stopped(None) | Input::Verified => {
                self.state = State::Ended;
                let cut = ErrorKind::Io(io::ErrorKind::UnexpectedEof.into());
                Ok(inside.then(|| Piece::Fault(Error::new(cut, at))))
            }
        }
    }

    /// Goes to the next section start that a frame states.
    fn find_section(&mut self) -> io::Result<Option<Piece>> {
        self.drop_window();
        if !matches!(self.input, Input::Verified) {
            return self.stopped(false);
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
        match self.read(&mut passed, here)? {
            0 => self.stopped(false),
            _ => Ok(None),
        }
    }
}

/// The header of every pack's CAR stream: CARv1, no roots.
const HEADER: &[u8] = b"\x11\xa2\x65roots\x80\x67version\x01";
/// Enough for the head of a section with a usual CID.
const HEAD: usize = 64;
/// Bytes that are read, and memory that is taken, before it is known whether more come.
const AHEAD: usize = 64 << 10;
