//! Where all sections lie, found from several places at once.

use std::ops::Range;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use super::reader::ScanOptions;
use crate::error::{Error, ErrorKind, Result};
use crate::hash::digest_len;
use crate::input::Input;
use crate::open::Opened;
use crate::options::ReaderOptions;
use crate::read_at::{AtReader, ReadAt, read_full};
use crate::section::{Head, Section, parse_head};
use crate::{CarReader, Header};

/// Gives each section of a CAR in its order, without reading data: the same as [`CarReader::skip_section`], and the same errors, but sooner,
/// since [several threads](ScanOptions::threads) go over a large file from several places. The counterpart of `CarIndexer` in `@ipld/car`.
///
/// Where a section begins in the middle of a file is a guess. What was found from there counts only if the sections from the start of the file on
/// lead to the same place, so that data that looks like sections is never taken for them. Where no guess holds, one thread does it all.
///
/// ```
/// use carstone_car::{CarWriter, ReaderOptions, ScanOptions, codec, scan_sections};
/// let mut writer = CarWriter::new(Vec::new(), &[])?;
/// writer.write_data(codec::RAW, b"hello")?;
/// let car = writer.finish()?;
///
/// let mut sizes = Vec::new();
/// scan_sections(&car, ReaderOptions::default(), ScanOptions::default(), |section| {
///     sizes.push(section.data_len);
///     Ok(())
/// })?;
/// assert_eq!(sizes, [5]);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// What a reader without verification finds, or what `visit` says.
pub fn scan_sections<R: ReadAt + Sync>(
    source: R,
    options: ReaderOptions,
    settings: ScanOptions,
    visit: impl FnMut(Section) -> Result<()>,
) -> Result<()> {
    scan_pieces(source, options, settings.threads, PIECE, visit)
}

fn scan_pieces<R: ReadAt + Sync>(
    source: R,
    options: ReaderOptions,
    threads: usize,
    piece: u64,
    mut visit: impl FnMut(Section) -> Result<()>,
) -> Result<()> {
    let mut reader = CarReader::open_seekable(AtReader::new(&source), options)?;
    let size = source.size().map_err(|error| Error::at(ErrorKind::Io(error), 0))?;
    let start = reader.payload_start();
    let end = reader.v2_header().map_or(size, |v2| v2.data_end().min(size));
    let pieces = Pieces { start, end, piece };
    let threads = threads.min(usize::try_from(pieces.count()).unwrap_or(usize::MAX));
    if threads > 1 {
        thread::scope(|scope| {
            let runs: Vec<_> = (0..threads)
                .map(|first| {
                    let (send, runs) = sync_channel(RUNS_AHEAD);
                    let source = &source;
                    scope.spawn(move || find_runs(source, options, pieces, first, threads, &send));
                    runs
                })
                .collect();
            join(&mut reader, pieces, &runs, &mut visit)
        })?;
    }
    while let Some(section) = reader.skip_section()? {
        visit(section)?;
    }
    Ok(())
}

/// The pieces in which a payload is looked through.
#[derive(Clone, Copy)]
struct Pieces {
    /// Where it begins in the source.
    start: u64,
    /// Where it ends in the source.
    end: u64,
    /// Bytes of each but the last.
    piece: u64,
}

