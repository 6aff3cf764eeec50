//! Frames that are moved, repeated, dropped or taken from another stream for the same readers, at every place: strict readers
//! refuse the stream, fail-safe readers give what is right and tell what is missing, and no reader gives a wrong byte.

use std::io::Read;
use std::ops::Range;

use carstone_encrypt::{
    EncryptFailSafe, EncryptOptions, EncryptReader, EncryptWriter, Error, ErrorKind,
    FailSafeOptions, LayerHeader, verify_stored,
};
use carstone_layer::{FailSafeRead, PackId, PlainSource};

use crate::streams::{KEY, N, PACK, forge, header_at, plain};

const ENVELOPE: &[u8] = b"sealed to alice and bob";
const OTHER_KEY: [u8; 32] = [77; 32];
const FRAMES: usize = 5;
const LEN: usize = (FRAMES - 1) * N + 77;

#[test]
fn every_frame_moved_to_every_place_is_refused_and_never_misplaced() {
    let mine = Parts::mine();
    for (from, to) in pairs().filter(|(from, to)| from != to) {
        let mut moved = mine.clone();
        let frame = moved.frames.remove(from);
        moved.frames.insert(to, frame);
        let place = format!("{from} to {to}");
        assert_refused(&moved.join(), &place);
        // What stands too early waits, what comes too late is dropped.
        let lost = missing(&moved.join(), &place);
        assert!(lost.is_empty() || lost == [frame_range(from)], "{place}: {lost:?}");

        // With headers that fit their new places, only the tags tell, and all that moved is lost.
        let whole = FRAMES - 1;
        if from < whole && to < whole {
            moved.relabel(0..whole);
            assert!(
                verify_stored(&moved.join(), Some(PACK)).is_ok(),
                "{place}: only tags can tell"
            );
            assert_refused(&moved.join(), &place);
            let span = from.min(to)..from.max(to) + 1;
            let lost = missing(&moved.join(), &place);
            let stretch = span.start * N..span.end * N;
            assert_eq!(lost, [stretch], "{place}");
        }
    }
}

#[test]
fn every_frame_repeated_at_every_place_is_refused_and_given_once() {
    let mine = Parts::mine();
    for (from, to) in pairs() {
        let mut longer = mine.clone();
        longer.frames.insert(to, mine.frames[from].clone());
        for with_fitting_end in [false, true] {
            if with_fitting_end {
                longer.end = longer.front_as_end(LEN + plain_len(from));
            }
            let place = format!("{from} again at {to}");
            assert_refused(&longer.join(), &place);
            assert_eq!(missing(&longer.join(), &place), [], "{place}");
        }

        // In the place of another frame, as itself and made to look like the other.
        if from == to || from == FRAMES - 1 || to == FRAMES - 1 {
            continue;
        }
        let mut doubled = mine.clone();
        doubled.frames[to] = mine.frames[from].clone();
        for relabelled in [false, true] {
            if relabelled {
                doubled.relabel(to..to + 1);
            }
            let place = format!("{from} for {to}, {relabelled}");
            assert_refused(&doubled.join(), &place);
            assert_eq!(missing(&doubled.join(), &place), [frame_range(to)], "{place}");
        }
    }
}

#[test]
fn every_frame_dropped_is_refused_and_told_as_missing() {
    for frame in 0..FRAMES {
        let mut shorter = Parts::mine();
        shorter.frames.remove(frame);
        let place = format!("without {frame}");
        assert_refused(&shorter.join(), &place);
        assert_eq!(missing(&shorter.join(), &place), [frame_range(frame)], "{place}");

        // An end that fits the new length moves the fault to the frames, where numbers and then tags tell.
        shorter.end = shorter.front_as_end(LEN - plain_len(frame));
        assert_refused(&shorter.join(), &place);
        shorter.relabel(0..FRAMES - 1);
        assert!(verify_stored(&shorter.join(), Some(PACK)).is_ok(), "{place}: only tags can tell");
        assert_refused(&shorter.join(), &place);
        assert!(!missing_before(LEN - plain_len(frame), &shorter.join(), &place).is_empty());
    }
}

