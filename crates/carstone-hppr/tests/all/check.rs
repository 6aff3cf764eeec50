//! What a check finds.

use std::fs;
use std::sync::Arc;

use carstone_hppr::{CheckOptions, Checked, Finding, OpenOptions, PacketHash, Repository};

use crate::faulty::Faulty;
use crate::laid::{
    B, Laid, MARKER, P, S, TAI, V, at_item, file, other_seal, plex, references, seal,
};

pub const EMPTY: &str = "B.svyLzSM7ffc91i~XDbkMnuOsdjsw_6GrXpTSckqHlpO.H3";

pub fn all(repository: &Repository, verify: bool) -> (Vec<Finding>, Checked) {
    let mut found = Vec::new();
    let options = CheckOptions::default().verify(verify);
    let checked = repository.check(&options, &mut |finding| found.push(finding.clone()));
    (found, checked.expect("a check"))
}

/// The names of all findings, and that each has a text and is counted.
pub fn names(laid: &Laid) -> Vec<&'static str> {
    let (found, checked) = all(&laid.read_only(), true);
    assert_eq!(checked.faults + checked.notes, found.len() as u64);
    assert_eq!(checked.mended, 0);
    let faults = found.iter().filter(|finding| finding.is_fault()).count();
    assert_eq!(checked.faults, faults as u64);
    for finding in &found {
        assert!(finding.to_string().starts_with(finding.name()), "{finding}");
    }
    let mut names: Vec<_> = found.iter().map(Finding::name).collect();
    names.sort_unstable();
    names
}

#[track_caller]
fn finds(laid: &Laid, expected: &[&str]) {
    assert_eq!(names(laid), expected);
}

fn hash(text: &str) -> PacketHash {
    text.parse().expect("a hash")
}

/// Several of everything.
pub fn whole() -> Laid {
    let laid = Laid::with_seal();
    laid.lay(&other_seal());
    laid.lay(&at_item("1640995300:000000000", ""));
    laid.lay(&plex(["g", "a", "l/m"], TAI, "x"));
    laid.lay(&plex(["g", "a", "l"], TAI, "This is signed content."));
    laid
}

#[test]
fn a_whole_repository_has_no_findings() {
    let laid = whole();
    for verify in [true, false] {
        for repository in [laid.open(), laid.read_only()] {
            let (found, checked) = all(&repository, verify);
            assert_eq!(found, []);
            assert_eq!((checked.packets, checked.entries), (2 + 4 + 3, 2 + 4));
        }
    }
    finds(&Laid::new(), &[]);
}

#[test]
fn a_detached_packet_is_no_finding() {
    let laid = Laid::new();
    laid.lay_hashes(&seal());
    laid.write(format!("detach/{B}"), "");
    finds(&laid, &[]);
    // A Plex that is detached while its Seal is not.
    let laid = Laid::with_seal();
    fs::remove_dir_all(laid.path(format!("{MARKER}/plex"))).expect("a directory");
    finds(&laid, &[]);
}

#[test]
fn flipped_bits_are_found_in_their_file() {
    for hash in [S, P, B] {
        let laid = Laid::with_seal();
        let mut bytes = laid.read(file(hash));
        // In the data, in a coordinate, and in a signature.
        let at = match hash {
            S => 130,
            P => 62,
            _ => 3,
        };
        bytes[at] ^= 1;
        laid.write(file(hash), bytes);
        let (found, _) = all(&laid.read_only(), true);
        let damaged: Vec<_> = found
            .iter()
            .filter_map(|finding| match finding {
                Finding::Damaged { hash, error } => Some((hash.to_string(), error.path())),
                _ => None,
            })
            .collect();
        let path = laid.path(file(hash));
        let expected = (hash.to_owned(), Some(&*path));
        assert!(damaged.contains(&expected), "{found:?}");
    }
}

#[test]
fn bits_of_data_are_not_looked_at_without_verifying() {
    let laid = Laid::with_seal();
    laid.write(file(B), "This is signed content!");
    assert_eq!(all(&laid.open(), false).0, []);
    finds(&laid, &["damaged"]);
}

