//! DAGs: links of nodes of any bytes, selectors of any text, walks over blocks made of the input.

use std::collections::{HashMap, HashSet};
use std::io;

use carstone::car::dag::{
    ExportOptions, JoinOptions, NodeLimits, Parts, Selector, SplitOptions, Walk, WalkLimits,
    WalkOptions, check_complete, export, join, joined_roots, links, measure, split_dag,
};
use carstone::car::{CarReader, Cid, cid_of, codec};

use crate::input::{Input, noise};

const CODECS: [u64; 7] =
    [codec::DAG_PB, codec::DAG_CBOR, codec::DAG_JSON, codec::RAW, 0x51, 0x0200, 0x72];

/// Any bytes as a node of each codec: links are within the budget, fewer are found in no other way, and what is found is the same twice.
pub fn node(data: &[u8]) {
    for codec in CODECS {
        let cid = cid_of(codec, data);
        let all = links(&cid, data, &NodeLimits::default());
        let tight = NodeLimits::default().links(3).values(64).nesting(8);
        match (&all, links(&cid, data, &tight)) {
            (Ok(all), Ok(some)) => assert_eq!(*all, some),
            (Ok(_), Err(error)) => assert!(error.to_string().starts_with("more than ")),
            (Err(_), Ok(_)) => panic!("a tighter budget accepts more"),
            (Err(error), Err(_)) => {
                assert!(error.offset().is_none_or(|at| at <= data.len() as u64))
            }
        }
        // Following all links by a selector finds those that stand in a map or list.
        let store = HashMap::from([(cid, data.to_vec())]);
        let walk = |options| Walk::new(&store, &[cid], options).count();
        let options = WalkOptions::default();
        let (plain, selected) = (walk(options.clone()), walk(options.selector(Selector::all())));
        assert!(selected <= plain);
    }
}

