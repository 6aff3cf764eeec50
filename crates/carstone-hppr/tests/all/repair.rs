//! What a repair mends, and what it leaves.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use carstone_hppr::{Checked, ErrorKind, Finding, Packet, Urc};

use crate::check::{EMPTY, all, names, whole, wrong_markline};
use crate::laid::{B, ITEM, Laid, MARKER, P, S, TAI, V, file, marker, plex, references, seal};

fn repair(laid: &Laid) -> (Vec<(&'static str, bool)>, Checked) {
    let mut told = Vec::new();
    let repository = laid.open();
    let mut tell = |finding: &Finding, mended| told.push((finding.name(), mended));
    let checked = repository.repair(true, &mut tell).expect("a repair");
    let mended = told.iter().filter(|(_, mended)| *mended).count();
    assert_eq!(checked.mended, mended as u64);
    (told, checked)
}

/// That all is mended, and all else is as before.
#[track_caller]
fn mends(laid: &Laid, like: &Laid) {
    let (told, _) = repair(laid);
    assert!(!told.is_empty() && told.iter().all(|(_, mended)| *mended), "{told:?}");
    assert_eq!(names(laid), Vec::<&str>::new());
    assert_eq!(tree(laid.root()), tree(like.root()));
}

/// That nothing changes but what these findings are of.
#[track_caller]
fn leaves(laid: &Laid, finding: &str) {
    let before = tree(laid.root());
    let (told, checked) = repair(laid);
    assert!(told.contains(&(finding, false)), "{told:?}");
    assert_eq!(checked.mended, 0, "{told:?}");
    assert_eq!(tree(laid.root()), before);
}

/// Bytes of files, targets of links, and directories.
fn tree(root: &Path) -> BTreeMap<String, String> {
    let mut tree = BTreeMap::new();
    let mut left = vec![root.to_owned()];
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            let name = path.strip_prefix(root).expect("below").to_str().expect("text").to_owned();
            let kind = fs::symlink_metadata(&path).expect("metadata").file_type();
            let text = match () {
                () if kind.is_dir() => {
                    left.push(path);
                    // Those of hashes stay.
                    if name.starts_with("hash") {
                        continue;
                    }
                    "directory".to_owned()
                }
                () if kind.is_symlink() => format!("{:?}", fs::read_link(path).expect("a link")),
                () => format!("{:?}", fs::read(path).expect("a file")),
            };
            tree.insert(name, text);
        }
    }
    tree
}

/// Makes the link of a path a wrong one.
type Spoil = dyn Fn(&Laid, &str);

fn gets(laid: &Laid, packet: &Packet) {
    let urc: Urc = ITEM.parse().expect("an address");
    assert_eq!(&laid.open().get(&urc).expect("a packet"), packet);
}

#[test]
fn a_whole_repository_is_left() {
    let laid = whole();
    let before = tree(laid.root());
    assert_eq!(repair(&laid).0, []);
    assert_eq!(tree(laid.root()), before);
}

#[test]
fn tips_are_made_again() {
    let spoil: [&Spoil; 5] = [
        &|laid, path| laid.remove(path),
        &|laid, path| laid.link(&format!("plex/1640995400:000000000/{P}"), path),
        &|laid, path| laid.link("nonsense", path),
        &|laid, path| {
            laid.remove(path);
            laid.write(path, "");
        },
        &|laid, path| {
            laid.remove(path);
            laid.write(path, "nonsense");
        },
    ];
    for spoil in spoil {
        let laid = whole();
        for name in ["tip", "plex/tip", "seal/tip", &format!("seal/{V}/tip")] {
            spoil(&laid, &format!("{MARKER}/{name}"));
        }
        mends(&laid, &whole());
    }
}

#[test]
fn a_tip_of_nothing_is_removed_with_its_directories() {
    let laid = whole();
    fs::create_dir_all(laid.path(format!("index/g/a/n/|/seal/{V}"))).expect("directories");
    for name in ["tip", "seal/tip", &format!("seal/{V}/tip")] {
        laid.link("nonsense", format!("index/g/a/n/|/{name}"));
    }
    mends(&laid, &whole());
}

#[test]
fn an_entry_of_a_packet_that_is_not_there_is_removed() {
    let laid = whole();
    let none = P.replace("P.Vo", "P.Vp");
    laid.write(format!("{MARKER}/plex/1640995400:000000000/{none}"), "");
    laid.write(format!("index/g/n/l/|/seal/{V}/{TAI}/{}", S.replace("S.7N", "S.7M")), "");
    laid.tips(MARKER);
    laid.tips("index/g/n/l/|");
    mends(&laid, &whole());
}