#[test]
fn every_frame_of_another_pack_is_refused_even_under_the_same_content_key() {
    let mine = Parts::mine();
    for (other, which) in [(Parts::same_key(), "same key"), (Parts::other_key(), "other key")] {
        for (from, to) in pairs() {
            let both_full = from < FRAMES - 1 && to < FRAMES - 1;
            if both_full || from == to {
                let mut replaced = mine.clone();
                replaced.frames[to] = other.frames[from].clone();
                let place = format!("{which}: {from} for {to}");
                let (error, _) = assert_refused(&replaced.join(), &place);
                assert!(matches!(error.kind(), ErrorKind::Foreign), "{place}: {error}");
                assert_eq!(missing(&replaced.join(), &place), [frame_range(to)], "{place}");

                replaced.relabel(to..to + 1);
                let place = format!("{place}, relabelled");
                assert!(verify_stored(&replaced.join(), Some(PACK)).is_ok(), "only tags can tell");
                let (error, _) = assert_refused(&replaced.join(), &place);
                let at = matches!(*error.kind(), ErrorKind::BadTag { frame } if frame == to as u64);
                assert!(at, "{place}: {error}");
                assert_eq!(missing(&replaced.join(), &place), [frame_range(to)], "{place}");
            }
            let mut longer = mine.clone();
            longer.frames.insert(to, other.frames[from].clone());
            let place = format!("{which}: {from} before {to}");
            assert_refused(&longer.join(), &place);
            assert_eq!(missing(&longer.join(), &place), [], "{place}");
        }
    }
}

#[test]
fn front_frames_and_end_of_different_packs_are_refused_in_every_mixture() {
    let packs = [Parts::mine(), Parts::same_key(), Parts::other_key()];
    let keys = [KEY, KEY, OTHER_KEY];
    for (front, frames, end) in (0..27).map(|n| (n / 9, n / 3 % 3, n % 3)) {
        if front == frames && frames == end {
            continue;
        }
        let place = format!("front {front}, frames {frames}, end {end}");
        let mut mixed = packs[frames].clone();
        mixed.front = packs[front].front.clone();
        mixed.end = packs[end].end.clone();
        let stored = mixed.join();
        for key in [KEY, OTHER_KEY] {
            let read = EncryptReader::open_at(&stored, &key)
                .and_then(|reader| reader.verify())
                .expect_err(&place);
            if key != keys[front] {
                assert!(matches!(read.kind(), ErrorKind::WrongKey), "{place}: {read}");
            }
        }
        // The pack of the front is the one that is read; frames of another one do not count.
        let given = salvage(&stored, &keys[front]);
        if front == frames {
            assert_eq!(given.pieces, [(0, packs[front].plain.clone())], "{place}");
        } else {
            assert!(given.pieces.is_empty(), "{place}");
            assert!(!given.missing.is_empty(), "{place}");
        }
    }
}

#[test]
fn a_pack_that_is_relabelled_as_another_one_is_refused_as_a_whole() {
    // All headers name the other pack: the commitment does not fit its salt.
    let mut stored = Parts::same_key().join();
    for at in frame_starts(&stored) {
        forge(&mut stored, at, |header| header.pack = PACK);
    }
    assert!(verify_stored(&stored, Some(PACK)).is_ok(), "only the key can tell");
    let error = EncryptReader::open_at(&stored, &KEY).expect_err("salted by another pack");
    assert!(matches!(error.kind(), ErrorKind::WrongKey), "{error}");

    // Under the layer headers of that pack, no tag holds.
    let mut relabelled = Parts::same_key();
    relabelled.relabel(0..FRAMES);
    let mine = Parts::mine();
    (relabelled.front, relabelled.end) = (mine.front, mine.end);
    let (error, given) = assert_refused(&relabelled.join(), "relabelled");
    assert!(matches!(error.kind(), ErrorKind::BadTag { .. }) && given == 0, "{error}");
    assert!(salvage(&relabelled.join(), &KEY).pieces.is_empty());
}

/// A stream cut into its frames.
#[derive(Clone)]
struct Parts {
    plain: Vec<u8>,
    front: Vec<u8>,
    frames: Vec<Vec<u8>>,
    end: Vec<u8>,
}

impl Parts {
    /// The stream that is tampered with.
    fn mine() -> Self {
        Self::of(KEY, PACK, plain(LEN))
    }

    /// Another one of the same readers under the same content key, as a rebuild makes one.
    fn same_key() -> Self {
        let backwards = plain(LEN).into_iter().rev().collect();
        Self::of(KEY, PackId::from_bytes([2; 16]), backwards)
    }

    /// Another one of the same readers.
    fn other_key() -> Self {
        let inverted = plain(LEN).into_iter().map(|byte| !byte).collect();
        Self::of(OTHER_KEY, PackId::from_bytes([3; 16]), inverted)
    }