/// Nodes with links and bytes, of each codec.
pub fn node_seeds() -> Vec<Vec<u8>> {
    let leaf = cid_of(codec::RAW, b"leaf");
    let bytes = leaf.to_bytes();
    let pb = [&[0x12, 38, 0x0a, 36][..], &bytes, b"\x0a\x02\x08\x01"].concat();
    let cbor = [&b"\xa2\x61a\xd8\x2a\x58\x25\0"[..], &bytes, b"\x61b\x82\x01\xf6"].concat();
    let json =
        format!(r#"{{"a":{{"/":"{leaf}"}},"b":[{{"/":{{"bytes":"aGk"}}}},-1.5e3,"\u00e9"]}}"#);
    vec![pb, cbor, json.into_bytes()]
}

/// Any text as a selector, and if it is one, a walk by it over a small DAG: it visits no more than all.
pub fn selector(data: &[u8]) {
    let Ok(selector) = Selector::parse(data) else { return };
    let (store, all) = built(&mut Input::new(&noise(3, 400)));
    let Some(root) = all.last() else { return };
    let limits = WalkLimits::default().blocks(500);
    let visited = |options: WalkOptions| -> HashSet<Cid> {
        Walk::new(&store, &[*root], options.limits(limits))
            .flatten()
            .map(|visit| visit.cid)
            .collect()
    };
    let everything = visited(WalkOptions::default());
    assert!(visited(WalkOptions::default().selector(selector)).is_subset(&everything));
}

/// Selectors of every part.
pub fn selector_seeds() -> Vec<Vec<u8>> {
    [
        r#"{"R":{"l":{"none":{}},":>":{"a":{">":{"@":{}}}}}}"#,
        r#"{"R":{"l":{"depth":3},":>":{"|":[{".":{}},{"a":{">":{"@":{}}}}]}}}"#,
        r#"{"f":{"f>":{"Links":{"r":{"^":0,"$":2,">":{"f":{"f>":{"Hash":{".":{}}}}}}}}}}"#,
        r#"{"i":{"i":1,">":{".":{}}}}"#,
    ]
    .map(|text| text.as_bytes().to_vec())
    .into()
}

/// A DAG made of choices, some blocks of which are gone or changed: budgets hold, what is exported is what is visited, and parts of it are
/// joined to the same.
pub fn walk(data: &[u8]) {
    let mut input = Input::new(data);
    let (mut store, all) = built(&mut input);
    let Some(&root) = all.last() else { return };
    if input.one_in(3) {
        store.remove(&input.pick(&all));
    }
    if input.one_in(3) {
        let cid = input.pick(&all);
        let bytes = input.text(60).to_vec();
        store.insert(cid, bytes); // A source that lies: nothing may hang or panic.
    }
    let limits = WalkLimits::default()
        .blocks(u64::from(input.u16()))
        .bytes(input.number())
        .depth(input.below(64));
    let options = WalkOptions::default()
        .limits(limits)
        .duplicates(input.flag())
        .unknown_is_leaf(input.flag());
    let mut walk = Walk::new(&store, &[root], options);
    let mut sum = 0;
    while let Some(visit) = walk.next() {
        match visit {
            Ok(visit) => {
                sum += visit.len;
                assert!(visit.depth <= limits.depth && walk.path().len() == visit.depth + 1);
                assert_eq!(walk.ancestors().count(), visit.depth);
            }
            Err(error) if error.is_block_error() => assert!(error.cid().is_some()),
            Err(_) => break,
        }
        assert!(walk.visited() <= limits.blocks && sum <= limits.bytes);
    }

    let skipping = ExportOptions::default().skip_missing(true);
    let Ok((whole, done)) = export(&store, &[root], Vec::new(), &skipping) else { return };
    assert_eq!(done.len, whole.len() as u64);
    assert_eq!(measure(&store, &[root], &skipping).expect("as before"), done);
    let found =
        check_complete(&store, &[root], &WalkOptions::default(), 4).expect("no budget is near");
    assert_eq!((found.blocks, found.missing), (done.blocks, done.missing));
    let mut parts = Kept::default();
    let split = SplitOptions::new(100 + u64::from(input.u16())).skip_missing(true);
    if split_dag(&store, &[root], &mut parts, &WalkOptions::default(), split).is_ok() {
        assert!(parts.0.iter().all(|part| part.len() as u64 <= split.part_len));
        // A source that lies gives blocks that a reader does not take.
        let open =
            |part: &Vec<u8>| CarReader::open(&part[..]).map(|reader| reader.roots().to_vec());
        let heads: Vec<_> = parts.0.iter().map(|part| open(part).expect("a header")).collect();
        let roots = joined_roots(heads.iter().map(|roots| &roots[..]));
        let readers = parts.0.iter().map(|part| CarReader::open(&part[..]));
        if let Ok((joined, _)) = join(&roots, readers, Vec::new(), JoinOptions::default()) {
            assert_eq!(joined, whole);
        }
    }
}

/// Inputs for [`walk`].
pub fn walk_seeds() -> Vec<Vec<u8>> {
    (0..8).map(|seed| noise(seed, 300)).collect()
}

#[derive(Default)]
struct Kept(Vec<Vec<u8>>);

impl Parts for Kept {
    type Sink = Vec<u8>;

    fn open(&mut self, _: u64) -> io::Result<Vec<u8>> {
        Ok(Vec::new())
    }

    fn close(&mut self, _: u64, part: Vec<u8>) -> io::Result<()> {
        self.0.push(part);
        Ok(())
    }
}

/// Leaves, then nodes that link to what stands before them, or of any bytes.
fn built(input: &mut Input<'_>) -> (HashMap<Cid, Vec<u8>>, Vec<Cid>) {
    let (mut store, mut all) = (HashMap::new(), Vec::new());
    for _ in 0..1 + input.below(12) {
        let codec = input.pick(&CODECS);
        let links: Vec<Cid> =
            (0..input.below(6)).filter(|_| !all.is_empty()).map(|_| input.pick(&all)).collect();
        let data = match codec {
            codec::DAG_PB if !input.one_in(5) => links
                .iter()
                .flat_map(|cid| {
                    let bytes = cid.to_bytes();
                    [&[0x12, bytes.len() as u8 + 2, 0x0a, bytes.len() as u8][..], &bytes].concat()
                })
                .collect(),
            codec::DAG_CBOR if !input.one_in(5) => {
                let mut data = vec![0x80 | links.len() as u8];
                for cid in &links {
                    let bytes = cid.to_bytes();
                    data.extend(
                        [&[0xd8, 0x2a, 0x58, bytes.len() as u8 + 1, 0][..], &bytes].concat(),
                    );
                }
                data
            }
            codec::DAG_JSON if !input.one_in(5) => {
                let links: Vec<_> = links.iter().map(|cid| format!(r#"{{"/":"{cid}"}}"#)).collect();
                format!("[{}]", links.join(",")).into_bytes()
            }
            _ => input.text(60).to_vec(),
        };
        let cid = cid_of(codec, &data);
        store.insert(cid, data);
        all.push(cid);
    }
    (store, all)
}
