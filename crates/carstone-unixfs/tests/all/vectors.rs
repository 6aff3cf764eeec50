//! Root CIDs that other programs give to the same content; `vectors/README.md` says how they were made.

use std::collections::HashMap;
use std::io::Read;

use carstone_unixfs::{
    Cid, DirectoryBuilder, FileBuilder, FileRoot, Link, Profile, ShardThreshold, decode, leaf_cid,
    symlink, write_file,
};

/// The byte at `i` of every test file.
fn content(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + (i >> 8) * 13 + (i >> 16) * 29) as u8).collect()
}

fn file(profile: &Profile, data: impl Read) -> FileRoot {
    write_file(profile, data, &mut |_, _| Ok(())).expect("neither side fails")
}

fn directory<N: AsRef<str>>(
    profile: &Profile,
    entries: impl IntoIterator<Item = (N, Link)>,
) -> Link {
    let mut builder = DirectoryBuilder::new(profile);
    for (name, link) in entries {
        builder.add(name.as_ref(), link).expect("names are good and differ");
    }
    builder.finish(&mut |_, _| Ok(())).expect("the sink never fails")
}

#[track_caller]
fn check_file(len: usize, expected: &str) {
    let root = file(&Profile::unixfs_v1_2025(), &content(len)[..]);
    assert_eq!((root.cid.to_string().as_str(), root.size), (expected, len as u64));
}

#[test]
fn files_around_the_chunk_size() {
    const MIB: usize = 1 << 20;
    check_file(0, "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku");
    check_file(MIB - 1, "bafkreifdh7uylz4m7uagnbls4fes7eqqyme7ra2gq5mj6y2m34zbwav6zq");
    check_file(MIB, "bafkreiagdgqxwkqxv4lndu2avi2axjv5wf3a7bluiw3adm5fbpo55awtiq");
    check_file(MIB + 1, "bafybeiftlzwy6mz5yamwqxw7jktyducubq67ll6zvlqlebdx6g5v76bffa");
    check_file(5 * MIB, "bafybeihxf2s34u25yz4eqd4in5mbxczdgj52yix7j2lzmjferiq4cv6yxm");
    check_file(5 * MIB + 3, "bafybeidbouxgatdhrmoej2hunienv7fcgpydisxog4bwhdohccv3wtromq");
}

/// A file of zeros, whose leaves need no storing.
#[track_caller]
fn check_zeros(len: u64, expected: &str) {
    const CHUNK: u64 = 1 << 20;
    let zeros = vec![0; CHUNK as usize];
    let full = leaf_cid(&zeros);
    let mut builder = FileBuilder::new(&Profile::unixfs_v1_2025());
    let mut sink = |_: &Cid, _: &[u8]| Ok(());
    for _ in 0..len / CHUNK {
        builder.add_leaf(full, CHUNK, &mut sink).expect("the sink never fails");
    }
    if let rest @ 1.. = len % CHUNK {
        let last = leaf_cid(&zeros[..rest as usize]);
        builder.add_leaf(last, rest, &mut sink).expect("the sink never fails");
    }
    let root = builder.finish(&mut sink).expect("the sink never fails");
    assert_eq!((root.cid.to_string().as_str(), root.size), (expected, len));
}

#[test]
fn files_around_the_width() {
    check_zeros(1 << 30, "bafybeibqawkaltgjfdebq4no6nmfcvkcw7k52xqzclkwfmrkn6oxw7srmy");
    check_zeros((1 << 30) + 1, "bafybeigx4uyebjbq65346xh6cjrt6yshbdudzudhnqecwbzvymslxj7gje");
    check_zeros(1_288_490_189, "bafybeig5cuk3udhv7uprrfc7z4byj3uoev6pl32kbkeeyyosrqjnfuqkju");
}

#[track_caller]
fn check_tree(len: usize, chunk: usize, width: usize, tsize: u64, expected: &str) {
    let profile = Profile::unixfs_v1_2025().with_chunk_size(chunk).expect("in range");
    let profile = profile.with_width(width).expect("in range");
    let data = (0..len).map(|i| i as u8).collect::<Vec<_>>();
    let root = file(&profile, &data[..]);
    assert_eq!((root.cid.to_string().as_str(), root.tsize), (expected, tsize));
}