#[test]
fn a_stray_ref_is_removed() {
    let laid = whole();
    laid.write(format!("{}/{}", references(B), P.replace("P.Vo", "P.Vp")), "");
    laid.write(format!("{}/{P}", references(&B.replace("B.xN", "B.oN"))), "");
    fs::remove_file(laid.path(format!("{}/{P}", references(&B.replace("B.xN", "B.oN")))))
        .expect("a file");
    laid.write(format!("{}/{}/{V}", references(P), S.replace("S.7N", "S.7M")), "");
    mends(&laid, &whole());
}

#[test]
fn packets_that_are_attached_come_into_the_index() {
    let laid = Laid::new();
    let packet = plex(["g", "a", "l"], TAI, "x");
    laid.lay(&packet);
    fs::remove_dir_all(laid.path("index/g")).expect("a directory");
    let like = Laid::new();
    like.lay(&packet);
    repair(&laid);
    assert_eq!(names(&laid), Vec::<&str>::new());
    assert_eq!(tree(laid.root()), tree(like.root()));

    let laid = Laid::with_seal();
    fs::remove_dir_all(laid.path("index/a-group")).expect("a directory");
    repair(&laid);
    gets(&laid, &seal());
    assert_eq!(names(&laid), Vec::<&str>::new());
}

#[test]
fn an_index_that_is_gone_is_made_again_from_refs() {
    let laid = whole();
    fs::remove_dir_all(laid.path("index")).expect("a directory");
    fs::create_dir(laid.path("index")).expect("a directory");
    repair(&laid);
    assert_eq!(names(&laid), Vec::<&str>::new());
    assert!(laid.path(format!("{MARKER}/tip")).exists());
    let coordinate = plex(["g", "a", "l/m"], TAI, "x").plex().expect("one").coordinate().clone();
    assert!(laid.path(marker(&coordinate)).join("tip").exists());
}

#[test]
fn a_packet_that_is_not_verified_does_not_come_into_the_index() {
    let laid = Laid::new();
    let packet = plex(["g", "a", "l"], TAI, "x");
    laid.lay(&packet);
    fs::remove_dir_all(laid.path("index/g")).expect("a directory");
    laid.write(file(&packet.blob().hash().to_string()), "y");
    leaves(&laid, "not-indexed");
}

#[test]
fn a_missing_ref_is_made() {
    for of in [B, P] {
        let laid = whole();
        fs::remove_dir_all(laid.path(references(of))).expect("a directory");
        repair(&laid);
        assert_eq!(names(&laid), Vec::<&str>::new());
        assert_eq!(tree(laid.root()), tree(whole().root()));
    }
}

#[test]
fn a_wrong_markline_is_written_again() {
    for hash in [S, P] {
        let laid = whole();
        wrong_markline(&laid, hash);
        mends(&laid, &whole());
    }
}

#[test]
fn a_wrong_markline_over_wrong_lines_is_left() {
    let laid = Laid::with_seal();
    wrong_markline(&laid, P);
    let text = String::from_utf8(laid.read(file(P))).expect("text");
    laid.write(file(P), text.replace("some-app", "same-app"));
    leaves(&laid, "wrong-markline");
}

#[test]
fn empty_directories_are_removed() {
    let laid = whole();
    for path in [
        "index/g/empty/deeper",
        "index/g/a/l/|/plex/0000000000:000000000",
        &format!("index/g/a/n/|/seal/{V}/{TAI}"),
        "ref/B/oM",
        &format!("{}/{}", references(P), S.replace("S.7N", "S.7M")),
    ] {
        fs::create_dir_all(laid.path(path)).expect("directories");
    }
    mends(&laid, &whole());
}

#[test]
fn wrong_records_are_removed() {
    let laid = whole();
    laid.write(format!("detach/{B}"), "");
    laid.write(format!("detach/{EMPTY}"), "");
    mends(&laid, &whole());
}

#[test]
fn what_writers_have_left_is_removed() {
    let laid = whole();
    let repository = laid.open();
    laid.write(".tmp/00000001", "x");
    laid.write(".tmp/probe/aA", "x");
    repository.repair(true, &mut |_, _| {}).expect("a repair");
    assert_eq!(tree(laid.root()), tree(whole().root()));
}