#[test]
fn a_missing_hash_file_is_found() {
    let laid = Laid::with_seal();
    laid.remove(file(B));
    let found = all(&laid.read_only(), true).0;
    assert_eq!(found, [Finding::InnerMissing { hash: hash(P), inner: hash(B) }]);
    let laid = Laid::with_seal();
    laid.remove(file(P));
    finds(&laid, &["dangling-index", "inner-missing", "stray-ref"]);
    let laid = Laid::with_seal();
    laid.remove(file(S));
    finds(&laid, &["dangling-index", "stray-ref"]);
}

#[test]
fn a_wrong_size_is_found() {
    for (hash, cut) in [(B, 0), (P, 100), (S, 200)] {
        let laid = Laid::with_seal();
        let bytes = laid.read(file(hash));
        laid.write(file(hash), &bytes[..cut]);
        finds(&laid, &["wrong-size"]);
        assert_eq!(all(&laid.open(), false).0.len(), 1);
    }
    let laid = Laid::with_seal();
    laid.write(file(P), [laid.read(file(P)), b"x".to_vec()].concat());
    finds(&laid, &["wrong-size"]);
    let laid = Laid::new();
    laid.write(file(EMPTY), "x");
    finds(&laid, &["wrong-size"]);
    let laid = Laid::with_seal();
    fs::File::options()
        .write(true)
        .open(laid.path(file(B)))
        .and_then(|file| file.set_len((32 << 20) + 1))
        .expect("a long file");
    finds(&laid, &["wrong-size"]);
}

#[test]
fn a_wrong_markline_is_found() {
    for hash in [S, P] {
        let laid = Laid::with_seal();
        wrong_markline(&laid, hash);
        finds(&laid, &["wrong-markline"]);
    }
}

pub fn wrong_markline(laid: &Laid, hash: &str) {
    let text = String::from_utf8(laid.read(file(hash))).expect("text");
    laid.write(file(hash), text.replacen(&hash[..6], &format!("{}~", &hash[..5]), 1));
}

#[test]
fn a_missing_tip_is_found() {
    for name in ["tip", "plex/tip", "seal/tip", &format!("seal/{V}/tip")] {
        let laid = whole();
        laid.remove(format!("{MARKER}/{name}"));
        finds(&laid, &["missing-tip"]);
    }
}

#[test]
fn a_dangling_tip_is_found() {
    let laid = whole();
    laid.link(&format!("plex/1640995400:000000000/{P}"), format!("{MARKER}/tip"));
    finds(&laid, &["dangling-tip"]);
}

#[test]
fn a_tip_of_nothing_is_found() {
    let laid = whole();
    fs::create_dir_all(laid.path("index/g/a/n/|/plex")).expect("directories");
    laid.link(&format!("{TAI}/{P}"), "index/g/a/n/|/plex/tip");
    finds(&laid, &["dangling-tip"]);
}

#[test]
fn a_wrong_tip_is_found() {
    let laid = whole();
    laid.link(&format!("plex/{TAI}/{P}"), format!("{MARKER}/tip"));
    laid.link(&format!("{V}/{TAI}/{S}"), format!("{MARKER}/seal/tip"));
    laid.link("nonsense", format!("{MARKER}/plex/tip"));
    finds(&laid, &["wrong-tip", "wrong-tip", "wrong-tip"]);
}

#[test]
fn zero_byte_copies_of_links_are_found() {
    let laid = whole();
    for name in ["tip", "plex/tip", "seal/tip"] {
        laid.remove(format!("{MARKER}/{name}"));
        laid.write(format!("{MARKER}/{name}"), "");
    }
    finds(&laid, &["copied-tip", "copied-tip", "copied-tip"]);
}

#[test]
fn a_text_that_stands_for_a_link_is_no_finding() {
    let laid = Laid::with_seal();
    laid.remove(format!("{MARKER}/tip"));
    laid.write(format!("{MARKER}/tip"), format!("seal/{V}/{TAI}/{S}\n"));
    finds(&laid, &[]);
}