    fn of(key: [u8; 32], pack: PackId, plain: Vec<u8>) -> Self {
        let options = EncryptOptions::default().pack_id(pack).threads(1).envelope(ENVELOPE.into());
        let mut writer =
            EncryptWriter::with_options(Vec::new(), &key, options).expect("a Vec takes all");
        std::io::Write::write_all(&mut writer, &plain).expect("a Vec takes all");
        let stored = writer.finish().expect("a Vec takes all");
        let starts = frame_starts(&stored);
        let ends = starts[1..].iter().copied().chain([stored.len()]);
        let mut frames: Vec<_> =
            starts.iter().zip(ends).map(|(&start, end)| stored[start..end].to_vec()).collect();
        let end = frames.pop().expect("a layer header");
        let front = frames.remove(0);
        assert_eq!(frames.len(), FRAMES);
        Self { plain, front, frames, end }
    }

    fn join(&self) -> Vec<u8> {
        [&self.front[..], &self.frames.concat(), &self.end].concat()
    }

    /// Gives the headers of these frames what belongs in their places in [`mine`](Self::mine), and makes their sums fit.
    fn relabel(&mut self, places: Range<usize>) {
        let count = self.frames.len();
        for place in places {
            forge(&mut self.frames[place], 0, |header| {
                (header.pack, header.sequence) = (PACK, place as u64);
                header.plain_offset = (place * N) as u64;
                header.last = place + 1 == count;
            });
        }
    }

    /// The layer header at the end of a stream of `len` plain bytes that starts with this front.
    fn front_as_end(&self, len: usize) -> Vec<u8> {
        LayerHeader::read_at(&self.front).expect("whole").end_frame(len as u64)
    }
}

fn frame_starts(stored: &[u8]) -> Vec<usize> {
    let (mut at, mut starts) = (0, Vec::new());
    while at < stored.len() {
        starts.push(at);
        at += header_at(stored, at).frame_len() as usize;
    }
    starts
}

fn pairs() -> impl Iterator<Item = (usize, usize)> {
    (0..FRAMES).flat_map(|from| (0..FRAMES).map(move |to| (from, to)))
}

fn plain_len(frame: usize) -> usize {
    frame_range(frame).len()
}

fn frame_range(frame: usize) -> Range<usize> {
    frame * N..LEN.min((frame + 1) * N)
}

/// The strict reader refuses the stream when it is opened or read, and gave nothing wrong before. Gives the fault, and how
/// many bytes came before it.
#[track_caller]
fn assert_refused(stored: &[u8], place: &str) -> (Error, usize) {
    let mut given = Vec::new();
    let error = match EncryptReader::open_at(stored, &KEY) {
        Err(error) => error,
        Ok(mut reader) => {
            reader.verify().expect_err(place);
            let error = reader.read_to_end(&mut given).expect_err(place);
            error.downcast::<Error>().expect("an error of this crate")
        }
    };
    assert!(plain(LEN).starts_with(&given), "{place}: wrong bytes");
    (error, given.len())
}

/// What a fail-safe reader gives of a stream: bytes with their offsets, and what is missing.
struct Given {
    pieces: Vec<(usize, Vec<u8>)>,
    missing: Vec<Range<usize>>,
}

fn salvage(stored: &[u8], key: &[u8; 32]) -> Given {
    let options = FailSafeOptions::default().threads(1);
    let mut reader =
        EncryptFailSafe::new(PlainSource::new(stored), key, options).expect("the right key");
    let mut given = Given { pieces: Vec::new(), missing: Vec::new() };
    loop {
        let at = reader.position() as usize;
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).expect("memory can be read");
        if !bytes.is_empty() {
            given.pieces.push((at, bytes));
        }
        let Some(gap) = reader.next_gap().expect("memory can be read") else { return given };
        let at = gap.at as usize;
        given.missing.push(at..gap.len.map_or(LEN, |len| at + len as usize));
    }
}

/// What a fail-safe reader tells as missing of a tampered [`mine`](Parts::mine). All that it gives stands where it belongs.
#[track_caller]
fn missing(stored: &[u8], place: &str) -> Vec<Range<usize>> {
    missing_before(LEN, stored, place)
}

/// The same for one whose end was forged to be at `end`: nobody can tell of more.
#[track_caller]
fn missing_before(end: usize, stored: &[u8], place: &str) -> Vec<Range<usize>> {
    let (given, whole) = (salvage(stored, &KEY), plain(LEN));
    let mut covered = given.missing.iter().map(ExactSizeIterator::len).sum::<usize>();
    for (at, bytes) in &given.pieces {
        assert_eq!(whole.get(*at..at + bytes.len()), Some(&bytes[..]), "{place}: wrong bytes");
        covered += bytes.len();
    }
    assert!(covered >= end, "{place}: what is not given is told");
    given.missing
}
