//! Damaged packs are mended without a key, and what cannot be mended is never wrong.

use std::io::{Read, Write};
use std::ops::Range;

use crate::support::{self, KEY, Layers, content, few_threads, frames, pack, read_all, tiny};
use carstone::compress::Codec;
use carstone::layer::{Cause, FRAME_HEADER_LEN, FailSafeRead, FrameHeader, Kind, LayerId};
use carstone::stack::{self, Conflict, ErrorKind, Part};

const HEADER: usize = 256;
const TRAILER: usize = 304;
/// A data frame of an encryption layer.
const FRAME: usize = 96 + 131_072 + 16;

/// The most plain bytes that are lost with one frame: those in it, and the blocks that begin before and end behind it.
const REACH: usize = 131_072 + 2 * 65_536;

/// All combinations that have frames.
fn framed() -> Vec<Layers> {
    let has_frames = |layers: &Layers| layers.encrypted || layers.codec.is_some();
    Layers::all().into_iter().filter(has_frames).collect()
}

const ENCRYPTED: Layers = Layers { encrypted: true, codec: Some(Codec::Stored) };
const STORED: Layers = Layers { encrypted: false, codec: Some(Codec::Stored) };

/// A pack whose CAR stream is these bytes.
fn around(layers: Layers, plain: &[u8]) -> Vec<u8> {
    let mut pipe = stack::write(Vec::new(), layers.options()).expect("a Vec takes all");
    pipe.write_all(plain).expect("a Vec takes all");
    pipe.finish().expect("a Vec takes all")
}

struct Mended {
    bytes: Vec<u8>,
    report: stack::HealReport,
}

fn heal(damaged: &[u8]) -> Result<Mended, stack::Error> {
    let healed = stack::heal(damaged, &few_threads(), &mut |_| {})?;
    let mut bytes = Vec::new();
    healed.copy_to(&mut bytes, &mut |_| {}).expect("memory can be read");
    assert_eq!(bytes.len() as u64, healed.len());
    Ok(Mended { bytes, report: healed.report().clone() })
}

/// Fails unless `damaged` becomes `original` again.
#[track_caller]
fn mends(damaged: &[u8], original: &[u8], what: &str) -> stack::HealReport {
    let mended = heal(damaged).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(mended.report.is_original(), "{what}: {:?}", mended.report);
    assert!(mended.bytes == original, "{what}: {:?}", mended.report);
    assert_eq!(mended.report.is_unchanged, damaged == original, "{what}");
    mended.report
}

/// What is read of a pack behind all damage: the plain bytes, where nothing is lost.
fn readable(stored: &[u8], len: usize) -> (Vec<Option<u8>>, bool) {
    let mut reader = stack::fail_safe(stored, &KEY, &few_threads()).expect("a container").reader;
    let mut plain = vec![None; len];
    let mut open_end = false;
    loop {
        let at = reader.position() as usize;
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).expect("memory can be read");
        for (place, byte) in plain.iter_mut().skip(at).zip(bytes) {
            *place = Some(byte);
        }
        match reader.next_gap().expect("memory can be read") {
            Some(gap) => open_end |= gap.len.is_none(),
            None => return (plain, open_end),
        }
    }
}

/// Fails when a byte is wrong, and tells which are missing.
#[track_caller]
fn missing(stored: &[u8], plain: &[u8]) -> (usize, bool) {
    let (read, open_end) = readable(stored, plain.len());
    let right = read.iter().zip(plain).all(|(read, byte)| read.is_none_or(|read| read == *byte));
    assert!(right, "wrong bytes");
    (read.iter().filter(|byte| byte.is_none()).count(), open_end)
}

#[test]
fn a_sound_pack_stays_as_it_is() {
    for layers in framed() {
        let stored = pack(&support::sample(), layers.options(), 2);
        let report = mends(&stored, &stored, &format!("{layers:?}"));
        assert!(report.is_unchanged && report.rebuilt.is_empty() && report.damage.is_empty());
    }
}