#[test]
fn trees_of_several_levels_full_and_not() {
    check_tree(5, 1, 2, 502, "bafybeicadlxgx7xh6fkbrn4hxhhjksh7cffdss7vvhpxtxnbh76gs5w2ny");
    check_tree(9, 1, 3, 588, "bafybeid4kuy53obquaxx6wsz3qluar2yvolcspiemr43hxl2hnlppaxdia");
    check_tree(10, 1, 3, 792, "bafybeiawtupx5c3ueo3u7zf2wut4nldpchxohrzamq3frcywsarnor6eny");
    check_tree(28, 1, 3, 2168, "bafybeig4tpkcda6zpaxf7iiatug76u6rbk5qrbind2llfhxm2ocdolbmcq");
    check_tree(1000, 10, 4, 7425, "bafybeicwraiypdxeirrsedcq7udaajlbvuibuaqajlniqbriprwk56gw5a");
    check_tree(1000, 1, 2, 99539, "bafybeibzwpzdszrlxj5e6uiprh75flvkdvhdzj24qrfbc5zq55qllsgb2u");
    check_tree(17, 4, 2, 514, "bafybeigfwhyn4pzh4uiok5cnzmcme4nrtpicdidonkrrtqdbdpzko7jbha");
}

#[test]
fn nested_directories_with_hidden_and_empty_files() {
    let profile = Profile::unixfs_v1_2025();
    let leaf = |text: &str| Link::from(file(&profile, text.as_bytes()));
    let deep = directory(&profile, [("z", leaf("deep"))]);
    let sub = directory(&profile, [("deep", deep)]);
    let hidden = directory(&profile, [("y", leaf("x"))]);
    let entries = [
        ("a.txt", leaf("hello")),
        ("empty", leaf("")),
        (".hidden", hidden),
        ("Z", leaf("Z")),
        ("ü", leaf("u")),
    ];
    let tree = directory(&profile, entries.into_iter().chain([("sub", sub)]));
    assert_eq!(tree_cid(tree), "bafybeibmjudeya7yxon5mzt42uka7v3wvhf6kwwpsmvd2bc4uwrjvtboxu");

    const MIB: usize = 1 << 20;
    let files = [("m-1", MIB - 1), ("m", MIB), ("m+1", MIB + 1), ("5m", 5 * MIB)];
    let files = files.map(|(name, len)| (name, Link::from(file(&profile, &content(len)[..]))));
    let all = directory(&profile, files.into_iter().chain([("tree", tree)]));
    assert_eq!(tree_cid(all), "bafybeihj2bafijixucvllafxpmnp7cb5yny7t5kserz267xme3axwkl5t4");
}

fn tree_cid(link: Link) -> String {
    link.cid.to_string()
}

#[test]
fn an_empty_directory_is_the_well_known_node() {
    let empty = directory::<&str>(&Profile::unixfs_v1_2025(), []);
    assert_eq!(tree_cid(empty), "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354");
    assert_eq!(empty.tsize, 4);
    let outer = directory(&Profile::unixfs_v1_2025(), [("d", empty)]);
    assert_eq!(tree_cid(outer), "bafybeib242caujrty4ppqkgepjboaxzk5j4kbypxfv4hrdhgpdzynewxzy");
}

/// A directory of `names`, each a file that holds its number in decimal.
#[track_caller]
fn check_names(profile: &Profile, names: impl Iterator<Item = String>, tsize: u64, expected: &str) {
    let entries = names.enumerate().map(|(i, name)| {
        let text = i.to_string();
        (name, Link { cid: leaf_cid(text.as_bytes()), tsize: text.len() as u64 })
    });
    let link = directory(profile, entries);
    assert_eq!((tree_cid(link).as_str(), link.tsize), (expected, tsize));
}

