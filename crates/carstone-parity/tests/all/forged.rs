//! What parity by somebody who knows the stream, and can compute all sums, can do and cannot.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};

use carstone_layer::ReadAt;
use carstone_parity::{Error, ErrorKind, Layout, Parity, Share, Survey, heal};

use crate::packed::{Frame, HEADER, Kind, forged, frames, healed, joined, noise, parity_of};

/// 98 cells of 1,024 bytes, of which 5 can be restored, and 9 be missing.
const LEN: usize = 100_000;
const CELL: usize = 1_024;
const SHARE: u32 = 1_000;

fn layout(share: u32) -> Layout {
    Layout::new(LEN as u64, Share::new(share).unwrap()).unwrap()
}

/// The stream with other bytes in its first cells.
fn with_other_cells(stream: &[u8], cells: usize) -> Vec<u8> {
    let mut other = stream.to_vec();
    other[..cells * CELL].iter_mut().for_each(|byte| *byte = !*byte);
    other
}

#[track_caller]
fn check_foreign(result: Result<impl Sized, Error>) {
    let Err(error) = result else { panic!("it is taken for the parity of the stream") };
    assert!(matches!(error.kind(), ErrorKind::Foreign { .. }), "{error}");
}

#[test]
fn what_parity_restores_is_what_its_maker_says_and_the_original_stays() {
    let stream = noise(LEN, 1);
    let recovery = layout(SHARE).recovery() as usize;
    assert_eq!(recovery, 5);
    let theirs = with_other_cells(&stream, recovery);
    let folder = tempfile::tempdir().unwrap();
    let [ours, written] = ["pack", "healed"].map(|name| folder.path().join(name));
    fs::write(&ours, &stream).unwrap();
    let source = fs::File::open(&ours).unwrap();
    let target =
        fs::OpenOptions::new().read(true).write(true).create_new(true).open(&written).unwrap();
    let parity = Parity::open(parity_of(&theirs, SHARE), 2).unwrap();
    let survey = Survey::of(&source, &parity, 2, &|_| ()).unwrap();
    let healed = heal(&source, &parity, &survey, &target, 2, &|_| ()).unwrap();
    // The bytes are those that were protected, by whoever did it: no proof of who that was.
    assert!(healed.whole && fs::read(&written).unwrap() == theirs);
    assert!(fs::read(&ours).unwrap() == stream);
}

#[test]
fn parity_of_a_stream_that_differs_in_more_than_its_share_is_refused() {
    let stream = noise(LEN, 1);
    // 9 of 98 cells are 10 %, rounded down.
    let (made, bytes) = healed(&stream, &parity_of(&with_other_cells(&stream, 9), SHARE)).unwrap();
    assert!(!made.whole && bytes[9 * CELL..] == stream[9 * CELL..]);
    for cells in [10, 50, 97] {
        let error = healed(&stream, &parity_of(&with_other_cells(&stream, cells), SHARE));
        let error = error.unwrap_err();
        let found = 98 - cells as u64;
        assert!(
            matches!(error.kind(), ErrorKind::Foreign { found: f, known: 98, wanted: 89 } if *f == found),
            "{error}"
        );
    }
}

#[test]
fn parity_that_states_the_largest_share_need_match_one_cell_only() {
    let stream = noise(LEN, 1);
    let recovery = layout(10_000).recovery() as usize;
    let theirs = with_other_cells(&stream, recovery);
    let (made, bytes) = healed(&stream, &parity_of(&theirs, 10_000)).unwrap();
    assert!(recovery > 80 && made.whole && bytes == theirs);
    check_foreign(healed(&noise(LEN, 2), &parity_of(&theirs, 10_000)));
}

#[test]
fn parity_of_an_older_state_is_refused() {
    let old = noise(LEN, 1);
    let parity = parity_of(&old, SHARE);
    // Longer by a fifth of which a part stands in front, and rewritten in places.
    let mut new = [&noise(9_000, 2), &old[..60_000], &noise(20_000, 3), &old[72_000..]].concat();
    check_foreign(healed(&new, &parity));
    new.truncate(20_000);
    check_foreign(healed(&new, &parity));
    check_foreign(healed(b"", &parity));
}

