//! Parity: its frames, its table, and the search for cells that moved.

use std::io;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use carstone::layer::{ReadAt, crc64, digest16};
use carstone_parity::{
    Error, ErrorKind, Healed, Memory, Options, Parity, ProtectionId, Share, Survey, heal, protect,
};
use sha2::{Digest, Sha256};

use crate::damage::accidents;
use crate::input::{Input, choices, noise};

/// Any bytes as parity, or the frames of parity changed and under sums that fit: it ends, reads no more than so much, and what is whole has the
/// hashes that are stated; without forged frames, it is the stream that was protected.
pub(crate) fn frames(data: &[u8]) {
    let mut input = Input::new(data);
    let (stream, parity) = &*SMALL;
    let (mut source, mut parity) = (stream.clone(), parity.clone());
    let is_forged = match input.byte() % 4 {
        0 => {
            parity = input.rest().to_vec();
            true
        }
        1 => {
            accidents(&mut source, &mut input);
            accidents(&mut parity, &mut input);
            false
        }
        form => {
            if form == 2 {
                accidents(&mut source, &mut input);
            }
            let mut cut = cut(&parity);
            for _ in 0..1 + input.below(6) {
                forge(&mut cut, &mut input);
            }
            parity = cut.concat();
            accidents(&mut parity, &mut input);
            true
        }
    };
    let counted = Counted::of(&parity);
    let Ok(opened) = Parity::open(&counted, 1) else { return };
    let descriptor = opened.descriptor().clone();
    let layout = descriptor.layout();
    // A descriptor wherever its magic stands, and then so many frames.
    let frame = HEADER as u64 + u64::from(layout.cell_len());
    counted.at_most(24 * parity.len() as u64 + 66 * frame);
    if layout.cells() > 1 << 16 || layout.stream_len() > 1 << 20 {
        return;
    }
    let Some((healed, bytes)) = healed(&source, &opened) else { return };
    assert_eq!(bytes.len() as u64, layout.stream_len());
    if healed.whole {
        assert_eq!(Sha256::digest(&bytes)[..], descriptor.sha256()[..]);
        assert!(is_forged || bytes == *stream);
    }
}

/// Each form, and sound parity as it is.
pub(crate) fn frames_seeds() -> Vec<Vec<u8>> {
    let forms = choices()
        .into_iter()
        .flat_map(|seed| (1..4).map(move |form| [&[form], &seed[..]].concat()));
    forms.chain([[&[0], &SMALL.1[..]].concat()]).collect()
}

/// Parity of a stream that the input builds, with a table that it makes up: the search for cells reads no more than so much, and nothing
/// but the stream is whole.
pub(crate) fn table(data: &[u8]) {
    let mut input = Input::new(data);
    let stream = built(&mut input);
    let mut source = stream.clone();
    accidents(&mut source, &mut input);
    let Some(parity) = parity_of(&stream, &mut input) else { return };
    let mut cut = cut(&parity);
    let is_table = |frame: &Vec<u8>| frame[5] == TABLE;
    // Check shards would not agree.
    let shards = cut.iter().filter(|frame| is_table(frame)).count() / 2;
    cut.retain(|frame| !is_table(frame) || number(frame) < shards);
    let Some(cell) = cut.iter().find(|frame| is_table(frame)).map(|frame| frame.len() - HEADER)
    else {
        return;
    };
    let mut entries = vec![0; shards * cell];
    for frame in cut.iter().filter(|frame| is_table(frame)) {
        entries[number(frame) * cell..][..cell].copy_from_slice(&frame[HEADER..]);
    }
    let count = stream.len().div_ceil(cell);
    for _ in 0..1 + input.below(8) {
        let first = input.below(count);
        let run = first..first.saturating_add(1 + input.below(count)).min(count);
        let (kind, at) = (input.byte(), input.below(source.len()));
        let made = input.text(13).to_vec();
        for number in run {
            let here = number * 12;
            match kind % 6 {
                0 => entries.copy_within(first * 12..first * 12 + 12, here),
                1 => entries[here + 8] ^= 1,
                2 => entries[here + 8..here + 12].copy_from_slice(&(number as u32).to_le_bytes()),
                3 => entries[here..here + made.len()].copy_from_slice(&made),
                kind => {
                    // A window of the source, of which the sum is right.
                    let from = (at + (number - first) * usize::from(kind == 4)).min(source.len());
                    let mut window = source[from..source.len().min(from + cell)].to_vec();
                    window.resize(cell, 0);
                    entries[here..here + 8].copy_from_slice(&crc64(&[&window]).to_le_bytes());
                    let digest = digest16(&[&window]);
                    entries[here + 8..here + 12].copy_from_slice(&digest[..4]);
                    entries[here + 8] ^= made.first().copied().unwrap_or(0);
                }
            }
        }
    }
    for frame in cut.iter_mut().filter(|frame| is_table(frame)) {
        let number = number(frame);
        frame[HEADER..].copy_from_slice(&entries[number * cell..][..cell]);
        seal(frame);
    }
    let opened = Parity::open(cut.concat(), 1).expect("a descriptor");
    if let Some((healed, bytes)) = healed(&source, &opened) {
        assert!(!healed.whole || bytes == stream);
        assert_eq!(bytes.len(), stream.len());
    }
}