#[test]
fn an_index_entry_without_packet_is_found() {
    let laid = whole();
    let none = P.replace("P.Vo", "P.Vp");
    laid.write(format!("{MARKER}/plex/{TAI}/{none}"), "");
    laid.tips(MARKER);
    finds(&laid, &["dangling-index"]);
}

#[test]
fn an_index_entry_of_another_packet_is_found() {
    let laid = whole();
    laid.write(format!("{MARKER}/plex/1640995201:000000000/{P}"), "");
    let elsewhere = "index/g/a/n/|";
    laid.write(format!("{elsewhere}/seal/{V}/{TAI}/{S}"), "");
    laid.tips(elsewhere);
    let key = V.replace("V.XB", "V.XC");
    laid.write(format!("{MARKER}/seal/{key}/{TAI}/{S}"), "");
    laid.tips(MARKER);
    // So are the links that name one.
    let tips = ["dangling-tip"; 4];
    finds(&laid, &[&tips[..], &["wrong-index"; 3]].concat());
}

#[test]
fn a_packet_that_is_attached_without_an_entry_is_found() {
    let laid = Laid::with_seal();
    fs::remove_dir_all(laid.path("index/a-group")).expect("a directory");
    let found = all(&laid.read_only(), true).0;
    // The Plex may have been detached while its Seal was not.
    assert_eq!(found, [Finding::NotIndexed { hash: hash(S) }]);
    let laid = Laid::new();
    let packet = plex(["g", "a", "l"], TAI, "x");
    laid.lay(&packet);
    fs::remove_dir_all(laid.path("index/g")).expect("a directory");
    let found = all(&laid.read_only(), true).0;
    assert_eq!(found, [Finding::NotIndexed { hash: packet.hash() }]);
}

#[test]
fn a_stray_ref_is_found() {
    let laid = whole();
    laid.write(format!("{}/{}", references(B), P.replace("P.Vo", "P.Vp")), "");
    laid.write(format!("{}/{}/{V}", references(P), S.replace("S.7N", "S.7M")), "");
    finds(&laid, &["stray-ref", "stray-ref"]);
}

#[test]
fn a_ref_to_another_packet_is_found() {
    let laid = whole();
    laid.write(format!("{}/{P}", references(EMPTY)), "");
    laid.write(format!("{}/{S}/{}", references(P), V.replace("V.XB", "V.XC")), "");
    finds(&laid, &["wrong-ref", "wrong-ref"]);
}

#[test]
fn a_missing_ref_is_found() {
    let laid = Laid::with_seal();
    fs::remove_dir_all(laid.path(references(P))).expect("a directory");
    fs::remove_dir(laid.path(references(P)).parent().expect("one")).expect("a directory");
    finds(&laid, &["missing-ref"]);
    let laid = Laid::with_seal();
    laid.remove(format!("{}/{P}", references(B)));
    // Its Plex and its Seal both speak of it.
    finds(&laid, &["empty-directory", "missing-ref", "missing-ref"]);
}

#[test]
fn a_half_finished_store_is_found() {
    let laid = Laid::new();
    laid.lay_hashes(&seal());
    let found = all(&laid.read_only(), true).0;
    assert_eq!(found, [Finding::HalfStored { hash: hash(P) }]);
    assert!(!found[0].is_fault());
}

#[test]
fn what_writers_have_left_is_found() {
    let laid = whole();
    laid.write(".tmp/00000001", "x");
    laid.write(".tmp/probe/aA", "x");
    finds(&laid, &["leftover", "leftover"]);
}