impl Pieces {
    fn len(self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    fn count(self) -> u64 {
        self.len().div_ceil(self.piece)
    }

    /// A piece, as offsets in the payload.
    fn get(self, number: u64) -> Range<u64> {
        let at = |number: u64| number.saturating_mul(self.piece).min(self.len());
        at(number)..at(number.saturating_add(1))
    }
}

/// Sections that follow each other, if the first of them is one.
type Run = Vec<Section>;

/// Gives all sections up to the end of the last piece, by the runs where they lead to the same places.
fn join<R: ReadAt>(
    reader: &mut CarReader<AtReader<R>>,
    pieces: Pieces,
    runs: &[Receiver<Run>],
    visit: &mut impl FnMut(Section) -> Result<()>,
) -> Result<()> {
    for (number, runs) in (0..pieces.count()).zip(runs.iter().cycle()) {
        // A thread that has ended gives no more runs, and none is needed.
        let run = runs.recv().unwrap_or_default();
        let piece = pieces.get(number);
        while reader.position() < piece.end {
            let here = reader.position();
            if let Ok(first) = run.binary_search_by_key(&here, |section| section.offset)
                && reader.pass_to(run.last().map_or(here, Section::end))?
            {
                run[first..].iter().try_for_each(|section| visit(*section))?;
                continue;
            }
            match reader.skip_section()? {
                Some(section) => visit(section)?,
                None => return Ok(()),
            }
        }
    }
    Ok(())
}

/// Looks through every piece that is this thread's turn.
fn find_runs<R: ReadAt>(
    source: &R,
    options: ReaderOptions,
    pieces: Pieces,
    first: usize,
    step: usize,
    send: &SyncSender<Run>,
) {
    for number in (first as u64..pieces.count()).step_by(step) {
        if send.send(find_run(source, options, pieces, number)).is_err() {
            return;
        }
    }
}

/// The sections from the first place in a piece that looks like one.
fn find_run<R: ReadAt>(source: &R, options: ReaderOptions, pieces: Pieces, number: u64) -> Run {
    let piece = pieces.get(number);
    let mut window = vec![0; WINDOW];
    let Ok(read) = read_full(source, &mut window, pieces.start.saturating_add(piece.start)) else {
        return Run::new();
    };
    let places = (0..read).filter(|&at| looks_like_section(&window[at..read], &options));
    for at in places.take(GUESSES) {
        let run = run_from(source, options, pieces, piece.start + at as u64..piece.end);
        if run.len() >= ENOUGH {
            return run;
        }
    }
    Run::new()
}

/// Whether a section may begin here, of a block whose hash is known.
fn looks_like_section(bytes: &[u8], options: &ReaderOptions) -> bool {
    // Most places are told by their first bytes.
    let len = bytes.iter().take(MAX_LEN).take_while(|byte| **byte >= 0x80).count() + 1;
    match bytes.get(len..len + 2) {
        Some([1, _] | [0x12, 0x20]) => {}
        _ => return false,
    }
    match parse_head(bytes, options) {
        Head::Complete(head) => {
            digest_len(head.cid.hash().code()) == Some(head.cid.hash().digest().len())
        }
        _ => false,
    }
}

/// The sections that follow each other from a place on, up to the end of the piece or the first that is none.
fn run_from<R: ReadAt>(
    source: &R,
    options: ReaderOptions,
    pieces: Pieces,
    places: Range<u64>,
) -> Run {
    let at = pieces.start.saturating_add(places.start);
    let input = Input::at(AtReader::starting_at(source, at), places.start, pieces.len());
    let opened = Opened { header: Header::default(), v2: None };
    let mut reader = CarReader::behind_header(input, opened, options);
    let mut run = Run::new();
    while reader.position() < places.end && run.len() < LONGEST {
        match reader.skip_section() {
            Ok(Some(section)) => run.push(section),
            // What it is, is for the reader that comes here from the start to say.
            _ => break,
        }
    }
    run
}

/// Bytes of a payload that one thread looks through at a time.
const PIECE: u64 = if cfg!(fuzzing) { 512 } else { 16 << 20 };
/// Bytes in which the first section of a piece is looked for.
const WINDOW: usize = 64 << 10;
/// Places that are tried in them.
const GUESSES: usize = 64;
/// Sections that make a run worth while.
const ENOUGH: usize = 8;
/// The most sections of a run: 4 MiB of memory.
const LONGEST: usize = 1 << 15;
/// Runs that wait, of each thread.
const RUNS_AHEAD: usize = 2;
/// Bytes of the length of a section, at the most.
const MAX_LEN: usize = 9;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{CarWriter, FileOptions, codec, wrap};

