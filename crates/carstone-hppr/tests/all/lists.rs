//! Lists, and tips below prefixes.

use std::fs;

use carstone_hppr::{ErrorKind, ListPath, MAX_LOCATION, Repository, Tai, TipPrefix, Version};

use crate::laid::{ITEM, Laid, MARKER, P, S, TAI, V, at_item, other_seal, plex, seal, too_deep};

#[track_caller]
fn lists(repository: &Repository, path: &str, expected: &[&str]) {
    let path: ListPath = path.parse().expect("a path");
    assert_eq!(repository.list(&path).expect("a list"), expected, "{path}");
}

fn tree() -> Laid {
    let laid = Laid::with_seal();
    laid.lay(&other_seal());
    laid.lay(&at_item("1640995200:000000001", "later"));
    for place in [
        ["a-group", "other-app", "x"],
        ["a-group", "some-app", "our-collection/item/deep/er"],
        ["a-group", "some-app", "our-collection/item-2"],
        ["a-group", "some-app", "our-collection"],
        ["b", "app", "é"],
    ] {
        laid.lay(&plex(place, TAI, "x"));
    }
    laid
}

#[test]
fn two_slashes_list_groups() {
    lists(&tree().open(), "//", &["a-group/", "b/"]);
    lists(&Laid::new().open(), "//", &[]);
}

#[test]
fn a_group_lists_apps() {
    lists(&tree().open(), "//a-group/", &["other-app/", "some-app/"]);
    lists(&tree().open(), "//nobody/", &[]);
}

#[test]
fn an_app_lists_first_segments() {
    let both = ["our-collection", "our-collection/"];
    lists(&tree().open(), "//a-group/some-app/", &both);
    lists(&tree().open(), "//b/app/", &["é"]);
}

#[test]
fn a_location_lists_children_and_its_marker() {
    let children = ["item", "item-2", "item/", "|/"];
    lists(&tree().open(), "//a-group/some-app/our-collection/", &children);
    lists(&tree().open(), &format!("{ITEM}/"), &["deep/", "|/"]);
    lists(&tree().open(), &format!("{ITEM}/deep/"), &["er"]);
    lists(&tree().open(), "//a-group/some-app/nothing/", &[]);
}

#[test]
fn segments_that_begin_with_a_space_are_listed_behind_others() {
    let laid = Laid::new();
    laid.lay(&plex(["g", "a", "x/ y"], TAI, "x"));
    let repository = laid.open();
    lists(&repository, "//", &["g/"]);
    lists(&repository, "//g/a/", &["x/"]);
    lists(&repository, "//g/a/x/", &[" y"]);
    let prefix: TipPrefix = "//g/a/".parse().expect("a prefix");
    let tips: Result<Vec<_>, _> = repository.tips(&prefix).collect();
    let tips = tips.expect("all tips");
    assert_eq!(tips.iter().map(|(at, _)| at.location()).collect::<Vec<_>>(), ["x/ y"]);
    assert_eq!(crate::check::names(&laid), [""; 0]);
    // A location cannot begin with one.
    fs::create_dir_all(laid.path("index/g/a/ z/|/plex")).expect("a directory");
    assert_eq!(crate::check::names(&laid), ["foreign"]);
}

#[test]
fn a_marker_lists_types() {
    lists(&tree().open(), &format!("{ITEM}/|/"), &["plex/", "seal/"]);
    lists(&tree().open(), &format!("{ITEM}/deep/er/|/"), &["plex/"]);
}

#[test]
fn plex_lists_times() {
    lists(&tree().open(), &format!("{ITEM}/|/plex/"), &[TAI, "1640995200:000000001"]);
}

#[test]
fn plex_and_a_time_list_hashes() {
    lists(&tree().open(), &format!("{ITEM}/|/plex/{TAI}/"), &[P]);
    lists(&tree().open(), &format!("{ITEM}/|/plex/0000000000:000000000/"), &[]);
}

#[test]
fn seal_lists_keys() {
    let other = other_seal().seal().expect("a Seal").key().to_string();
    lists(&tree().open(), &format!("{ITEM}/|/seal/"), &[V, &other]);
}

#[test]
fn seal_and_a_key_list_times() {
    lists(&tree().open(), &format!("{ITEM}/|/seal/{V}/"), &[TAI]);
}

#[test]
fn seal_a_key_and_a_time_list_hashes() {
    lists(&tree().open(), &format!("{ITEM}/|/seal/{V}/{TAI}/"), &[S]);
}

#[test]
fn what_is_foreign_or_empty_is_not_listed() {
    let laid = Laid::with_seal();
    for path in [
        "index/note",
        "index/a{b/app/l/|/plex/x",
        "index/a-group/note",
        "index/a-group/empty/l/|/plex/note",
        "index/a-group/some-app/our-collection/empty/|/tip",
        &format!("{MARKER}/plex/note"),
        &format!("{MARKER}/plex/{TAI}/{S}"),
        &format!("{MARKER}/seal/{V}/{TAI}/note"),
        &format!("{MARKER}/seal/note/{TAI}/{S}"),
    ] {
        laid.write(path, "foreign");
    }
    let repository = laid.open();
    for (path, expected) in [
        ("//".to_owned(), "a-group/"),
        ("//a-group/".to_owned(), "some-app/"),
        ("//a-group/some-app/our-collection/".to_owned(), "item"),
        (format!("{ITEM}/|/plex/{TAI}/"), P),
        (format!("{ITEM}/|/seal/"), V),
        (format!("{ITEM}/|/seal/{V}/{TAI}/"), S),
    ] {
        lists(&repository, &path, &[expected]);
    }
}

