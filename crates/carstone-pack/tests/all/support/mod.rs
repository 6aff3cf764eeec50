//! Makes packs in memory, and reads them back whole.

#[cfg(feature = "fs")]
pub mod trees;

use std::collections::HashMap;
use std::io::{self, Read};
use std::sync::Arc;

use carstone_layer::PackId;
use carstone_pack::{Event, PackOptions, PackReader, PackStream, PackWriter, PlainPipe};
use sha2::{Digest, Sha256};

pub type Writer = PackWriter<PlainPipe<Vec<u8>>>;

/// A finished pack.
pub struct Packed {
    pub bytes: Vec<u8>,
    pub id: PackId,
    pub tail: u64,
}

pub fn writer(threads: usize) -> Writer {
    let pipe = PlainPipe::new(Vec::new());
    let options = PackOptions::default().threads(threads);
    PackWriter::with_options(pipe, PackId::from_bytes([0x5a; 16]), options).expect("memory")
}

#[track_caller]
pub fn pack(fill: impl FnOnce(&mut Writer) -> io::Result<()>) -> Packed {
    pack_with_threads(2, fill)
}

#[track_caller]
pub fn pack_with_threads(
    threads: usize,
    fill: impl FnOnce(&mut Writer) -> io::Result<()>,
) -> Packed {
    pack_with(PackOptions::default().threads(threads), fill)
}

#[track_caller]
pub fn pack_with(options: PackOptions, fill: impl FnOnce(&mut Writer) -> io::Result<()>) -> Packed {
    let (pipe, id) = (PlainPipe::new(Vec::new()), PackId::from_bytes([0x5a; 16]));
    let mut writer = PackWriter::with_options(pipe, id, options).expect("memory");
    fill(&mut writer).expect("memory takes every byte");
    let (pipe, _) = writer.finish().expect("memory takes every byte");
    let tail = pipe.mark().expect("a finished pack has a tail");
    Packed { bytes: pipe.into_inner(), id: PackId::from_bytes([0x5a; 16]), tail }
}

impl Packed {
    pub fn reader(&self) -> PackReader<Arc<Vec<u8>>> {
        PackReader::open(Arc::new(self.bytes.clone()), self.id, self.tail).expect("a sound pack")
    }

    #[track_caller]
    pub fn verify_is_clean(&self) {
        let mut found = |finding: carstone_pack::Finding| panic!("{finding:?}");
        let report = self.reader().verify(&mut |_| {}, &mut found).expect("a sound pack");
        assert_eq!(report.findings, 0);
    }

    #[track_caller]
    pub fn events(&self) -> Vec<Event> {
        let mut stream = PackStream::open(self.bytes.as_slice(), self.id).expect("a sound pack");
        let mut events = Vec::new();
        while let Some(event) = stream.next().expect("a sound pack") {
            events.push(event);
        }
        events
    }
}

/// Content of every file, put together from the events alone, each checked against its SHA-256.
#[track_caller]
pub fn stream_contents(packed: &Packed) -> HashMap<Vec<u8>, Vec<u8>> {
    let (mut paths, mut files) = (HashMap::new(), HashMap::<u64, Vec<u8>>::new());
    let (mut leaves, mut done) = (HashMap::new(), HashMap::new());
    let mut put = |id: u64, offset: u64, data: &[u8]| {
        let file = files.entry(id).or_default();
        assert_eq!(file.len() as u64, offset, "leaves come in order");
        file.extend_from_slice(data);
        file.clone()
    };
    for event in packed.events() {
        match event {
            Event::Entry(entry) => {
                paths.insert(entry.id, entry.path);
            }
            Event::Leaf { cid, data, uses } => {
                for place in uses {
                    put(place.id, place.offset, &data);
                }
                assert!(leaves.insert(cid, data).is_none(), "each leaf stands once");
            }
            Event::Reuse { id, offset, cid, len } => {
                assert!(len.is_none_or(|len| len == leaves[&cid].len() as u64));
                put(id, offset, &leaves[&cid]);
            }
            Event::End { id, size, sha256, .. } => {
                let content = put(id, size, &[]);
                assert_eq!(Some(Sha256::digest(&content).into()), sha256);
                done.insert(paths[&id].clone(), content);
            }
            _ => {}
        }
    }
    done
}

/// Seeded bytes that do not repeat.
pub fn content(seed: usize, len: usize) -> Vec<u8> {
    let mut state = seed as u64 ^ 0x9e37_79b9_7f4a_7c15;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// A source that fails at once.
pub struct Failing;

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("the source failed"))
    }
}