    /// A CAR of blocks of these lengths. Some hold another CAR, some what looks like the start of a section.
    fn car(lens: &[(usize, u8)], inner: &[u8]) -> Vec<u8> {
        let mut writer = CarWriter::new(Vec::new(), &[]).expect("a header");
        for &(len, kind) in lens {
            let mut data = vec![kind; len];
            match kind % 4 {
                0 => data.extend_from_slice(inner),
                1 => data.extend_from_slice(inner.get(20..).unwrap_or_default()),
                2 => data.extend([45, 1, 0x55, 0x12, 0x20].repeat(9)),
                _ => {}
            }
            writer.write_data(codec::RAW, &data).expect("a block");
        }
        writer.finish().expect("finished")
    }

    type Told = (Vec<Section>, Option<String>);

    fn by_reader(car: &[u8], options: ReaderOptions) -> Told {
        let mut found = Vec::new();
        let mut read = || -> Result<()> {
            let mut reader = CarReader::open_seekable(AtReader::new(car), options)?;
            while let Some(section) = reader.skip_section()? {
                found.push(section);
            }
            Ok(())
        };
        let error = read().err().map(|error| format!("{error} {:?}", error.offset()));
        (found, error)
    }

    fn by_pieces(car: &[u8], options: ReaderOptions, threads: usize, piece: u64) -> Told {
        let mut found = Vec::new();
        let scanned = scan_pieces(car, options, threads, piece, |section| {
            found.push(section);
            Ok(())
        });
        (found, scanned.err().map(|error| format!("{error} {:?}", error.offset())))
    }

    proptest! {
        #[test]
        fn sections_are_those_that_a_reader_finds(
            lens in prop::collection::vec((0_usize..3000, any::<u8>()), 0..60),
            cut in prop::option::of(any::<prop::sample::Index>()),
            flip in prop::option::of((any::<prop::sample::Index>(), 1_u8..)),
            zeros in 0_usize..3,
            is_v2 in any::<bool>(),
            tolerant in any::<bool>(),
            threads in 2_usize..5,
            piece in 64_u64..9000,
        ) {
            let inner = car(&lens[..lens.len() / 3], b"");
            let mut bytes = car(&lens, &inner);
            if is_v2 {
                let mut file = std::io::Cursor::new(Vec::new());
                wrap(std::io::Cursor::new(&bytes), &mut file, FileOptions::v2(), ReaderOptions::default())
                    .expect("wrapped");
                bytes = file.into_inner();
            }
            bytes.extend(vec![0; zeros]);
            if let Some((at, bits)) = flip {
                let at = at.index(bytes.len());
                bytes[at] ^= bits;
            }
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            let options = ReaderOptions::default().ignore_trailing_bytes(tolerant);
            prop_assert_eq!(by_pieces(&bytes, options, threads, piece), by_reader(&bytes, options));
        }
    }

    #[test]
    fn most_sections_are_found_from_the_middle() {
        let lens: Vec<_> = (0..400).map(|len| (900 + len, 3)).collect();
        let bytes = car(&lens, b"");
        let (sections, _) = by_reader(&bytes, ReaderOptions::default());
        let pieces = Pieces { start: 0, end: bytes.len() as u64, piece: 50_000 };
        let options = ReaderOptions::default();
        let found =
            (1..pieces.count()).map(|number| find_run(&&bytes[..], options, pieces, number));
        let found: usize =
            found.map(|run| run.iter().filter(|section| sections.contains(section)).count()).sum();
        assert!(found > sections.len() * 3 / 4, "{found} of {}", sections.len());
    }

    #[test]
    fn what_the_visitor_says_ends_the_scan() {
        let bytes = car(&[(3000, 3); 50], b"");
        let mut left = 20;
        let scanned = scan_pieces(&bytes[..], ReaderOptions::default(), 3, 9000, |_| {
            left -= 1;
            match left {
                0 => Err(Error::new(ErrorKind::Io(std::io::Error::other("enough")))),
                _ => Ok(()),
            }
        });
        assert!(scanned.is_err());
        assert_eq!(left, 0);
    }
}