#[test]
fn every_single_bit_is_put_right() {
    for layers in framed() {
        let stored = pack(&tiny(), layers.options(), 1);
        let step = if layers == (Layers { encrypted: true, codec: Some(Codec::Brotli(1)) }) {
            1
        } else {
            11
        };
        for bit in (0..stored.len() * 8).step_by(step) {
            let mut damaged = stored.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            mends(&damaged, &stored, &format!("bit {bit} of {layers:?}"));
        }
    }
}

#[test]
fn every_burst_of_up_to_32_bits_is_put_right() {
    let random = content(3, 40_000);
    let mut random = random.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes));
    let mut next = || random.next().expect("there are enough");
    for layers in framed() {
        let plain = content(1, 20_000);
        let stored = around(layers, &plain);
        for _ in 0..150 {
            let at = next() as usize % (stored.len() - 5);
            let flips = ((next() as u32 | 1) as u64) << (next() % 8);
            let mut damaged = stored.clone();
            for (byte, flips) in damaged[at..].iter_mut().zip(flips.to_le_bytes()) {
                *byte ^= flips;
            }
            mends(&damaged, &stored, &format!("{flips:x} at {at} of {layers:?}"));
        }
    }
}

#[test]
fn header_and_trailer_follow_from_each_other() {
    for layers in framed() {
        let stored = around(layers, &content(1, 300_000));
        let end = stored.len() - TRAILER;
        let zeroed = |range: Range<usize>| {
            let mut damaged = stored.clone();
            damaged[range].fill(0);
            damaged
        };
        let rebuilt = |damaged: &[u8], part| {
            let report = mends(damaged, &stored, &format!("{layers:?} without {part:?}"));
            assert!(report.rebuilt.iter().any(|rebuilt| rebuilt.part == part), "{report:?}");
        };
        rebuilt(&zeroed(0..HEADER), Part::Header);
        rebuilt(&stored[HEADER..], Part::Header);
        rebuilt(&stored[100..], Part::Header);
        rebuilt(&zeroed(end..stored.len()), Part::Trailer);
        rebuilt(&stored[..end], Part::Trailer);
        rebuilt(&stored[..stored.len() - 1], Part::Trailer);
        rebuilt(&[&stored[..end], &content(5, 999)].concat(), Part::Trailer);
        mends(&[&stored[..], &content(5, 999)].concat(), &stored, "junk behind the trailer");
        mends(&[&content(5, 999), &stored[..]].concat(), &stored, "junk before the header");
    }
}

#[test]
fn frames_that_follow_from_others_are_made_again() {
    for layers in [ENCRYPTED, STORED] {
        let stored = around(layers, &content(1, 300_000));
        let all = frames(&stored[HEADER..stored.len() - TRAILER]);
        for frame in all.iter().filter(|frame| frame.kind != Kind::DATA.0) {
            let range = HEADER + frame.at..HEADER + frame.end();
            let mut damaged = stored.clone();
            damaged[range.clone()].fill(0);
            let report = mends(&damaged, &stored, "zeroed");
            assert_eq!(report.rebuilt.len(), 1, "{report:?}");
            assert_eq!(report.rebuilt[0].stored, range.start as u64..range.end as u64);
            damaged.drain(range);
            mends(&damaged, &stored, "gone");
        }
    }
}

#[test]
fn frames_in_the_wrong_order_are_put_right() {
    for layers in framed() {
        let stored = around(layers, &content(1, 900_000));
        let all = frames(&stored[HEADER..stored.len() - TRAILER]);
        let at = |n: usize| HEADER + all[n].at..HEADER + all[n].end();
        let (a, b) = (at(1), at(3));
        let rest = [
            &stored[..a.start],
            &stored[b.clone()],
            &stored[a.end..b.start],
            &stored[a.clone()],
            &stored[b.end..],
        ];
        let report = mends(&rest.concat(), &stored, "swapped");
        assert!(report.moved > 0 && report.repeated == 0);
        let twice = [&stored[..b.start], &stored[a.clone()], &stored[b.start..]];
        let report = mends(&twice.concat(), &stored, "twice");
        assert_eq!(report.repeated, 1);
        // A copy in front of the frames, whose header is then the only one that is damaged.
        let mut damaged =
            [&stored[..a.start], &stored[a.start..b.end], &stored[a.start..]].concat();
        damaged[b.end + 300] ^= 0xff;
        damaged[b.end + 900] ^= 0xff;
        mends(&damaged, &stored, "twice, and one of them damaged");
        let behind = [&stored[..a.start], &stored[a.end..], &stored[a.clone()]];
        mends(&behind.concat(), &stored, "behind the trailer");
    }
}

