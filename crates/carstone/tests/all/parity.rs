//! Parity in an appendix: found, used and made again.

use carstone::layer::ReadAt;
use carstone::pack::{Metadata, PackWriter};
use carstone::parity::{Memory, Options, Section, Survey, WriteAt, heal, protect};
use carstone::raw::Appendix;
use carstone::stack::{self, OpenOptions, WriteOptions, append_parity, find_parity};

fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..len).map(|_| next()).collect()
}

fn pack(files: &[(&[u8], &[u8])]) -> Vec<u8> {
    let options = WriteOptions::default().codec(carstone::compress::Codec::Stored);
    let pipe = stack::write(Vec::new(), options).expect("a Vec takes all");
    let id = pipe.pack_id();
    let mut writer = PackWriter::new(pipe, id).expect("begun");
    for (name, content) in files {
        writer.add_file(name, Metadata::default(), *content).expect("added");
    }
    let (pipe, _) = writer.finish().expect("written");
    pipe.finish().expect("written")
}

fn protected(pack: &[u8]) -> Vec<u8> {
    let file = Memory::new();
    file.write_all_at(pack, 0).expect("written");
    let (made, end) =
        append_parity(&file, pack.len() as u64, &Options::default(), &|_| ()).expect("protected");
    let bytes = file.into_bytes();
    assert_eq!(bytes.len() as u64, end);
    assert_eq!(made.layout().stream_len(), pack.len() as u64);
    bytes
}

/// The file as it was, from a damaged one; `None` where nothing heals it.
fn healed(damaged: &[u8]) -> Option<Vec<u8>> {
    for found in find_parity(damaged).expect("read") {
        let Ok(parity) = found.open(damaged, 2) else { continue };
        let stream = Section::new(damaged, found.stream());
        let Ok(survey) = Survey::of(&stream, &parity, 2, &|_| ()) else { continue };
        let target = Memory::new();
        let report = heal(&stream, &parity, &survey, &target, 2, &|_| ()).expect("healed");
        let len = parity.descriptor().layout().stream_len();
        if report.whole && found.is_of(damaged, &target, len).expect("read") {
            found.restore(damaged, &target, parity.descriptor(), 2, &|_| ()).expect("written");
            return Some(target.into_bytes());
        }
    }
    None
}

#[test]
fn the_pack_before_it_stays_as_it_is_and_opens() {
    let pack = pack(&[(b"a", &noise(300_000, 5))]);
    let file = protected(&pack);
    assert_eq!(file[..pack.len()], pack);
    assert!(file.len() - pack.len() <= pack.len() / 10 + 128);
    let opened = stack::open(file.clone(), &[0; 32], &OpenOptions::default()).expect("opened");
    assert_eq!(opened.stored.stored_len, pack.len() as u64);
    opened.pack().expect("a pack").find(b"a").expect("read").expect("it is there");
    let [found] = &find_parity(&file).expect("read")[..] else { panic!("one is there") };
    assert!(found.is_in_place());
    let parity = found.open(&file, 2).expect("opened");
    assert!(parity.is_sound());
    assert!(parity.descriptor().fits(&Section::new(&file, found.stream()), &|_| ()).expect("read"));
}

/// Damages a protected pack, and wants it back as it was.
#[track_caller]
fn check(damage: impl FnOnce(&mut Vec<u8>, usize)) {
    let pack = pack(&[(b"a", &noise(300_000, 5)), (b"b", &noise(90_000, 6))]);
    let file = protected(&pack);
    let mut damaged = file.clone();
    damage(&mut damaged, pack.len());
    assert_ne!(damaged, file);
    assert!(healed(&damaged).is_some_and(|healed| healed == file));
}

#[test]
fn a_burst_in_the_pack_is_healed() {
    check(|file, _| file[40_000..60_000].fill(0));
}

#[test]
fn a_burst_over_the_trailer_and_the_front_of_the_parity_is_healed() {
    check(|file, len| file[len - 8_000..len + 4_000].fill(0));
}

#[test]
fn a_lost_container_header_is_healed() {
    check(|file, _| file[..5_000].fill(0xAA));
}

#[test]
fn a_lost_footer_of_the_appendix_is_made_again() {
    check(|file, _| {
        let end = file.len();
        file[end - 30..].fill(0);
    });
}

#[test]
fn other_appendices_are_kept_in_their_order() {
    let pack = pack(&[(b"a", &noise(300_000, 5))]);
    let other = |content: &[u8]| {
        let (header, footer) = Appendix::edges(77, [3; 16], content.len() as u64).expect("short");
        [&header[..], content, &footer].concat()
    };
    let parity = protected(&pack).split_off(pack.len());
    let file = [&pack[..], &other(b"before"), &parity, &other(b"after")].concat();
    let mut damaged = file.clone();
    damaged[50_000..60_000].fill(0);
    assert!(healed(&damaged).is_some_and(|healed| healed == file));
}

#[test]
fn parity_in_a_file_of_the_pack_is_not_taken_for_its_own() {
    // The first file of the pack, and its parity right behind it.
    let first = noise(200_000, 7);
    let sidecar = Memory::new();
    protect(&first, &sidecar, &Options::default(), &|_| ()).expect("protected");
    let inner = pack(&[(b"a", &first)]);
    for content in [[&first[..], &sidecar.into_bytes()].concat(), protected(&inner)] {
        let mut outer = pack(&[(b"x", &content)]);
        let end = outer.len();
        outer[end - 20..].fill(0);
        assert!(!find_parity(&outer).expect("read").is_empty(), "the frames are found");
        assert!(healed(&outer).is_none(), "and belong to something else");
    }
}

#[test]
fn without_any_there_is_none() {
    let mut pack = pack(&[(b"a", &noise(3_000, 5))]);
    assert!(find_parity(&pack).expect("read").is_empty());
    let end = pack.len();
    pack.truncate(end - 1);
    assert!(find_parity(&pack).expect("read").is_empty());
    assert!(find_parity(&Vec::new()).expect("read").is_empty());
    assert_eq!(pack.size().expect("known"), end as u64 - 1);
}
