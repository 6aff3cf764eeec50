//! CAR files made by other programs, where they are at hand.

use std::collections::HashMap;
use std::io::Read;

use carstone_car::CarSlice;
use carstone_unixfs::{
    Cid, EntryKind, FileReader, Limits, State, Step, directory_links, resolve, walk,
};

/// The blocks of a fixture and its first root, or `None` where there are no fixtures.
#[expect(clippy::print_stdout, reason = "a skipped test should say so")]
fn fixture(name: &str) -> Option<(HashMap<Cid, Vec<u8>>, Cid)> {
    let path =
        format!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/fixtures/car/{}"), name);
    let Ok(bytes) = std::fs::read(&path) else {
        println!("skipped: there is no fixture {name}");
        return None;
    };
    let car = CarSlice::parse(&bytes).expect("the header is sound");
    let root = car.header().roots[0];
    let blocks = car.into_iter().map(|item| item.expect("every block is sound").1);
    Some((blocks.map(|block| (block.cid, block.data.to_vec())).collect(), root))
}

#[test]
fn a_tree_in_cids_of_version_0_is_walked_and_read() {
    let Some((blocks, root)) = fixture("simple-unixfs.car") else { return };
    let mut files = Vec::new();
    walk(&blocks, &root, &Limits::default(), &mut |entry| {
        assert!(matches!(entry.state, State::Present), "{entry:?}");
        if entry.kind == EntryKind::File {
            let mut text = String::new();
            FileReader::open(&blocks, &entry.cid)?.read_to_string(&mut text)?;
            assert_eq!(entry.size, Some(text.len() as u64));
            files.push((String::from_utf8_lossy(&entry.path).into_owned(), entry.cid.to_string()));
        }
        Ok(Step::Into)
    })
    .expect("nothing fails");
    let expected = [
        ("a/1/A.txt", "QmTsoR2uVZyntFTWdm11YjFKafPr37kpGhH4m4o4bLGxdF"),
        ("a/2/B.txt", "QmYnqPpM1PfSX5MXCViy6xJTMsTt2BdGS86Cu1WTVB8ok4"),
        ("a/3/C.txt", "QmNaiHo9xUCVfQ71m6kxuEy83NQQNEFgqNmzGAmWU5aiso"),
        ("b/4/D.txt", "Qmb3kiDWx225HMi9xPwQfkSWjcLshtEpTRKWVKPNMRbW4v"),
        ("b/5/E.txt", "QmabQNoyptSoGBrQes6Pq44q7E4pkzXR2soPrLQH8tcmM7"),
        ("b/6/F.txt", "QmbZZL4GmYMyZeRBJETLoi6e9qYYLQgQgZKseChShGwXMa"),
        ("c/7/G.txt", "QmazwWa2vNLpy6WDBMjx7neWMbmn2oi9LQzCjan4kcGjBX"),
        ("c/8/H.txt", "QmUivm9YrH9je4rD2H5rfvMeNKGF4RkJb8qo66UbpdxvjT"),
        ("c/9/I.txt", "QmdhxfFSBJEHBtgu4zcXgj8UKqQfcedhRReNCrdF2Eq5Z4"),
    ];
    assert_eq!(
        files.iter().map(|(path, cid)| (path.as_str(), cid.as_str())).collect::<Vec<_>>(),
        expected
    );
    let found =
        resolve(&blocks, &root, b"b/5/E.txt").expect("nothing is missing").expect("it is there");
    assert_eq!(found.cid.to_string(), expected[4].1);
    let names = directory_links(&blocks, &root, &Limits::default()).expect("nothing is missing");
    assert_eq!(names.iter().map(|(name, _)| &name[..]).collect::<Vec<_>>(), [b"a", b"b", b"c"]);
}