#[test]
fn foreign_frames_are_left_out() {
    let (stored, mut other) =
        (around(STORED, &content(1, 300_000)), around(STORED, &content(2, 300_000)));
    // The same frames under another id.
    let all = frames(&other[HEADER..other.len() - TRAILER]);
    for frame in &all {
        let at = HEADER + frame.at;
        let mut header =
            FrameHeader::decode(other[at..].first_chunk().expect("whole")).expect("sound");
        header.pack = carstone::layer::PackId::from_bytes([9; 16]);
        let payload = &other[at + FRAME_HEADER_LEN..HEADER + frame.end()];
        let sealed = header.sealed(payload).encode();
        other[at..at + FRAME_HEADER_LEN].copy_from_slice(&sealed);
    }
    let foreign = &other[HEADER + all[1].at..HEADER + all[2].end()];
    let at = HEADER + all[2].at;
    let damaged = [&stored[..at], foreign, &stored[at..]].concat();
    let report = mends(&damaged, &stored, "foreign frames between");
    assert!(report.damage.iter().all(|damage| damage.cause == Cause::Foreign), "{report:?}");
}

#[test]
fn holes_stand_for_frames_that_are_lost() {
    for layers in framed() {
        let plain = content(1, 1_500_000);
        let stored = around(layers, &plain);
        let all = frames(&stored[HEADER..stored.len() - TRAILER]);
        let data: Vec<_> = all.iter().filter(|frame| frame.kind == Kind::DATA.0).collect();
        let n = data.len();
        for lost in [0..1, 2..3, 1..5, 0..n - 1, n - 1..n, n - 3..n, 0..n] {
            let mut damaged = stored.clone();
            let range = HEADER + data[lost.start].at..HEADER + data[lost.end - 1].end();
            damaged[range].fill(0);
            let mended = heal(&damaged).expect("there is a container");
            let what = format!("{lost:?} of {n} in {layers:?}: {:?}", mended.report);
            assert!(!mended.report.is_original() && mended.report.conflicts.is_empty(), "{what}");
            let bytes: usize = data[lost.clone()].iter().map(|frame| frame.plain_len).sum();
            let told = mended.report.lost.iter().filter_map(|gap| gap.len).sum::<u64>();
            assert_eq!(told as usize, bytes, "{what}");
            let holes = frames(&mended.bytes[HEADER..mended.bytes.len() - TRAILER]);
            let holes = holes.iter().filter(|frame| frame.kind == Kind::HOLE.0).count();
            assert_eq!(holes, lost.len(), "{what}");
            // Readers behind all damage read the rest. The length of the CAR stream stands behind it.
            let (before, _) = missing(&damaged, &plain);
            let (after, open_end) = missing(&mended.bytes, &plain);
            assert!(after <= before && (!open_end || lost.end == n), "{what}");
            // A second repair finds the same.
            let again = heal(&mended.bytes).expect("there is a container");
            assert!(
                again.bytes == mended.bytes && again.report.is_unchanged,
                "{what}: {:?}",
                again.report
            );
            assert!(!again.report.is_original());
        }
    }
}

