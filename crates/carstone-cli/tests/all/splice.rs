//! Encrypted packs that were tampered with between the frames: the command says so, and restores no wrong byte.

use std::fs;
use std::path::{Path, PathBuf};

use carstone::layer::{FRAME_HEADER_LEN, FrameHeader};

use crate::bad_input::check_subset;
use crate::support::{Place, noise};

#[test]
fn every_frame_of_another_pack_of_the_same_reader_is_found() {
    let packs = Packs::new();
    for frame in 1..packs.mine.len() - 1 {
        let mut spliced = packs.mine.clone();
        spliced[frame].clone_from(&packs.other[frame]);
        packs.check(&spliced, &format!("frame {frame}"));
    }
}

#[test]
fn every_frame_moved_repeated_or_dropped_is_found() {
    let packs = Packs::new();
    for frame in 1..packs.mine.len() - 2 {
        let mut swapped = packs.mine.clone();
        swapped.swap(frame, frame + 1);
        packs.check(&swapped, &format!("{frame} behind the next"));
        let mut longer = packs.mine.clone();
        longer.insert(frame, packs.mine[frame].clone());
        packs.check(&longer, &format!("{frame} twice"));
        let mut shorter = packs.mine.clone();
        shorter.remove(frame);
        packs.check(&shorter, &format!("without {frame}"));
    }
}

#[test]
fn the_front_of_one_pack_and_the_end_of_another_are_found() {
    let packs = Packs::new();
    let last = packs.mine.len() - 1;
    for place in [0, last] {
        let mut mixed = packs.mine.clone();
        mixed[place].clone_from(&packs.other[place]);
        packs.check(&mixed, &format!("part {place}"));
    }
}

/// Two packs of the same shape that one key opens: container header and layer header, data frames, layer header and trailer.
struct Packs {
    place: Place,
    mine: Vec<Vec<u8>>,
    other: Vec<Vec<u8>>,
}

impl Packs {
    fn new() -> Self {
        let place = Place::new();
        let alice = place.key("alice");
        let pack = |tree: &str, seed| {
            place.write(&format!("{tree}/a"), b"a file");
            place.write(&format!("{tree}/b"), &noise(450_000, seed));
            let run =
                run!("create", "-o", "-", "--compress", "none", "-r", &alice, place.path(tree));
            parts(&run.exits(0).stdout)
        };
        let (mine, other) = (pack("tree", 7), pack("tree-", 8));
        let lengths = |parts: &[Vec<u8>]| parts[1..].iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(lengths(&mine)[..3], lengths(&other)[..3], "packs of the same shape");
        assert!(mine.len() > 5, "{}", mine.len());
        Self { place, mine, other }
    }

    #[track_caller]
    fn check(&self, parts: &[Vec<u8>], what: &str) {
        let pack = self.place.write("spliced.cstone", &parts.concat());
        let key = self.place.path("alice");
        let verified = run!("verify", "-i", &key, &pack);
        assert_eq!(verified.code, 1, "{what}: {}", verified.stderr);
        let out = self.place.path("out");
        let run = run!("extract", "-q", "-i", &key, "-C", &out, &pack);
        assert!(matches!(run.code, 1 | 2), "{what}: {} {}", run.code, run.stderr);
        self.check_and_remove(&out);
        let piped = pipe!(&parts.concat(), "extract", "-q", "-i", &key, "-C", &out, "-");
        assert!(matches!(piped.code, 1 | 2), "{what}: {} {}", piped.code, piped.stderr);
        self.check_and_remove(&out);
    }

    #[track_caller]
    fn check_and_remove(&self, out: &Path) {
        check_subset(&self.tree(), out);
        if out.exists() {
            fs::remove_dir_all(out).expect("removed");
        }
    }

    fn tree(&self) -> PathBuf {
        self.place.path("tree")
    }
}

fn parts(stored: &[u8]) -> Vec<Vec<u8>> {
    let frame_len = |at: usize| {
        let head = stored[at..].first_chunk::<FRAME_HEADER_LEN>().expect("a frame");
        FrameHeader::decode(head).expect("a frame").frame_len() as usize
    };
    let mut at = 256 + frame_len(256);
    let mut parts = vec![stored[..at].to_vec()];
    while at < stored.len() - 304 {
        let end = at + frame_len(at);
        parts.push(stored[at..end].to_vec());
        at = end;
    }
    let trailer = stored[at..].to_vec();
    parts.last_mut().expect("a layer header").extend(trailer);
    parts
}