/// A stream that the input builds, of which no more cells are hit than can be restored, and bytes are put between cells: it is healed. Under other
/// damage it is healed or not, and never wrong.
pub(crate) fn matcher(data: &[u8]) {
    let mut input = Input::new(data);
    let stream = built(&mut input);
    let Some(parity) = parity_of(&stream, &mut input) else { return };
    let mut opened = Parity::open(parity.clone(), 1).expect("it is sound");
    let layout = opened.descriptor().layout().clone();
    let (cell, mut source) = (layout.cell_len() as usize, stream.clone());
    if input.flag() {
        accidents(&mut source, &mut input);
        if let Some((healed, bytes)) = healed(&source, &opened) {
            assert_eq!(healed.whole, bytes == stream);
        }
        return;
    }
    assert!(layout.zones() <= 1);
    let mut cells: Vec<Vec<u8>> = stream.chunks(cell).map(<[u8]>::to_vec).collect();
    let budget = layout.recovery() as usize;
    let lost = input.below(budget.min(4) + 1);
    let mut cut = cut(&parity);
    let mut dropped = 0;
    cut.retain(|frame| {
        let drops = frame[5] == RECOVERY && dropped < lost;
        dropped += usize::from(drops);
        !drops
    });
    opened = Parity::open(cut.concat(), 1).expect("its descriptors are there");
    // One must be there, or nothing ties the parity to the stream.
    let hits = (budget - lost).min(cells.len().saturating_sub(1));
    let (first, step) = (input.below(cells.len()), 1 + input.below(3));
    let count = input.below(hits + 1);
    for number in 0..count {
        let at = (first + number * step) % cells.len();
        match input.byte() % 6 {
            0 => {
                let byte = input.byte();
                cells[at].fill(byte);
            }
            1 => cells[at] = noise(number as u64, cell),
            2 => cells[at].clear(),
            3 => cells[at].truncate(input.below(cell)),
            // Over it stands what begins in another cell.
            4 => {
                let from = input.below(stream.len());
                cells[at] = stream[from..stream.len().min(from + cell)].to_vec();
            }
            _ => accidents(&mut cells[at], &mut input),
        }
    }
    for _ in 0..input.below(5) {
        let at = input.below(cells.len() + 1);
        let from = input.below(stream.len() + 1);
        let len = input.below(2 * cell);
        let bytes = match input.byte() % 3 {
            0 => noise(1, len),
            1 => vec![0; len],
            _ => stream[from..stream.len().min(from + len)].to_vec(),
        };
        cells.insert(at, bytes);
    }
    let (healed, bytes) = healed(&cells.concat(), &opened).expect("enough is there");
    assert!(healed.whole && bytes == stream, "{healed:?}");
}

/// What comes of healing; `None` where parity is refused. The source is read in proportion to it and to what is stated.
fn healed<P: ReadAt + Sync>(source: &[u8], parity: &Parity<P>) -> Option<(Healed, Vec<u8>)> {
    let counted = Counted::of(source);
    let most = 16 * (source.len() as u64 + parity.descriptor().layout().stream_len()) + (1 << 14);
    let survey = refused(Survey::of(&counted, parity, 1, &|_| ()));
    counted.at_most(most);
    let survey = survey?;
    let target = Memory::new();
    let healed = heal(source, parity, &survey, &target, 1, &|_| ()).expect("it is in memory");
    assert!(!healed.whole || healed.lost.is_empty());
    Some((healed, target.into_bytes()))
}

fn refused<T>(result: Result<T, Error>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(error) => {
            assert!(matches!(error.kind(), ErrorKind::Foreign { .. }), "{error}");
            None
        }
    }
}

