//! What is packed, under which name, in which order.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::trees::{Told, Tree, pack_inputs};
use crate::support::{content, pack_with_threads};
use carstone_pack::fs::{FileId, Order, TreeOptions, WalkEvent, add_tree, read_names};
use carstone_pack::{Error, ErrorKind, PathFault};

fn default() -> TreeOptions {
    TreeOptions::default()
}

/// A tree with `a/{1.c,2.h}`, `b/1.h`, `b/sub/z.c`, `c.c` and `.hidden`.
fn small_tree() -> Tree {
    let tree = Tree::new();
    for (n, name) in ["a/1.c", "a/2.h", "b/1.h", "b/sub/z.c", "c.c", ".hidden"].iter().enumerate() {
        tree.file(name, content(n, 10));
    }
    tree
}

#[track_caller]
fn inputs(tree: &Tree, inputs: &[&str], options: TreeOptions) -> Told {
    let inputs: Vec<&Path> = inputs.iter().map(Path::new).collect();
    pack_inputs(&inputs, &options.base(tree.root()), &mut |_| {}).expect("they can be packed")
}

/// Paths in the order in which they are announced.
fn packed_order(told: &Told) -> Vec<String> {
    let mut entries = told.entries();
    entries.retain(|entry| entry.id.is_some() && !entry.path.is_empty());
    entries.sort_by_key(|entry| entry.id);
    entries.iter().map(|entry| entry.path.escape_ascii().to_string()).collect()
}

#[test]
fn orders_are_as_asked() {
    let tree = small_tree();
    let order = |order| packed_order(&tree.pack(&default().order(order)));
    let by_type = ["a", "b", "b/sub", ".hidden", "a/1.c", "b/sub/z.c", "c.c", "a/2.h", "b/1.h"];
    assert_eq!(order(Order::Type), by_type);
    let by_path = [".hidden", "a", "a/1.c", "a/2.h", "b", "b/1.h", "b/sub", "b/sub/z.c", "c.c"];
    assert_eq!(order(Order::Path), by_path);
    let given = inputs(&tree, &["c.c", "b", "a/2.h"], default().order(Order::Given));
    assert_eq!(packed_order(&given), ["c.c", "b", "b/1.h", "b/sub", "b/sub/z.c", "a/2.h"]);
}

#[test]
fn bytes_depend_neither_on_threads_nor_on_the_file_system() {
    let (one, two) = (Tree::new(), Tree::new());
    let mut names: Vec<usize> = (0..300).collect();
    for tree in [&one, &two] {
        for n in &names {
            let file = tree.file(format!("d{}/{n}.{}", n % 7, n % 5), content(n % 90, n * 41));
            let time = std::time::SystemTime::UNIX_EPOCH;
            fs::File::open(file).and_then(|file| file.set_modified(time)).expect("it is ours");
        }
        tree.file("large", content(1, 3 << 20));
        names.reverse();
    }
    for name in ["large", "d0", "d1", "d2", "d3", "d4", "d5", "d6", ""] {
        for tree in [&one, &two] {
            let file = fs::File::open(tree.path(name)).expect("it is there");
            file.set_modified(std::time::SystemTime::UNIX_EPOCH).expect("it is ours");
        }
    }
    let bytes = |tree: &Tree, threads| {
        let inputs = [tree.root().to_path_buf()];
        let pack = pack_with_threads(threads, |writer| {
            add_tree(writer, &inputs, &default(), &mut |_| {}).map(drop)
        });
        pack.bytes
    };
    let expected = bytes(&one, 1);
    assert!(bytes(&one, 4) == expected);
    assert!(bytes(&two, 3) == expected);
}

#[test]
fn one_directory_is_the_root_and_several_inputs_are_wrapped() {
    let tree = small_tree();
    assert_eq!(inputs(&tree, &["b"], default()).paths(), ["1.h", "sub", "sub/z.c"]);
    assert_eq!(inputs(&tree, &["./b/."], default()).paths(), ["1.h", "sub", "sub/z.c"]);
    assert_eq!(inputs(&tree, &["b/../a"], default()).paths(), ["1.c", "2.h"]);
    let wrapped = inputs(&tree, &["b"], default().unwrap_single(false));
    assert_eq!(wrapped.paths(), ["b", "b/1.h", "b/sub", "b/sub/z.c"]);
    assert_eq!(wrapped.entry("").id, None);
    let told = inputs(&tree, &["./b//sub/", "a/1.c"], default());
    assert_eq!(told.paths(), ["a", "a/1.c", "b", "b/sub", "b/sub/z.c"]);
    assert_eq!((told.entry("b").id, told.entry("a").id), (None, None));
    assert_eq!(inputs(&tree, &["a/1.c"], default()).paths(), ["a", "a/1.c"]);
    assert_eq!(inputs(&tree, &[], default()).paths(), [""; 0]);
    assert_eq!(inputs(&tree, &["a", "."], default()).paths(), tree.pack(&default()).paths());
}

#[test]
fn absolute_inputs_lose_their_slash() {
    let tree = small_tree();
    let file = tree.path("c.c");
    let told = pack_inputs(&[&file], &default(), &mut |_| {}).expect("a file");
    let name = file.to_str().expect("temporary directories have such names").trim_matches('/');
    assert_eq!(told.lines, [format!("stripped {name}")]);
    assert_eq!(told.content(name), content(4, 10));
}