#[test]
fn a_pack_that_is_cut_stays_cut() {
    for layers in framed() {
        let plain = content(1, 700_000);
        let stored = around(layers, &plain);
        let all = frames(&stored[HEADER..stored.len() - TRAILER]);
        let last = all.iter().rfind(|frame| frame.kind == Kind::DATA.0).expect("there is one");
        let known = HEADER + last.end();
        for cut in (300..stored.len()).step_by(9973).chain([known - 1, known, known + 1]) {
            let damaged = &stored[..cut];
            let Ok(mended) = heal(damaged) else {
                // Nobody has the key envelope any more.
                assert!(layers.encrypted && cut < HEADER + all[0].end());
                continue;
            };
            let what = format!("cut at {cut} of {} in {layers:?}", stored.len());
            if cut >= known {
                assert!(mended.report.is_original() && mended.bytes == stored, "{what}");
                continue;
            }
            let gap = mended.report.lost.last().expect("the end is lost");
            // The header of the last frame says how long the stream is.
            let is_known = cut >= HEADER + last.at + FRAME_HEADER_LEN;
            assert_eq!((&gap.cause, gap.len.is_some()), (&Cause::Truncated, is_known), "{what}");
            let (before, _) = missing(damaged, &plain);
            let (after, open_end) = missing(&mended.bytes, &plain);
            assert!(after == before && (open_end || is_known), "{what}: {after} {before}");
            assert!(stack::open(mended.bytes.clone(), &KEY, &few_threads()).is_err(), "{what}");
            let again = heal(&mended.bytes).expect("there is a container");
            assert!(again.bytes == mended.bytes, "{what}");
        }
    }
}

#[test]
fn a_header_alone_is_a_pack_that_is_cut() {
    let stored = around(STORED, &content(1, 1000));
    // Its last bytes can be put right too.
    for cut in 252..HEADER + FRAME_HEADER_LEN {
        let mended = heal(&stored[..cut]).expect("the header is there");
        assert_eq!(mended.bytes.len(), HEADER + TRAILER, "cut at {cut}");
        assert_eq!(mended.bytes[..HEADER], stored[..HEADER], "cut at {cut}");
        assert!(!mended.report.is_original());
    }
}

#[test]
fn a_front_that_is_gone_costs_what_stood_in_it() {
    for layers in framed() {
        let plain = content(1, 700_000);
        let stored = around(layers, &plain);
        for cut in [64 << 10, 300_000] {
            let mended = heal(&stored[cut..]).expect("the trailer is there");
            let (lost, open_end) = missing(&mended.bytes, &plain);
            assert!(!open_end && lost <= cut + REACH, "{cut} in {layers:?}: {lost}");
            assert_eq!(mended.report.lost.len(), 1, "{:?}", mended.report);
        }
    }
}

#[test]
fn anchors_stand_in_where_both_ends_are_gone() {
    let plain = content(1, 66 << 20);
    for layers in [ENCRYPTED, STORED] {
        let stored = around(layers, &plain);
        let report = mends(&stored, &stored, "sound");
        assert!(report.rebuilt.is_empty());
        let mut damaged = stored.clone();
        let anchor = frames(&stored[HEADER..stored.len() - TRAILER])
            .into_iter()
            .find(|frame| frame.kind == Kind::ANCHOR.0)
            .expect("there is one");
        damaged[HEADER + anchor.at + 100..][..200].fill(0);
        let report = mends(&damaged, &stored, "no anchor");
        assert_eq!(report.rebuilt[0].part, Part::Anchor(0));

        let middle = &stored[1 << 20..stored.len() - (1 << 19)];
        let mended = heal(middle).expect("the anchor is there");
        assert!(mended.report.rebuilt.iter().any(|rebuilt| rebuilt.part == Part::Header));
        assert_eq!(mended.bytes[..HEADER], stored[..HEADER]);
        let (lost, open_end) = missing(&mended.bytes, &plain);
        assert!(open_end && lost < (1 << 20) + (1 << 19) + 3 * FRAME, "{lost}");
    }
}

