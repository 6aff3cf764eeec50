//! Extraction from events as a damaged pack tells them: content that comes late, and content that never comes.

use std::fs;

use carstone_car::{cid_of, codec};
use carstone_pack::fs::{ExtractOptions, ExtractReport, RestoreEvent, Selection, extract_events};
use carstone_pack::{Announced, EntryKind, Event, Metadata, Use};
use sha2::{Digest, Sha256};

const CHUNK: usize = 1 << 20;

fn chunk(n: u64) -> Vec<u8> {
    (0..CHUNK as u64 / 8).flat_map(|i| (i * 0x9e37_79b9 + n).to_le_bytes()).collect()
}

fn entry(id: u64, path: &str) -> Event {
    let path = path.as_bytes().to_vec();
    Event::Entry(Announced::new(id, path, EntryKind::File, Metadata::default()))
}

fn leaf(n: u64, uses: Vec<Use>) -> Event {
    let data = chunk(n);
    Event::Leaf { cid: cid_of(codec::RAW, &data), data, uses }
}

fn at(id: u64, n: u64) -> Vec<Use> {
    vec![Use { id, offset: n * CHUNK as u64 }]
}

fn extract(
    events: Vec<Event>,
    target: &std::path::Path,
    partial: bool,
) -> (ExtractReport, Vec<String>) {
    let (mut events, mut problems) = (events.into_iter(), Vec::new());
    let mut told = |event| {
        if let RestoreEvent::Problem { path, error } = event {
            problems.push(format!("{}: {error}", path.escape_ascii()));
        }
    };
    let options = ExtractOptions::default().threads(2).keep_partial(partial);
    let mut next = || Ok(events.next());
    let all = Selection::patterns(["d", "late", "sound", "link"]);
    let report = extract_events(&mut next, target, &all, &options, &mut told);
    (report.expect("a folder"), problems)
}

/// More than is kept in memory stands between a hole and what fills it.
#[test]
fn a_hole_may_be_filled_late() {
    for chunks in [3, 45] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut events = vec![entry(1, "late"), leaf(0, at(1, 0)), leaf(1, Vec::new())];
        events.extend((2..chunks).map(|n| leaf(n, at(1, n))));
        let (cid, offset) = (cid_of(codec::RAW, &chunk(1)), CHUNK as u64);
        events.push(Event::Reuse { id: 1, offset, cid, len: Some(offset) });
        let whole: Vec<u8> = (0..chunks).flat_map(chunk).collect();
        let (size, sha256) = (whole.len() as u64, Some(Sha256::digest(&whole).into()));
        events.push(Event::End { id: 1, size, sha256, changed: false });
        let (report, problems) = extract(events, folder.path(), false);
        assert_eq!((report.restored, problems), (1, Vec::new()));
        assert!(fs::read(folder.path().join("late")).expect("it is there") == whole);
    }
}

#[test]
fn a_late_file_with_another_digest_is_not_restored() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut events = vec![entry(1, "late")];
    events.extend((1..45).map(|n| leaf(n, at(1, n))));
    events.push(leaf(0, at(1, 0)));
    events.push(Event::End { id: 1, size: 45 << 20, sha256: Some([7; 32]), changed: false });
    let (report, problems) = extract(events, folder.path(), true);
    assert_eq!((report.restored, problems.len()), (0, 1), "{problems:?}");
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);
}

#[test]
fn what_came_of_a_file_is_kept_only_when_asked_for() {
    for partial in [false, true] {
        let folder = tempfile::tempdir().expect("a folder");
        let hole = CHUNK as u64..2 * CHUNK as u64;
        let missing = vec![hole.clone(), hole.end + 5..hole.end + 6];
        let events = vec![
            entry(1, "d/hurt"),
            leaf(0, at(1, 0)),
            leaf(2, at(1, 2)),
            Event::Incomplete { id: 1, size: None, missing },
            entry(2, "d/nothing came"),
            Event::Incomplete { id: 2, size: Some(9), missing: vec![0..4, 4..9] },
            entry(3, "sound"),
            leaf(3, at(3, 0)),
            Event::End {
                id: 3,
                size: CHUNK as u64,
                sha256: Some(Sha256::digest(chunk(3)).into()),
                changed: false,
            },
        ];
        let (report, problems) = extract(events, folder.path(), partial);
        assert_eq!((report.restored, report.problems, problems.len()), (1, 2, 2), "{problems:?}");
        assert!(problems[0].contains("missing bytes 1048576–2097151"), "{problems:?}");
        assert!(folder.path().join("sound").exists());
        let kept = fs::read(folder.path().join("d/hurt.partial"));
        assert_eq!(kept.is_ok(), partial);
        assert!(!folder.path().join("d/hurt").exists());
        if let Ok(kept) = kept {
            assert!(kept == [chunk(0), vec![0; CHUNK], chunk(2)].concat());
        }
        let left = fs::read_dir(folder.path().join("d")).expect("a folder").count();
        assert_eq!(left, usize::from(partial), "nothing else is left");
    }
}

/// The content of an entry that is not wanted takes the place of a link to it, in whatever order it came, and also where no digest is stated.
#[test]
fn a_link_to_what_is_left_out_gets_content_that_came_late() {
    let whole: Vec<u8> = (0..3).flat_map(chunk).collect();
    let stated = Sha256::digest(&whole).into();
    for (sha256, is_sound) in [(Some(stated), true), (None, true), (Some([7; 32]), false)] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut link =
            Announced::new(2, b"link".to_vec(), EntryKind::HardLink, Metadata::default());
        (link.target, link.target_id) = (Some(b"left out".to_vec()), Some(1));
        let (cid, offset, len) = (cid_of(codec::RAW, &chunk(1)), CHUNK as u64, Some(CHUNK as u64));
        let events = vec![
            entry(1, "left out"),
            leaf(0, at(1, 0)),
            leaf(1, Vec::new()),
            leaf(2, at(1, 2)),
            Event::Reuse { id: 1, offset, cid, len },
            Event::End { id: 1, size: whole.len() as u64, sha256, changed: false },
            Event::Entry(link),
        ];
        let (report, problems) = extract(events, folder.path(), false);
        assert_eq!((report.restored, problems.is_empty()), (u64::from(is_sound), is_sound));
        let found = fs::read(folder.path().join("link")).ok();
        assert!(found == is_sound.then(|| whole.clone()), "{sha256:?}");
    }
}
