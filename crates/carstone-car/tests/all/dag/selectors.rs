//! Which links a selector follows, and which selectors are refused.

use carstone_car::dag::{DagErrorKind, Selector, Walk, WalkOptions};
use carstone_car::{Cid, codec};

use super::{Store, encode, leaf, node, put};

/// The blocks that a selector leads to, by their names.
fn selected(store: &Store, root: &Cid, names: &[(&str, Cid)], selector: &str) -> String {
    let selector = Selector::parse(selector.as_bytes()).expect("a selector");
    let options = WalkOptions::default().selector(selector);
    let visited = Walk::new(store, &[*root], options).map(|visit| visit.expect("a block").cid);
    let name = |cid| names.iter().find(|(_, named)| *named == cid).map_or("?", |(name, _)| name);
    visited.map(name).collect::<Vec<_>>().join(" ")
}

/// A root with a list of three and a map of two, a dag-pb node below.
#[track_caller]
fn check(selector: &str, expected: &str) {
    let mut store = Store::new();
    let [a, b, c, d] = [b"a", b"b", b"c", b"d"].map(|data| leaf(&mut store, data));
    let file = node(&mut store, codec::DAG_PB, &[c, d]);
    let list = encode(codec::DAG_JSON, &[a, b, file]);
    let list = String::from_utf8(list).expect("text");
    let root = format!(r#"{{"list":{list},"map":{{"x":{{"/":"{d}"}},"y":{{"/":"{file}"}}}}}}"#);
    let root = put(&mut store, codec::DAG_JSON, root.into_bytes());
    let names = [("root", root), ("a", a), ("b", b), ("c", c), ("d", d), ("file", file)];
    assert_eq!(selected(&store, &root, &names, selector), expected, "{selector}");
}

#[track_caller]
fn refused(selector: &str, expected: &str) {
    let error = Selector::parse(selector.as_bytes()).expect_err(selector);
    assert_eq!(error.to_string(), expected, "{selector}");
}

#[test]
fn all_links_are_followed_by_the_selector_of_all() {
    let all = r#"{"R":{"l":{"none":{}},":>":{"a":{">":{"@":{}}}}}}"#;
    check(all, "root a b file c d");
    let matching = r#"{"R":{":>":{"|":[{".":{}},{"a":{">":{"@":{}}}}]},"l":{"none":{}}}}"#;
    check(matching, "root a b file c d");
}

#[test]
fn a_matcher_leads_nowhere() {
    check(r#"{".":{}}"#, "root");
    check(r#"{".":{"label":"x"}}"#, "root");
}

#[test]
fn fields_indexes_and_ranges_follow_what_they_name() {
    check(r#"{"f":{"f>":{"map":{"f":{"f>":{"x":{".":{}}}}}}}}"#, "root d");
    check(r#"{"f":{"f>":{"list":{"i":{"i":1,">":{".":{}}}}}}}"#, "root b");
    check(r#"{"f":{"f>":{"list":{"r":{"^":0,"$":2,">":{".":{}}}}}}}"#, "root a b");
    check(r#"{"f":{"f>":{"list":{"r":{"^":1,"$":9,">":{".":{}}}}}}}"#, "root b file");
    check(r#"{"f":{"f>":{"list":{"f":{"f>":{"2":{".":{}}}}}}}}"#, "root file");
    check(r#"{"f":{"f>":{"map":{"i":{"i":0,">":{".":{}}}}}}}"#, "root");
    check(r#"{"f":{"f>":{"none":{".":{}}}}}"#, "root");
    check(r#"{"a":{">":{"a":{">":{".":{}}}}}}"#, "root a b file d");
}

#[test]
fn dag_pb_is_a_map_of_links_and_data() {
    let second = r#"{"f":{"f>":{"Links":{"i":{"i":1,">":{"f":{"f>":{"Hash":{".":{}}}}}}}}}}"#;
    let inside = format!(r#"{{"f":{{"f>":{{"map":{{"f":{{"f>":{{"y":{second}}}}}}}}}}}}}"#);
    check(&inside, "root file d");
}

#[test]
fn a_depth_counts_how_often_the_recursion_goes_round() {
    let depth =
        |n: u32| format!(r#"{{"R":{{"l":{{"depth":{n}}},":>":{{"a":{{">":{{"@":{{}}}}}}}}}}}}"#);
    check(&depth(0), "root");
    check(&depth(1), "root");
    check(&depth(2), "root"); // The root's fields, not what is in them.
    check(&depth(3), "root a b file d");
    check(&depth(5), "root a b file d");
    check(&depth(6), "root a b file c d");
}

#[test]
fn a_union_follows_what_any_of_its_members_does() {
    let x = r#"{"f":{"f>":{"map":{"f":{"f>":{"x":{".":{}}}}}}}}"#;
    let second = r#"{"f":{"f>":{"list":{"i":{"i":1,">":{".":{}}}}}}}"#;
    check(&format!(r#"{{"|":[{x},{second}]}}"#), "root b d");
    check(r#"{"|":[]}"#, "root");
}

#[test]
fn unions_of_edges_do_not_multiply() {
    let edge = r#"{"a":{">":{"@":{}}}}"#;
    let many = vec![edge; 200].join(",");
    let mut store = Store::new();
    let mut top = leaf(&mut store, b"bottom");
    for _ in 0..50 {
        top = node(&mut store, codec::DAG_CBOR, &[top]);
    }
    let selector = format!(r#"{{"R":{{"l":{{"none":{{}}}},":>":{{"|":[{many}]}}}}}}"#);
    let names = [("x", top)];
    assert_eq!(selected(&store, &top, &names, &selector).split(' ').count(), 51);
}

#[test]
fn a_block_that_two_branches_lead_to_is_visited_once_and_followed_by_both() {
    let mut store = Store::new();
    let [a, b] = [b"a", b"b"].map(|data| leaf(&mut store, data));
    let shared = node(&mut store, codec::DAG_CBOR, &[a, b]);
    let root = node(&mut store, codec::DAG_CBOR, &[shared, shared]);
    let names = [("root", root), ("shared", shared), ("a", a), ("b", b)];
    let branch = |at: u32, then: u32| {
        format!(r#"{{"i":{{"i":{at},">":{{"i":{{"i":{then},">":{{".":{{}}}}}}}}}}}}"#)
    };
    let selector = format!(r#"{{"|":[{},{}]}}"#, branch(0, 1), branch(1, 0));
    assert_eq!(selected(&store, &root, &names, &selector), "root shared b a");
}

#[test]
fn selectors_that_are_none_are_refused_where_they_are_wrong() {
    refused("", "invalid dag-json: the text ends where a value should be at byte 0");
    refused("[]", "invalid selector: this is not a map at byte 0");
    refused("{}", "invalid selector: a selector is not a map of one key at byte 0");
    refused(r#"{"x":{}}"#, "invalid selector: a selector is of an unknown kind at byte 0");
    refused(r#"{".":{},"a":{}}"#, "invalid selector: a selector is not a map of one key at byte 0");
    refused(r#"{"a":{}}"#, "invalid selector: a part lacks a field at byte 5");
    refused(
        r#"{"a":{">":{".":{}},"x":1}}"#,
        "invalid selector: a part has an unknown field at byte 23",
    );
    refused(r#"{"i":{"i":-1,">":{".":{}}}}"#, "invalid selector: this is not a count at byte 10");
    refused(r#"{"i":{"i":1.5,">":{".":{}}}}"#, "invalid selector: this is not a count at byte 10");
    refused(
        r#"{"r":{"^":2,"$":2,">":{".":{}}}}"#,
        "invalid selector: a range ends before it starts at byte 5",
    );
    refused(r#"{"|":{}}"#, "invalid selector: a union is not a list at byte 5");
    refused(r#"{"@":{}}"#, "invalid selector: an edge stands outside of a recursion at byte 0");
    let recursion = |body: &str| format!(r#"{{"R":{{"l":{{"none":{{}}}},":>":{body}}}}}"#);
    refused(&recursion(r#"{"@":{}}"#), "invalid selector: no step leads to an edge at byte 27");
    refused(
        &recursion(r#"{"|":[{"@":{}}]}"#),
        "invalid selector: no step leads to an edge at byte 33",
    );
    refused(&recursion(r#"{".":{}}"#), "invalid selector: a recursion has no edge at byte 5");
    refused(
        r#"{"R":{"l":{},":>":{"a":{">":{"@":{}}}}}}"#,
        "invalid selector: a recursion has no limit, not even none at byte 10",
    );
}

#[test]
fn parts_that_are_not_supported_are_named() {
    let unsupported = |selector: &str, part: &str| {
        let error = Selector::parse(selector.as_bytes()).expect_err(selector);
        assert!(matches!(error.kind(), DagErrorKind::UnsupportedSelector(_)), "{error}");
        assert!(error.to_string().starts_with(&format!("selectors with {part} are not supported")));
    };
    unsupported(r#"{"&":{}}"#, "conditions");
    unsupported(r#"{"~":{"as":"unixfs",">":{".":{}}}}"#, "other interpretations of nodes");
    unsupported(r#"{".":{"subset":{"[":0,"]":9}}}"#, "subset");
    unsupported(r#"{"R":{"l":{"none":{}},":>":{"a":{">":{"@":{}}}},"!":{"/":{}}}}"#, "!");
}

#[test]
fn a_selector_has_budgets() {
    let deep = format!("{}{{\".\":{{}}}}{}", r#"{"a":{">":"#.repeat(1000), "}}".repeat(1000));
    refused(&deep, "more than 256 values inside of each other at byte 1280");
    let wide = format!(r#"{{"|":[{}]}}"#, vec![r#"{".":{}}"#; 9000].join(","));
    let error = Selector::parse(wide.as_bytes()).expect_err("too wide");
    assert!(error.to_string().starts_with("more than 16384 values in a block at byte "));
}