/// Parity of which each entry in a table was changed; there are no check shards, which would not agree.
fn with_other_entries(parity: &[u8], change: impl Fn(usize, &mut [u8])) -> Vec<u8> {
    let shards = frames(parity).iter().filter(|frame| frame.kind == Kind::Table).count() / 2;
    let mut table = vec![0; shards * CELL];
    let mut parity = frames(parity);
    let is_table =
        |frame: &&mut Frame| frame.kind == Kind::Table && (frame.number as usize) < shards;
    for frame in parity.iter_mut().filter(is_table) {
        table[frame.number as usize * CELL..][..CELL].copy_from_slice(frame.payload());
    }
    table.chunks_exact_mut(12).enumerate().for_each(|(cell, entry)| change(cell, entry));
    for frame in parity.iter_mut().filter(is_table) {
        let number = frame.number as usize;
        frame.payload().copy_from_slice(&table[number * CELL..][..CELL]);
        frame.seal();
    }
    parity.retain(|frame| frame.kind != Kind::Table || (frame.number as usize) < shards);
    joined(&parity)
}

#[test]
fn entries_of_right_sums_and_wrong_digests_restore_nothing() {
    let stream = noise(LEN, 1);
    let parity = with_other_entries(&parity_of(&stream, SHARE), |_, entry| entry[8] ^= 1);
    let (sound, bytes) = healed(&stream, &parity).unwrap();
    assert!(sound.whole && bytes == stream);
    let mut damaged = stream.clone();
    damaged[3 * CELL..4 * CELL].fill(0);
    let (made, bytes) = healed(&damaged, &parity).unwrap();
    assert!(!made.whole && made.restored == 0);
    let lost = 3 * CELL as u64..4 * CELL as u64;
    assert_eq!(made.lost, std::slice::from_ref(&lost));
    assert!(bytes == damaged);
    // Where the place says nothing, the digest counts.
    check_foreign(healed(&[&[7][..], &stream[..LEN - 9], &[1; 30]].concat(), &parity));
}

#[test]
fn entries_that_are_made_up_match_nothing_or_do_not_make_the_whole() {
    let stream = noise(LEN, 1);
    let made_up = with_other_entries(&parity_of(&stream, SHARE), |cell, entry| {
        entry.copy_from_slice(&noise(12, cell as u64));
    });
    check_foreign(healed(&stream, &made_up));
    // All cells but the last are said to be equal to the third.
    let third = std::cell::RefCell::new(Vec::new());
    let sound = parity_of(&stream, SHARE);
    with_other_entries(&sound, |cell, entry| {
        if cell == 2 {
            *third.borrow_mut() = entry.to_vec();
        }
    });
    let third = third.into_inner();
    let equal = with_other_entries(&sound, |cell, entry| {
        if cell < 97 {
            entry.copy_from_slice(&third);
        }
    });
    let (made, bytes) = healed(&stream, &equal).unwrap();
    assert!(!made.whole && bytes[..CELL] == stream[2 * CELL..3 * CELL]);
}

#[test]
fn recovery_cells_that_are_made_up_restore_nothing() {
    let stream = noise(LEN, 1);
    let parity = forged(&parity_of(&stream, SHARE), |frame| {
        if frame.kind == Kind::Recovery {
            frame.payload()[100] ^= 1;
        }
    });
    let mut damaged = stream.clone();
    damaged[3 * CELL..5 * CELL].fill(9);
    let (made, bytes) = healed(&damaged, &parity).unwrap();
    assert!(!made.whole && made.restored == 0);
    damaged[3 * CELL..5 * CELL].fill(0);
    assert!(bytes == damaged);
    let (sound, bytes) = healed(&stream, &parity).unwrap();
    assert!(sound.whole && bytes == stream);
}

#[test]
fn nothing_is_whole_under_hashes_that_are_not_its_own() {
    let stream = noise(LEN, 1);
    for byte in [64, 96, 127] {
        let parity = forged(&parity_of(&stream, SHARE), |frame| {
            if frame.kind == Kind::Descriptor {
                frame.payload()[byte] ^= 1;
            }
        });
        let (made, bytes) = healed(&stream, &parity).unwrap();
        assert!(!made.whole && made.lost.is_empty() && bytes == stream);
    }
}