#[test]
fn inputs_that_lead_upwards_are_refused() {
    let tree = small_tree();
    let options = default().base(tree.path("b"));
    let inputs = [Path::new("../a"), Path::new("1.h")];
    let error = pack_inputs(&inputs, &options, &mut |_| {}).map(drop).expect_err("it is refused");
    let kind = Error::of(&error).expect("a typed error").kind();
    assert!(
        matches!(kind, ErrorKind::BadPath { path, fault: PathFault::DotComponent } if path == "../a")
    );
    assert_eq!(error.to_string(), "name \"../a\" has a component `.` or `..`");
}

#[test]
fn what_is_reached_twice_is_packed_once() {
    let tree = small_tree();
    let whole = ["b", "b/1.h", "b/sub", "b/sub/z.c"];
    for twice in [["b", "b"], ["b", "b/sub"], ["b/sub", "b"], ["b/1.h", "./b"], ["b/sub/z.c", "b"]]
    {
        for order in [Order::Type, Order::Path, Order::Given] {
            let told = inputs(&tree, &twice, default().order(order));
            assert_eq!(told.paths(), whole, "{twice:?}");
        }
    }
    // An input that its own directory leaves out is still packed.
    let told = inputs(&tree, &["b", "b/sub/z.c"], default().exclude("sub").expect("a glob"));
    assert_eq!(told.paths(), whole);
    assert_eq!(told.entry("b/sub").id, None);
}

#[track_caller]
fn check_excluded(globs: &[&str], expected: &[&str]) {
    let options =
        globs.iter().fold(default(), |options, glob| options.exclude(glob).expect("a glob"));
    let told = small_tree().pack(&options);
    assert_eq!(told.paths(), expected);
    assert!(told.summary.is_complete());
}

#[test]
fn globs_leave_out() {
    check_excluded(&["*.c", ".*"], &["a", "a/2.h", "b", "b/1.h", "b/sub"]);
    check_excluded(&["sub", "a/"], &[".hidden", "b", "b/1.h", "c.c"]);
    check_excluded(&["b/*", "/c.c"], &[".hidden", "a", "a/1.c", "a/2.h", "b"]);
    check_excluded(&["**/*.[ch]"], &[".hidden", "a", "b", "b/sub"]);
    check_excluded(&["*"], &[]);
}

#[test]
fn a_bad_glob_is_a_typed_error() {
    let error = default().exclude("a[b").map(drop).expect_err("no glob");
    assert!(matches!(error.kind(), ErrorKind::BadPattern { pattern, .. } if pattern == "a[b"));
}

#[test]
fn directories_of_a_list_need_not_be_entered() {
    let tree = small_tree();
    let names = read_names(&b"b\nb/sub\n\nc.c"[..], b'\n').expect("memory");
    assert_eq!(names, ["b", "b/sub", "c.c"].map(PathBuf::from));
    let names: Vec<&str> = names.iter().filter_map(|name| name.to_str()).collect();
    assert_eq!(inputs(&tree, &names, default().recurse(false)).paths(), ["b", "b/sub", "c.c"]);
}

#[test]
fn the_pack_that_is_written_is_not_packed() {
    let tree = small_tree();
    let output = fs::File::create(tree.path("b/out")).expect("a file");
    let second = fs::File::create(tree.path("second")).expect("a file");
    let id = |file| FileId::of(file).expect("it is open");
    let told = tree.pack(&default().own_output(id(&output)).own_output(id(&second)));
    assert_eq!(told.paths(), small_tree().pack(&default()).paths());
    assert_eq!(told.lines.len(), 2);
    assert!(told.lines.contains(&"out: OwnOutput".to_owned()));
    assert!(told.summary.is_complete());
}

#[test]
fn other_file_systems_are_not_entered() {
    let Ok(root) = fs::symlink_metadata("/") else { return };
    let elsewhere = fs::symlink_metadata("/proc").map(|proc| FileId::from(&proc).device);
    if elsewhere.is_err() || elsewhere.ok() == Some(FileId::from(&root).device) {
        eprintln!("no second file system to look at");
        return;
    }
    let exclude_rest =
        |options: TreeOptions| options.exclude("/[!p]*").and_then(|o| o.exclude("/p[!r]*"));
    let options = exclude_rest(default().one_file_system(true)).expect("globs");
    let told = pack_inputs(&[Path::new("/")], &options, &mut |_| {}).expect("a tree");
    assert_eq!(told.paths(), ["proc"]);
    assert_eq!(told.lines, ["proc: OtherFileSystem"]);
}

#[test]
fn progress_tells_all() {
    let tree = small_tree();
    tree.file("large", content(1, (2 << 20) + 5));
    let (mut total, mut content, mut entries) = ((0, 0, 0), 0, 0);
    let told = tree.pack_while(&default(), |event| match event {
        WalkEvent::Total { entries, files, bytes } => total = (*entries, *files, *bytes),
        WalkEvent::Content { bytes } => content += bytes,
        WalkEvent::Entry { .. } => entries += 1,
        _ => {}
    });
    assert_eq!(total, (11, 7, 60 + (2 << 20) + 5));
    assert_eq!((entries, content), (11, total.2));
    assert_eq!(told.summary.bytes, total.2);
}