/// Zeros, noise, runs of few bytes, parts of what stands before, and bytes of the input.
fn built(input: &mut Input<'_>) -> Vec<u8> {
    let mut stream = Vec::new();
    for _ in 0..input.below(7) {
        let most = input.pick(&[1, 63, 600, 4_000, 12_000]);
        let len = input.below(most + 1);
        match input.byte() % 5 {
            0 => stream.extend(vec![0; len]),
            1 => stream.extend(noise(u64::from(input.byte()), len)),
            2 => {
                let run = input.text(9).to_vec();
                stream.extend(run.iter().cycle().take(len));
            }
            3 => {
                let from = input.below(stream.len() + 1);
                stream.extend_from_within(from..stream.len().min(from + len));
            }
            _ => stream.extend_from_slice(input.text(300)),
        }
    }
    stream
}

fn parity_of(stream: &[u8], input: &mut Input<'_>) -> Option<Vec<u8>> {
    let share = Share::new(input.pick(&[1_000, 100, 3_000, 10_000]))?;
    let id = ProtectionId::from_bytes([7; 16]);
    let options = Options::default().with_share(share).with_id(id).with_threads(1);
    let target = Memory::new();
    protect(stream, &target, &options, &|_| ()).expect("it is in memory");
    Some(target.into_bytes())
}

/// The frames of sound parity.
fn cut(parity: &[u8]) -> Vec<Vec<u8>> {
    let (mut rest, mut cut) = (parity, Vec::new());
    while let Some(log) = rest.get(6) {
        let (frame, behind) = rest.split_at(HEADER + (1 << log));
        cut.push(frame.to_vec());
        rest = behind;
    }
    cut
}

/// The number of a shard, or of a recovery cell.
fn number(frame: &[u8]) -> usize {
    frame[28..32].iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte))
}

/// Makes the sums of a frame fit.
fn seal(frame: &mut [u8]) {
    let (header, payload) = frame.split_at_mut(HEADER);
    let crc = crc64(&[&header[..32], payload]);
    let digest = digest16(&[&header[..32], payload]);
    header[32..40].copy_from_slice(&crc.to_le_bytes());
    header[40..].copy_from_slice(&digest[..8]);
}

/// Changes a frame, seals it, and puts it where it was or beside.
fn forge(cut: &mut Vec<Vec<u8>>, input: &mut Input<'_>) {
    let at = input.below(cut.len());
    let Some(mut frame) = cut.get(at).cloned() else { return };
    let word = (input.number() as u32).to_le_bytes();
    match input.below(8) {
        0 => frame[5] = input.byte() % 5,
        1 => frame[6] = input.byte() % 22,
        2 => frame[8] ^= input.byte(),
        3 => frame[24..28].copy_from_slice(&word),
        4 => frame[28..32].copy_from_slice(&word),
        5 => {
            let any = input.number();
            let length = input.pick(&[any, 5_000, 20_000, (1 << 43) - 1]);
            frame[HEADER..HEADER + 8].copy_from_slice(&length.to_le_bytes());
        }
        6 => {
            let field = HEADER + 8 + 4 * input.below(4);
            frame[field..field + 4].copy_from_slice(&word);
        }
        _ => {
            let from = HEADER + input.below(frame.len() - HEADER);
            for (byte, new) in frame[from..].iter_mut().zip(input.text(33)) {
                *byte = *new;
            }
        }
    }
    if input.below(8) < 7 {
        seal(&mut frame);
    }
    match input.byte() % 4 {
        0 => cut.insert(at, frame),
        1 => cut.push(frame),
        _ => cut[at] = frame,
    }
}

/// Counts what is read.
struct Counted<'a>(&'a [u8], AtomicU64);

impl<'a> Counted<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        Self(bytes, AtomicU64::new(0))
    }

    #[track_caller]
    fn at_most(&self, most: u64) {
        let read = self.1.load(Ordering::Relaxed);
        assert!(read <= most, "{read} bytes were read of {}, {most} at most", self.0.len());
    }
}

impl ReadAt for Counted<'_> {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let read = self.0.read_at(buf, offset)?;
        self.1.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }

    fn size(&self) -> io::Result<u64> {
        self.0.size()
    }
}

/// A stream of 20 cells, and its parity.
static SMALL: LazyLock<(Vec<u8>, Vec<u8>)> = LazyLock::new(|| {
    let stream = noise(1, 5_000);
    let parity = parity_of(&stream, &mut Input::new(&[])).expect("a share");
    (stream, parity)
});

const HEADER: usize = 48;
const TABLE: u8 = 2;
const RECOVERY: u8 = 3;