/// Parity whose descriptors say something else at some bytes of their payload.
fn stating(at: usize, bytes: &[u8]) -> Vec<u8> {
    forged(&parity_of(&noise(LEN, 1), SHARE), |frame| {
        if frame.kind == Kind::Descriptor {
            frame.payload()[at..at + bytes.len()].copy_from_slice(bytes);
        }
    })
}

#[test]
fn descriptors_that_state_what_cannot_be_are_none() {
    let words = |word: u32| word.to_le_bytes();
    let impossible = [
        stating(0, &(1_u64 << 43).to_le_bytes()),
        stating(0, &u64::MAX.to_le_bytes()),
        stating(0, &600_000_u64.to_le_bytes()),
        stating(0, &0_u64.to_le_bytes()),
        stating(8, &words(0)),
        stating(8, &words(2_048)),
        stating(8, &words(u32::MAX)),
        stating(12, &words(99)),
        stating(12, &words(10_001)),
        stating(16, &words(0)),
        stating(16, &words(99)),
        stating(16, &words(u32::MAX)),
        stating(20, &words(1)),
        stating(20, &words(65)),
        stating(24, &[1]),
    ];
    for parity in impossible {
        let error = healed(&noise(LEN, 1), &parity).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::NoParity), "{error}");
    }
}

/// Counts bytes that are read.
struct Counting<'a>(&'a [u8], AtomicU64);

impl ReadAt for Counting<'_> {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> std::io::Result<usize> {
        let read = self.0.read_at(buf, offset)?;
        self.1.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }

    fn size(&self) -> std::io::Result<u64> {
        self.0.size()
    }
}

/// A descriptor of a stream that is as long as can be, with so many recovery cells, and nothing else.
fn descriptor(len: u64, cell: u32, share: u32, recovery: u32) -> Vec<u8> {
    let mut parity = frames(&stating(0, &len.to_le_bytes()));
    let first = &mut parity[0];
    let words = [cell, share, recovery, 2].map(u32::to_le_bytes);
    first.payload()[8..24].copy_from_slice(&words.concat());
    first.seal();
    first.bytes.clone()
}

#[test]
fn descriptors_of_the_longest_streams_cost_no_more_than_their_cells() {
    let stream = noise(LEN, 1);
    for (len, cell, share, recovery) in
        [((1 << 43) - 1, 1 << 20, 10_000, 56), ((1 << 35) - 1, 4_096, 100, 14_000)]
    {
        let parity = descriptor(len, cell, share, recovery);
        let counted = Counting(&parity, AtomicU64::new(0));
        let opened = Parity::open(&counted, 2).unwrap();
        assert_eq!(opened.descriptor().layout().stream_len(), len);
        let (lost, all) = opened.lost_frames();
        assert!(lost == all && all < 1 << 24);
        // Nothing is known of any cell, and nothing is there to restore them: no 8 TiB of zeros are written.
        check_foreign(Survey::of(&stream, &opened, 2, &|_| ()));
        assert!(counted.1.into_inner() < 2_000);
    }
    // Some 40 bytes for each of 2²³ cells, and what the other tests take.
    if let Some(most) = most_memory() {
        assert!(most < 700 << 10, "{most} KiB");
    }
}

/// In KiB, since the process began; `None` where the system does not say.
fn most_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[test]
fn headers_side_by_side_cost_no_more_than_the_parity_is_long() {
    let sound = parity_of(&noise(LEN, 1), SHARE);
    let mut all = frames(&sound);
    let recovery = all.iter().position(|frame| frame.kind == Kind::Recovery).unwrap();
    let header = all[recovery].bytes[..HEADER].to_vec();
    all[recovery].bytes.clear();
    let mut parity = joined(&all);
    parity.extend(header.iter().cycle().take(2_000 * HEADER));
    let counted = Counting(&parity, AtomicU64::new(0));
    let opened = Parity::open(&counted, 1).unwrap();
    assert_eq!(opened.lost_frames().0, 1);
    // Once in place, once by the magic, and one frame for each length of one, besides 64.
    let most = 4 * parity.len() + 64 * (CELL + HEADER);
    let read = counted.1.into_inner();
    assert!(read < most as u64, "{read} of {most}");
}