#[test]
fn a_directory_is_sharded_when_its_node_passes_the_threshold_and_not_before() {
    let profile = Profile::unixfs_v1_2025();
    let long = |n| (0..n).map(|i| format!("file-{i:08}.txt"));
    check_names(
        &profile,
        long(4000),
        258_894,
        "bafybeiar7yy5llo6j3n7qujch2synrm7w6ccev5el6cpulxmlwpsdmw4a4",
    );
    check_names(
        &profile,
        long(5000),
        372_918,
        "bafybeigmt4hvqtewhml4qbbcpfortejzmsouskamlead5cn7nr4762qwvq",
    );

    // 5349 entries of 49 bytes and 4 bytes of data leave 39 bytes to the threshold.
    let padded = |n, pad| {
        (0..n).map(move |i| format!("{i:05}{}", "x".repeat(if i == n - 1 { pad } else { 0 })))
    };
    check_names(
        &profile,
        padded(5349, 0),
        282_391,
        "bafybeigny22njjf6pfm44bm6b5wrfwaojx4r4hbw5ljhckrdbmm2pv6xfm",
    );
    check_names(
        &profile,
        padded(5349, 39),
        282_430,
        "bafybeidn24oycwnsnvubwwktwi3jtexdx7sch3cdabzritka2f6odot3sa",
    );
    check_names(
        &profile,
        padded(5349, 40),
        332_762,
        "bafybeib47qzdblfyrqaoozuzof3itnjnlhy4bkc6tmlbh4nyv5aebqymdu",
    );
    check_names(
        &profile,
        padded(5350, 0),
        332_777,
        "bafybeida4ankbrt5hisk6qdkrb5bfeu32y5znb7jcyvksjpah2lkh53mkq",
    );
}

#[test]
fn shards_of_other_fanouts() {
    let sharded = |fanout| {
        let profile = Profile::unixfs_v1_2025().with_shard_threshold(ShardThreshold::NodeBytes(0));
        profile.with_fanout(fanout).expect("allowed")
    };
    let short = |n| (0..n).map(|i| format!("f{i}"));
    check_names(
        &sharded(256),
        short(1),
        75,
        "bafybeie3brd43x76qqmydcdqapucvtbfrv6edpuathgzvspqpndkxvuneq",
    );
    check_names(
        &sharded(256),
        short(300),
        22_498,
        "bafybeicehtyiu43swtswhvpr4vf4ahz3danmqyxuqbnlpopq6gkba3hu6a",
    );
    check_names(
        &sharded(8),
        short(300),
        23_258,
        "bafybeiaayprj4iitawyqbhxhdhmmkt3rkdadk64qgazivxwtfygnd6kvne",
    );
    check_names(
        &sharded(16),
        short(300),
        21_691,
        "bafybeigrtvsw7p4xy23n2mjabb7tp5vnzumxxzfduzz7upn4sz276uq37y",
    );
    check_names(
        &sharded(32),
        short(300),
        19_831,
        "bafybeihvw3ufzeqp4ybg7hh6fgwijmyqgsf744cuqjhvu2it2cpn6nkn7e",
    );
}

#[test]
fn a_symlink_states_its_target_and_no_size() {
    let mut blocks = HashMap::new();
    let link = symlink(&Profile::unixfs_v1_2025(), b"bar", &mut |cid: &Cid, data: &[u8]| {
        blocks.insert(*cid, data.to_vec());
        Ok(())
    });
    let link = link.expect("the sink never fails");
    assert_eq!(blocks[&link.cid], b"\x0a\x07\x08\x04\x12\x03bar");
    assert_eq!(link.tsize, 9);
}

#[test]
fn the_empty_dag_pb_file_of_older_profiles_is_read() {
    let block = b"\x0a\x04\x08\x02\x18\x00";
    for text in [
        "bafybeif7ztnhq65lumvvtr4ekcwd2ifwgm3awq4zfr3srh462rwyinlb4y",
        "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH",
    ] {
        let cid: Cid = text.parse().expect("a CID");
        match decode(&cid, block) {
            Ok(carstone_unixfs::Node::File(file)) => {
                assert_eq!((file.size, file.links.len()), (0, 0))
            }
            other => panic!("{other:?}"),
        }
    }
}