#[test]
fn what_is_zeroed_is_mended_or_missing_and_never_wrong() {
    let plain = content(1, 600_000);
    let random = content(7, 16_000);
    for (layers, random) in framed().into_iter().zip(random.chunks(1600)) {
        let stored = around(layers, &plain);
        for random in random.as_chunks::<8>().0 {
            let random = u64::from_le_bytes(*random) as usize;
            let at = random % stored.len();
            let end = (at + [1, 30, 512, 4096][random >> 40 & 3]).min(stored.len());
            let mut damaged = stored.clone();
            damaged[at..end].fill(0);
            let mended = heal(&damaged).expect("there is a container");
            if mended.report.is_original() {
                assert!(mended.bytes == stored, "{at}..{end} in {layers:?}");
            } else {
                let (lost, _) = missing(&mended.bytes, &plain);
                assert!(lost > 0 && lost <= 2 * REACH, "{at}..{end} in {layers:?}: {lost}");
            }
        }
    }
}

#[test]
fn flips_all_over_a_pack_cost_only_frames_with_several() {
    let plain = content(1, 4 << 20);
    let random = content(11, 40 * 8);
    for layers in [ENCRYPTED, STORED] {
        let stored = around(layers, &plain);
        let mut damaged = stored.clone();
        for random in random.as_chunks::<8>().0 {
            let bit = u64::from_le_bytes(*random) as usize % (stored.len() * 8);
            damaged[bit / 8] ^= 1 << (bit % 8);
        }
        let all = frames(&stored[HEADER..stored.len() - TRAILER]);
        let several = all.iter().filter(|frame| {
            let range = HEADER + frame.at..HEADER + frame.end();
            let differ = range.filter(|&at| stored[at] != damaged[at]).count();
            frame.kind == Kind::DATA.0 && differ > 1
        });
        let most = several.count() * REACH;
        let mended = heal(&damaged).expect("there is a container");
        let (lost, _) = missing(&mended.bytes, &plain);
        assert!(lost <= most, "{lost} of {most}: {:?}", mended.report);
    }
}

#[test]
fn inserted_and_removed_bytes_cost_the_frame_they_are_in() {
    let plain = content(1, 700_000);
    for layers in framed() {
        let stored = around(layers, &plain);
        for at in (0..stored.len()).step_by(13_007) {
            let mut longer = stored.clone();
            longer.insert(at, 7);
            let mut shorter = stored.clone();
            shorter.remove(at);
            for damaged in [longer, shorter] {
                let mended = heal(&damaged).expect("there is a container");
                let (lost, open_end) = missing(&mended.bytes, &plain);
                let is_original = mended.report.is_original();
                let is_in_last = at > stored.len() - TRAILER - 131_072;
                let is_told = !open_end || is_in_last;
                assert!(is_told && lost <= REACH, "{at} in {layers:?}: {lost}");
                assert_eq!(is_original, mended.bytes == stored, "{at} in {layers:?}");
            }
        }
    }
}

#[test]
fn a_frame_that_lies_about_its_place_makes_nothing_grow() {
    for (layers, layer) in [(ENCRYPTED, LayerId::ENCRYPTION), (STORED, LayerId::COMPRESSION)] {
        let stored = around(layers, &content(1, 300_000));
        let all = frames(&stored[HEADER..stored.len() - TRAILER]);
        let frame = all.iter().find(|frame| frame.kind == Kind::DATA.0).expect("there is one");
        let range = HEADER + frame.at..HEADER + frame.end();
        let header = FrameHeader::decode(stored[range.start..].first_chunk().expect("whole"));
        let mut header = header.expect("sound");
        assert_eq!(header.layer, layer);
        header.sequence = 1 << 31;
        header.plain_offset = (1 << 31) * u64::from(header.plain_len);
        let payload = &stored[range.start + FRAME_HEADER_LEN..range.end];
        let forged = [&header.sealed(payload).encode()[..], payload].concat();
        // Behind the last frame nothing can be; where the last is missing, it opens a gap that is too wide.
        let mended = heal(&[&stored[..], &forged].concat()).expect("there is a container");
        assert!(
            matches!(mended.report.conflicts[..], [Conflict::Place { .. }]),
            "{:?}",
            mended.report
        );
        let cut = &stored[..stored.len() - TRAILER - 200_000];
        let error = heal(&[cut, &forged].concat()).err().expect("too wide");
        assert!(matches!(error.kind(), ErrorKind::Limit { .. }), "{error}");
    }
}