#[test]
fn foreign_files_are_found() {
    let paths = [
        "note",
        "hash/X/ab/c.H3",
        "hash/B/note",
        "hash/B/abc/note",
        "hash/B/xN/note.H3",
        "hash/B/xN/C0xRbHR_U4Tm7yW1L2UoIeXrsS2B1yLlTbKU4kT5p",
        "ref/S/x",
        "ref/B/note",
        "ref/B/xN/note",
        &format!("{}/note", references(B)),
        &format!("{}/{S}/note", references(P)),
        "index/note",
        "index/a|b/x",
        "index/a-group/note",
        "index/a-group/|/x",
        "index/a-group/some-app/note",
        "index/a-group/some-app/our-collection/{x}/y",
        &format!("{MARKER}/note"),
        &format!("{MARKER}/plex/note"),
        &format!("{MARKER}/plex/{TAI}/note"),
        &format!("{MARKER}/plex/{TAI}/{S}"),
        &format!("{MARKER}/seal/note"),
        &format!("{MARKER}/seal/{V}/{TAI}/{P}"),
        "detach/note",
        &format!("detach/{P}"),
    ];
    let laid = whole();
    paths.iter().for_each(|path| laid.write(path, "foreign"));
    finds(&laid, &vec!["foreign"; paths.len()]);
    fs::create_dir(laid.path(file(B).replace("xN", "xM"))).expect_err("no directory is above");
}

#[test]
fn links_to_directories_are_foreign_and_not_followed() {
    let laid = whole();
    laid.link("../..", "index/a-group/loop");
    laid.link("/", "hash/outside");
    finds(&laid, &["foreign", "foreign"]);
}

#[test]
fn empty_directories_are_found() {
    let laid = whole();
    for path in [
        "index/g/empty",
        "index/g/a/l/|/plex/0000000000:000000000",
        "index/g/a/n/|",
        "ref/B/xM",
        &format!("{}/{}", references(P), S.replace("S.7N", "S.7M")),
    ] {
        fs::create_dir_all(laid.path(path)).expect("directories");
    }
    finds(&laid, &["empty-directory"; 5]);
}

#[test]
fn wrong_records_are_found() {
    let laid = whole();
    laid.write(format!("detach/{B}"), "");
    laid.write(format!("detach/{EMPTY}"), "");
    finds(&laid, &["wrong-record", "wrong-record"]);
}

#[test]
fn a_half_finished_collection_is_found() {
    let laid = whole();
    let gone = B.replace("B.xN", "B.xO");
    laid.write(format!("detach/{gone}"), "");
    let found = all(&laid.read_only(), true).0;
    assert_eq!(found, [Finding::HalfCollected { blob: hash(&gone) }]);
}

#[test]
fn what_is_no_regular_file_is_no_file_of_a_packet() {
    for hash in [B, P, S] {
        for spoil in
            [(|laid, path| laid.link("elsewhere", path)) as fn(&Laid, &str), |laid, path| {
                std::fs::create_dir(laid.path(path)).expect("a directory")
            }]
        {
            let laid = Laid::with_seal();
            laid.remove(file(hash));
            spoil(&laid, &file(hash));
            assert!(names(&laid).contains(&"damaged"), "{hash}: {:?}", names(&laid));
        }
    }
}

#[test]
fn who_only_reads_waits_for_a_writer() {
    let laid = whole();
    let lock = std::fs::File::create(laid.path(".tmp/lock")).expect("a file");
    lock.lock().expect("it is locked");
    let reader = laid.read_only();
    std::thread::scope(|scope| {
        let check = scope.spawn(move || reader.check(&CheckOptions::default(), &mut |_| ()));
        std::thread::sleep(std::time::Duration::from_millis(200));
        assert!(!check.is_finished());
        drop(lock);
        assert_eq!(check.join().expect("no panic").expect("a check").faults, 0);
    });
}

#[test]
fn why_a_file_cannot_be_read_is_told() {
    let laid = Laid::with_seal();
    for name in [B, P, S] {
        let disk = Faulty::default();
        disk.deny(laid.path(file(name)));
        let options = OpenOptions::default().read_only(true).disk(Arc::new(disk));
        let repository = Repository::open_with(laid.root(), options).expect("a repository");
        let (found, _) = all(&repository, true);
        let text = found.iter().map(ToString::to_string).find(|text| text.contains(name));
        let text = text.expect("a finding");
        assert!(text.starts_with("damaged") && text.ends_with(": permission denied"), "{text}");
    }
}
