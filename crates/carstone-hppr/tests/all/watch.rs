//! What comes and goes.

use std::fs;
use std::time::Duration;

use carstone_hppr::{Change, Coordinate, Packet, Watch, WatchOptions};

use crate::laid::{ITEM, Laid, MARKER, P, S, TAI, at_item, marker, plex, seal, too_deep};

/// More than the system needs.
const LONG: Duration = Duration::from_secs(20);
/// Enough to see that nothing comes.
const SHORT: Duration = Duration::from_millis(300);

fn watch(laid: &Laid, prefix: &str, queue: usize) -> Watch {
    let prefix = prefix.parse().expect("a prefix");
    laid.open().watch(&prefix, &WatchOptions::default().queue(queue)).expect("a watch")
}

fn next(watch: &mut Watch) -> Change {
    watch.next(LONG).expect("it is read").expect("a change")
}

fn attached(change: Change) -> (Coordinate, String) {
    let Change::Attached(coordinate, version) = change else { panic!("{change:?}") };
    (coordinate, version.hash.to_string())
}

fn coordinate(packet: &Packet) -> Coordinate {
    packet.plex().expect("a Plex").coordinate().clone()
}

#[test]
fn packets_that_come_are_told_where_directories_are_new() {
    let laid = Laid::new();
    let mut watch = watch(&laid, "//", 100);
    for number in 0..20 {
        let packet = plex(["g", "a", &format!("l/{number}")], TAI, "x");
        laid.lay(&packet);
        assert_eq!(attached(next(&mut watch)), (coordinate(&packet), packet.hash().to_string()));
    }
    assert_eq!(watch.next(SHORT).expect("it is read"), None);
}

#[test]
fn seals_and_their_plexes_are_told() {
    let laid = Laid::new();
    let mut watch = watch(&laid, ITEM, 100);
    laid.lay(&plex(["a-group", "some-app", "our-collection/other"], TAI, "x"));
    laid.lay(&seal());
    let mut found = [attached(next(&mut watch)).1, attached(next(&mut watch)).1];
    found.sort_unstable();
    assert_eq!(found, [P, S]);
    assert_eq!(watch.next(SHORT).expect("it is read"), None);
}

#[test]
fn what_is_too_deep_for_a_packet_is_not_watched() {
    let laid = Laid::new();
    for top in ["index/g/a", "index/g/a/l/|/seal"] {
        too_deep(&laid, top);
    }
    let mut watch = watch(&laid, "//", 100);
    let packet = plex(["g", "a", "l"], TAI, "x");
    laid.lay(&packet);
    assert_eq!(attached(next(&mut watch)).1, packet.hash().to_string());
    // It comes while it is watched.
    too_deep(&laid, "index/g/b");
    assert_eq!(watch.next(SHORT).expect("it is read"), None);
}

#[test]
fn packets_that_go_are_told() {
    let laid = Laid::with_seal();
    let mut watch = watch(&laid, ITEM, 100);
    laid.remove(format!("{MARKER}/plex/{TAI}/{P}"));
    let change = next(&mut watch);
    let Change::Detached(there, version) = change else { panic!("{change:?}") };
    assert_eq!((there, version.hash.to_string()), (coordinate(&seal()), P.to_owned()));
    laid.write(format!("{MARKER}/plex/{TAI}/{P}"), "");
    assert_eq!(attached(next(&mut watch)).1, P);
}

#[test]
fn what_was_there_before_is_not_told() {
    let laid = Laid::with_seal();
    let mut watch = watch(&laid, "//", 100);
    assert_eq!(watch.next(SHORT).expect("it is read"), None);
    let later = at_item("1640995300:000000000", "later");
    laid.lay(&later);
    assert_eq!(attached(next(&mut watch)).1, later.hash().to_string());
}

#[test]
fn an_overflow_asks_to_look_again() {
    let laid = Laid::with_seal();
    let mut watch = watch(&laid, "//", 2);
    for number in 0..50 {
        laid.lay(&at_item(&format!("1640995300:{number:09}"), "x"));
    }
    let mut changes = 0;
    while next(&mut watch) != Change::Rescan {
        changes += 1;
        assert!(changes < 50, "no rescan");
    }
    while watch.next(SHORT).expect("it is read").is_some() {}
    // And it goes on.
    let late = plex(["g", "a", "late"], TAI, "x");
    laid.lay(&late);
    let change = next(&mut watch);
    assert!(change == Change::Rescan || attached(change).1 == late.hash().to_string());
    assert!(fs::exists(laid.path(marker(&coordinate(&late)))).expect("it is looked at"));
}