#[test]
fn appendices_stay() {
    let mut body = [0; 48];
    body[8..16].copy_from_slice(&(64_u64 + 100 + 64).to_le_bytes());
    let crc = carstone::layer::crc64(&[&body]).to_le_bytes();
    let head = [&b"\x89CSTa\r\n\x1a"[..], &body, &crc].concat();
    let foot = [&body[..], &crc, b"\x1a\n\raTSC\x89"].concat();
    let appendix = [&head[..], &content(2, 100), &foot].concat();
    for layers in [ENCRYPTED, STORED] {
        let mut stored = around(layers, &content(1, 300_000));
        let end = stored.len();
        stored.extend(&appendix);
        mends(&stored, &stored, "sound");
        for range in [0..HEADER, 1000..1001, end - TRAILER..end] {
            let mut damaged = stored.clone();
            damaged[range.clone()].iter_mut().for_each(|byte| *byte ^= 0x11);
            mends(&damaged, &stored, &format!("{range:?}"));
        }
        let mut damaged = stored.clone();
        damaged[end + 200] ^= 1;
        let mended = heal(&damaged).expect("there is a container");
        assert!(mended.bytes == damaged, "nobody can say what stood there");
        assert!(matches!(mended.report.conflicts[..], [Conflict::Appendices { .. }]));
    }
}

#[test]
fn what_is_no_pack_is_refused() {
    for bytes in [&b""[..], b"text", &content(1, 100_000), &[0; 1000]] {
        let error = heal(bytes).err().expect("there is no pack");
        assert!(matches!(error.kind(), ErrorKind::ContainerLost), "{error}");
    }
    let stored = around(ENCRYPTED, &content(1, 300_000));
    let mut damaged = stored.clone();
    for frame in frames(&stored[HEADER..stored.len() - TRAILER]) {
        if frame.kind == Kind::LAYER_HEADER.0 {
            damaged[HEADER + frame.at..HEADER + frame.end()].fill(0);
        }
    }
    let error = heal(&damaged).err().expect("there is no envelope");
    assert!(matches!(error.kind(), ErrorKind::LayerHeaderLost), "{error}");
}

#[test]
fn a_pack_without_frames_gets_its_ends_back_and_no_promise() {
    let layers = Layers { encrypted: false, codec: None };
    let stored = pack(&tiny(), layers.options(), 1);
    for damaged in [&stored[..], &stored[HEADER..], &stored[..stored.len() - TRAILER]] {
        let mended = heal(damaged).expect("there is a container");
        assert!(mended.bytes == stored);
        assert_eq!(mended.report.conflicts, [Conflict::NoFrames]);
    }
}

#[test]
fn a_pack_in_a_larger_file_is_mended_alone() {
    let stored = around(STORED, &content(1, 300_000));
    let mut file = [&content(2, 500), &stored[..], &content(3, 700)].concat();
    file[900] ^= 1;
    let range = 500..500 + stored.len() as u64;
    let healed =
        stack::heal(&file[..], &few_threads().range(range), &mut |_| {}).expect("a container");
    let mut bytes = Vec::new();
    healed.copy_to(&mut bytes, &mut |_| {}).expect("memory can be read");
    assert!(bytes == stored && healed.report().is_original());
    assert_eq!(healed.report().corrections[0].at, 900);
}

#[test]
fn a_mended_pack_opens_without_being_written() {
    let tree = support::sample();
    let stored =
        pack(&tree, Layers { encrypted: true, codec: Some(Codec::Brotli(1)) }.options(), 2);
    let mut damaged = stored[200..].to_vec();
    damaged[200_000] ^= 4;
    assert!(stack::open(damaged.clone(), &KEY, &few_threads()).is_err());
    let healed = stack::heal(damaged, &few_threads(), &mut |_| {}).expect("the trailer is there");
    let opened = stack::open(healed, &KEY, &few_threads()).expect("it is mended");
    assert_eq!(read_all(&opened).expect("it is mended"), tree);
}
