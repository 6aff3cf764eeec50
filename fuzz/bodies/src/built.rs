//! Packs put together section by section, as the input says: mostly right, so that readers come far.

mod far;

use carstone::car::{CarWriter, Cid, cid_of};
use carstone::layer::PackId;
use sha2::{Digest, Sha256};

use crate::input::{Input, noise};
use crate::records::{DAG_CBOR, Value, odd, record};

pub(crate) const PACK: PackId = PackId::from_bytes([0x1d; 16]);

/// A pack and where its tail record should be.
pub(crate) struct Built {
    pub(crate) bytes: Vec<u8>,
    pub(crate) tail: u64,
}

const RAW: u64 = 0x55;
const DAG_PB: u64 = 0x70;

type Fields = Vec<(&'static str, Value)>;

/// A file or other entry that was announced.
struct Entry {
    id: u64,
    path: Vec<u8>,
    kind: u64,
    /// Position of its batch.
    batch: u64,
    content: Vec<u8>,
    runs: Vec<(u64, u64)>,
    link: Option<Cid>,
    target: Option<Vec<u8>>,
    is_open: bool,
}

struct Builder<'i, 'a> {
    car: CarWriter<Vec<u8>>,
    input: &'i mut Input<'a>,
    entries: Vec<Entry>,
    /// All content blocks: CID, length and position.
    blocks: Vec<(Cid, u64, u64)>,
    pages: Vec<u64>,
    next_id: u64,
}

/// Builds a pack.
pub(crate) fn build(input: &mut Input<'_>) -> Built {
    let mut builder = Builder {
        car: CarWriter::new(Vec::new(), &[]).expect("a Vec takes all"),
        input,
        entries: Vec::new(),
        blocks: Vec::new(),
        pages: Vec::new(),
        next_id: 0,
    };
    for _ in 0..builder.input.below(9) {
        match builder.input.below(8) {
            0..4 => builder.whole_files(),
            4 | 5 => builder.streamed_file(),
            6 => builder.interleave(),
            _ => builder.junk(),
        }
    }
    builder.far_region()
}

impl Builder<'_, '_> {
    /// One number instead of the right one, now and then.
    fn perhaps(&mut self, right: u64) -> Value {
        match self.input.one_in(30) {
            true => Value::Uint(self.input.number()),
            false => Value::Uint(right),
        }
    }

    fn put(&mut self, codec: u64, data: &[u8]) -> (Cid, u64) {
        let cid = cid_of(codec, data);
        let section = self.car.danger_write_unverified(&cid, data).expect("a Vec takes all");
        (cid, section.offset)
    }

    /// A content block, once.
    fn block(&mut self, codec: u64, data: &[u8]) -> (Cid, u64) {
        let cid = cid_of(codec, data);
        if let Some((_, _, position)) = self.blocks.iter().find(|(known, ..)| *known == cid)
            && !self.input.one_in(20)
        {
            return (cid, *position);
        }
        let (cid, position) = self.put(codec, data);
        self.blocks.push((cid, data.len() as u64, position));
        (cid, position)
    }

    fn record(&mut self, kind: u64, fields: Fields) -> u64 {
        let data = record(PACK, kind, fields, self.input);
        self.put(DAG_CBOR, &data).1
    }

    /// A path that is not taken yet, for the most part, and one that leads out now and then.
    fn path(&mut self) -> Vec<u8> {
        let odd = [&b"../up"[..], b"/etc/x", b"a//b", b"", b".", b"d/../..", b"nul\0", b"d/"];
        match self.input.below(24) {
            0 => self.input.pick(&odd).to_vec(),
            1 => self.input.text(12).to_vec(),
            2 => b"same".to_vec(),
            _ => {
                let directory = self.input.pick(&["", "d/", "d/e/", "link/", "f0/"]);
                format!("{directory}f{}", self.entries.len()).into_bytes()
            }
        }
    }

    fn content(&mut self) -> Vec<u8> {
        let seed = self.input.byte() % 6;
        let len = self.input.pick(&[0, 1, 5, 40]);
        noise(seed.into(), len)
    }

    /// A batch of entries that are complete with it or with a leaf that follows.
    fn whole_files(&mut self) {
        let first = self.entries.len();
        let mut list = Vec::new();
        for n in 0..1 + self.input.below(3) as u64 {
            let kind = self.input.pick(&[0, 0, 0, 1, 2, 3]);
            let mut entry = Entry {
                id: self.next_id + n,
                path: self.path(),
                kind,
                batch: self.car.position(),
                content: Vec::new(),
                runs: Vec::new(),
                link: None,
                target: None,
                is_open: false,
            };
            let mut fields =
                vec![("k", self.perhaps(kind)), ("p", Value::Bytes(entry.path.clone()))];
            match kind {
                0 => {
                    entry.content = self.content();
                    let cid = cid_of(RAW, &entry.content);
                    entry.link = Some(cid);
                    fields.push(("c", Value::Link(cid)));
                    fields.push(("z", self.perhaps(entry.content.len() as u64)));
                }
                2 => {
                    let targets = [&b"f0"[..], b"../..", b"/tmp", b"d", b"link"];
                    entry.target = Some(self.input.pick(&targets).to_vec());
                }
                3 => {
                    let count = self.entries.len();
                    let to = self.entries.get(self.input.below(count));
                    let (id, path) =
                        to.map_or((0, b"none".to_vec()), |to| (to.id, to.path.clone()));
                    fields.push(("j", self.perhaps(id)));
                    entry.target = Some(path);
                }
                _ => {}
            }
            if let Some(target) = &entry.target {
                fields.push(("l", Value::Bytes(target.clone())));
            }
            self.metadata(&mut fields);
            list.push(Value::Map(fields));
            self.entries.push(entry);
        }
        self.batch(list);
        for n in first..self.entries.len() {
            self.body(n);
        }
    }

    fn metadata(&mut self, fields: &mut Fields) {
        if self.input.flag() {
            fields.push(("m", Value::Uint(u64::from(self.input.u16()) & 0o7777)));
            fields.push(("s", self.perhaps(1_700_000_000)));
        }
        if self.input.one_in(16) {
            fields.push(("n", Value::Uint(self.input.number())));
            fields.push(("s", Value::Negative(self.input.number())));
        }
        if self.input.one_in(16) {
            let pair = ["user.a", "user.b"].map(|name| Value::Bytes(name.into()));
            fields.push(("x", Value::Array(vec![Value::Array(pair.to_vec())])));
        }
        if self.input.one_in(40) {
            odd(fields, self.input);
        }
        fields.sort_by_key(|(key, _)| *key);
        fields.dedup_by_key(|(key, _)| *key);
    }

    fn batch(&mut self, list: Vec<Value>) {
        let count = list.len() as u64;
        let first = self.perhaps(self.next_id);
        self.record(1, vec![("e", Value::Array(list)), ("i", first)]);
        self.next_id += count;
    }

    /// What belongs behind the batch of an entry: the leaf of a file, the node of a symlink.
    fn body(&mut self, n: usize) {
        if self.input.one_in(30) {
            return;
        }
        match self.entries[n].kind {
            0 => {
                let content = self.entries[n].content.clone();
                let (_, position) = self.block(RAW, &content);
                self.entries[n].runs.push((0, position));
            }
            2 => {
                let target = self.entries[n].target.clone().unwrap_or_default();
                let unixfs = [&[8, 4, 0x12, target.len() as u8][..], &target].concat();
                let node = [&[0x0a, unixfs.len() as u8][..], &unixfs].concat();
                let (cid, position) = self.block(DAG_PB, &node);
                self.entries[n].link = Some(cid);
                self.entries[n].runs.push((0, position));
            }
            _ => {}
        }
    }

    /// A file of several leaves, from its batch to its end record.
    fn streamed_file(&mut self) {
        let n = self.start_file();
        for _ in 0..self.input.below(4) {
            self.leaf(n, false);
        }
        if !self.input.one_in(30) {
            self.end(n);
        }
    }

    /// Two files whose leaves take turns.
    fn interleave(&mut self) {
        let (a, b) = (self.start_file(), self.start_file());
        for _ in 0..self.input.below(6) {
            let n = self.input.pick(&[a, b]);
            self.leaf(n, true);
        }
        for n in [b, a] {
            self.end(n);
        }
    }

    fn start_file(&mut self) -> usize {
        let entry = Entry {
            id: self.next_id,
            path: self.path(),
            kind: 0,
            batch: self.car.position(),
            content: Vec::new(),
            runs: Vec::new(),
            link: None,
            target: None,
            is_open: true,
        };
        let mut fields = vec![("k", Value::Uint(0)), ("p", Value::Bytes(entry.path.clone()))];
        self.metadata(&mut fields);
        self.batch(vec![Value::Map(fields)]);
        self.entries.push(entry);
        self.entries.len() - 1
    }

    /// A leaf of an open file, written or referred to; `resumes`: the record before it says whose it is.
    fn leaf(&mut self, n: usize, resumes: bool) {
        let (id, offset) = (self.entries[n].id, self.entries[n].content.len() as u64);
        let content = self.content();
        let cid = cid_of(RAW, &content);
        let known = self.blocks.iter().find(|(known, ..)| *known == cid).copied();
        let mut fields = vec![("i", self.perhaps(id)), ("o", self.perhaps(offset))];
        let position = match known {
            Some((cid, len, position)) => {
                let pair = vec![Value::Link(cid), self.perhaps(len)];
                fields.push(("r", Value::Array(vec![Value::Array(pair)])));
                self.record(2, fields);
                position
            }
            None => {
                if resumes || self.input.one_in(6) {
                    self.record(2, fields);
                }
                self.block(RAW, &content).1
            }
        };
        self.entries[n].runs.push((offset, position));
        self.entries[n].content.extend(content);
    }

    fn end(&mut self, n: usize) {
        let entry = &mut self.entries[n];
        entry.is_open = false;
        let (id, size) = (entry.id, entry.content.len() as u64);
        let path = entry.path.clone();
        let digest = Sha256::digest(&entry.content).to_vec();
        // Nobody checks the nodes of a file on the way forward.
        let root = *entry.link.get_or_insert(cid_of(RAW, &entry.content));
        let mut fields = vec![("i", self.perhaps(id)), ("p", Value::Bytes(path))];
        fields.push(("z", self.perhaps(size)));
        if self.input.one_in(12) {
            fields.push(("f", Value::Uint(u64::from(self.input.byte() % 4))));
        }
        if !self.input.one_in(12) {
            fields.push(("c", Value::Link(root)));
            fields.push(("h", Value::Bytes(digest)));
        }
        self.record(3, fields);
    }

    fn junk(&mut self) {
        match self.input.below(4) {
            0 => drop(self.block(DAG_PB, &[])),
            1 => {
                let data = self.input.text(60).to_vec();
                self.put(DAG_CBOR, &data);
            }
            2 => drop(self.record(9, Vec::new())),
            _ => {
                let count = self.entries.len();
                if count > 0 {
                    let n = self.input.below(count);
                    self.leaf(n, true);
                }
            }
        }
    }
}