#[test]
fn damaged_files_are_left() {
    let laid = Laid::with_seal();
    laid.write(file(B), "This is signed content!");
    leaves(&laid, "damaged");
}

#[test]
fn files_of_a_wrong_size_are_left() {
    for hash in [S, P, B] {
        let laid = Laid::with_seal();
        laid.write(file(hash), "");
        leaves(&laid, "wrong-size");
    }
}

#[test]
fn packets_without_their_blob_are_left() {
    let laid = Laid::with_seal();
    laid.remove(file(B));
    leaves(&laid, "inner-missing");
}

#[test]
fn half_finished_stores_are_left() {
    let laid = Laid::new();
    laid.lay_hashes(&seal());
    leaves(&laid, "half-stored");
}

#[test]
fn half_finished_collections_are_left() {
    let laid = Laid::new();
    laid.write(format!("detach/{B}"), "");
    leaves(&laid, "half-collected");
}

#[test]
fn entries_and_refs_that_verified_packets_contradict_go() {
    let laid = whole();
    laid.write(format!("index/g/a/n/|/plex/{TAI}/{P}"), "");
    laid.tips("index/g/a/n/|");
    laid.write(format!("{MARKER}/plex/9999999999:000000000/{P}"), "");
    laid.write(format!("{}/{P}", references(EMPTY)), "");
    mends(&laid, &whole());
}

#[test]
fn those_of_packets_that_are_not_verified_stay() {
    let laid = whole();
    laid.write(format!("index/g/a/n/|/plex/{TAI}/{P}"), "");
    laid.write(file(B), "other data of this lngth");
    leaves(&laid, "wrong-index");
    let laid = whole();
    laid.write(format!("{}/{P}", references(EMPTY)), "");
    laid.write(file(B), "other data of this lngth");
    leaves(&laid, "wrong-ref");
}

#[test]
fn what_is_foreign_is_left() {
    let laid = whole();
    for path in ["note", "hash/B/xN/note.H3", "index/g/note", "ref/B/note", "detach/note"] {
        laid.write(path, "foreign");
    }
    laid.link("/", "index/outside");
    fs::create_dir_all(laid.path("index/g/a/l/|/note/deep")).expect("directories");
    leaves(&laid, "foreign");
}

#[test]
fn a_directory_in_the_place_of_a_tip_is_left() {
    let laid = whole();
    laid.remove(format!("{MARKER}/tip"));
    fs::create_dir(laid.path(format!("{MARKER}/tip"))).expect("a directory");
    leaves(&laid, "wrong-tip");
}

#[test]
fn a_repository_that_is_only_read_is_not_mended() {
    let laid = whole();
    let error = laid.read_only().repair(true, &mut |_, _| {}).expect_err("it is only read");
    assert_eq!(error.kind(), &ErrorKind::ReadOnly);
}

#[test]
fn a_check_writes_nothing() {
    let laid = Laid::with_seal();
    laid.remove(format!("{MARKER}/tip"));
    laid.write("index/g/note", "x");
    let (repository, before) = (laid.open(), tree(laid.root()));
    assert_eq!(all(&repository, true).0.len(), 2);
    assert_eq!(tree(laid.root()), before);
}

#[test]
fn references_are_made_of_verified_packets_alone() {
    let laid = Laid::with_seal();
    let path = laid.path(file(P));
    let thin = fs::read_to_string(&path).expect("a file");
    fs::write(&path, thin.replace(&B[..20], &B.replace("B.xN", "B.xM")[..20])).expect("a file");
    let (_, checked) = repair(&laid);
    assert_eq!(checked.mended, 0);
    fs::write(&path, thin).expect("a file");
    assert_eq!(names(&laid), Vec::<&str>::new());
}

#[test]
fn a_directory_in_the_way_does_not_end_a_repair() {
    let laid = Laid::with_seal();
    let reference = format!("{}/{P}", references(B));
    laid.remove(&reference);
    fs::create_dir(laid.path(&reference)).expect("a directory");
    laid.lay(&plex(["g", "a", "l"], TAI, "x"));
    let tip = "index/g/a/l/|/tip";
    laid.remove(tip);
    let (told, _) = repair(&laid);
    assert!(told.contains(&("missing-ref", false)), "{told:?}");
    assert!(told.contains(&("missing-tip", true)), "{told:?}");
    assert!(laid.path(tip).is_symlink());
}