#[test]
fn what_is_too_deep_for_a_location_is_not_listed() {
    let laid = Laid::new();
    for top in ["index/g/a", "index/g/b", "index/g/a/l"] {
        too_deep(&laid, top);
    }
    laid.lay(&plex(["g", "a", "l"], TAI, "x"));
    let repository = laid.open();
    for (path, expected) in [("//", "g/"), ("//g/", "a/"), ("//g/a/", "l"), ("//g/a/l/", "|/")] {
        lists(&repository, path, &[expected]);
    }
    lists(&repository, "//g/b/", &[]);
    // The longest location there is, and one byte more.
    let long =
        |last| ["n".repeat(250), "n".repeat(250), "n".repeat(250), "n".repeat(last)].join("/");
    let longest = long(MAX_LOCATION - 3 * 251 - 10) + "/123456789";
    laid.lay(&plex(["long", "a", &longest], TAI, "x"));
    laid.write(format!("index/longer/a/{longest}0/|/plex/{TAI}/{P}"), "");
    lists(&repository, "//", &["g/", "long/"]);
    lists(&repository, &format!("//long/a/{}/", long(MAX_LOCATION - 3 * 251 - 10)), &["123456789"]);
    lists(&repository, &format!("//longer/a/{}/", long(MAX_LOCATION - 3 * 251 - 10)), &[]);
}

fn tips(repository: &Repository, prefix: &str) -> Vec<String> {
    let prefix: TipPrefix = prefix.parse().expect("a prefix");
    let tips = repository.tips(&prefix);
    let texts = tips.map(|tip| {
        let (coordinate, version) = tip.expect("a tip");
        version.address(coordinate).to_string()
    });
    texts.collect()
}

#[test]
fn tips_below_a_prefix_are_sorted_by_their_addresses() {
    let laid = tree();
    let repository = laid.open();
    let all = tips(&repository, "//");
    assert_eq!(all.len(), 6);
    let mut sorted = all.clone();
    sorted.sort_unstable();
    assert_eq!(all, sorted);
    let later = at_item("1640995200:000000001", "later").hash();
    assert!(all.contains(&format!("{ITEM}/|/plex/1640995200:000000001/{later}")));
    let below = |prefix: &str| -> Vec<String> {
        all.iter().filter(|tip| tip.starts_with(prefix)).cloned().collect()
    };
    for (prefix, start) in [
        ("//a-group", "//a-group/"),
        ("//a-group/some-app/", "//a-group/some-app/"),
        (ITEM, "//a-group/some-app/our-collection/item/"),
        ("//nobody/", "//nobody/"),
    ] {
        assert_eq!(tips(&repository, prefix), below(start), "{prefix}");
    }
    assert_eq!(tips(&repository, ITEM).len(), 2);
}

#[test]
fn a_tip_is_the_seal_of_equal_time() {
    let laid = Laid::with_seal();
    assert_eq!(tips(&laid.open(), "//"), [format!("{ITEM}/|/seal/{V}/{TAI}/{S}")]);
}

#[test]
fn tips_that_are_missing_are_found_out() {
    let laid = Laid::with_seal();
    laid.remove(format!("{MARKER}/tip"));
    assert_eq!(tips(&laid.read_only(), "//").len(), 1);
    assert!(laid.target(format!("{MARKER}/tip")).is_none());
    assert_eq!(tips(&laid.open(), "//").len(), 1);
    assert!(laid.target(format!("{MARKER}/tip")).is_some());
}

#[test]
fn versions_have_selectors() {
    let version = laid_version();
    assert_eq!(version.selector().to_string(), format!("/|/seal/{V}/{TAI}/{S}"));
    assert_eq!(version.tai, TAI.parse::<Tai>().expect("a time"));
}

fn laid_version() -> Version {
    let laid = Laid::with_seal();
    let coordinate = seal().plex().expect("a Plex").coordinate().clone();
    let tip = laid.open().resolve(&coordinate, &carstone_hppr::Selector::Tip);
    tip.expect("it is read").expect("a tip")
}

#[test]
fn prefixes_come_back_and_have_no_selector() {
    for text in ["//", "//g/", "//g/a/", "//g/a/l/m/"] {
        assert_eq!(text.parse::<TipPrefix>().expect(text).to_string(), text);
    }
    let error = "//g/a/l/|/plex".parse::<TipPrefix>().expect_err("a selector");
    assert_eq!((error.kind(), error.offset()), (&ErrorKind::BadSelector, Some(8)));
}
