//! The packs that are mutated.

use carstone::car::{CarWriter, codec};
use carstone::pack::{EntryKind, PackOptions};
use carstone::unixfs::{Profile, ShardThreshold};

use super::super::packs::{Item, Layers, Tree, pack};
use crate::seeded::Random;

/// A pack, and another one of the same kind.
pub struct Sample {
    pub layers: Layers,
    pub shape: &'static str,
    pub tree: Tree,
    pub stored: Vec<u8>,
    pub twin: Tree,
    pub twin_stored: Vec<u8>,
    /// The entries of both. No name stands in two trees.
    pub both: Tree,
    /// Those of packs that are files in them, too.
    pub all: Tree,
}

/// Packs of all combinations of layers and all shapes of trees, the same in each run.
pub fn all() -> anyhow::Result<Vec<Sample>> {
    let mut samples = Vec::new();
    for layers in Layers::all() {
        for (number, (shape, grow)) in SHAPES.iter().enumerate() {
            let id = samples.len() as u64 * 16;
            let mut inner = Tree::new();
            let mut make = |id: u64| {
                let mut grown = Grown { inner: &mut inner, id, tree: Tree::new() };
                grow(&mut grown, &mut Random::new(id))?;
                let tree = grown.tree;
                let stored = pack(&tree, layers, id, &options(number)?)?;
                anyhow::Ok((tree, stored))
            };
            let ((tree, stored), (twin, twin_stored)) = (make(id)?, make(id + 8)?);
            let both: Tree = tree.clone().into_iter().chain(twin.clone()).collect();
            let all = both.clone().into_iter().chain(inner).collect();
            samples.push(Sample { layers, shape, tree, stored, twin, twin_stored, both, all });
        }
    }
    Ok(samples)
}

/// Small leaves and narrow nodes, so that small trees have many.
fn options(shape: usize) -> anyhow::Result<PackOptions> {
    let profile = Profile::default().with_chunk_size(3000 + 1000 * shape)?.with_width(3)?;
    let profile =
        profile.with_shard_threshold(ShardThreshold::Entries(20 + shape)).with_fanout(8)?;
    Ok(PackOptions::default().profile(profile))
}

struct Grown<'a> {
    /// Entries of packs that are files of the tree.
    inner: &'a mut Tree,
    id: u64,
    tree: Tree,
}

type Grow = fn(&mut Grown<'_>, &mut Random) -> anyhow::Result<()>;

const SHAPES: &[(&str, Grow)] = &[
    ("two files", |tree, _| {
        tree.file("a", b"sand".to_vec());
        tree.file("b", b"silt".to_vec());
        Ok(())
    }),
    ("small files", |tree, random| {
        small(tree, 120, random);
        Ok(())
    }),
    ("long files", |tree, random| {
        long(tree, 5, random);
        Ok(())
    }),
    ("files of all kinds", |tree, random| {
        small(tree, 60, random);
        long(tree, 2, random);
        Ok(())
    }),
    ("one long file", |tree, random| {
        let len = 150_000 + random.below(50_000) as usize;
        tree.file("long", random.noise(len));
        Ok(())
    }),
    ("packs and CARs as files", nested),
];

fn small(tree: &mut Grown<'_>, count: u64, random: &mut Random) {
    tree.add("d", EntryKind::Directory, Vec::new());
    tree.add("d/empty", EntryKind::Directory, Vec::new());
    for n in 0..count {
        let name = format!("d/{:02}/{n:03}", n % 7);
        match random.below(12) {
            0 => tree.file(&name, Vec::new()),
            // Some are equal, in both packs.
            1 => tree.file(&name, b"bed upon bed, ".repeat(30)),
            2 => tree.add(&name, EntryKind::Symlink, b"../nowhere".to_vec()),
            3 if n > 0 => {
                let original = tree.name("d/00/000");
                tree.add(&name, EntryKind::HardLink, original);
            }
            _ if n == 0 => tree.file(&name, random.text(700)),
            _ => {
                let len = random.below(900) as usize;
                tree.file(&name, random.file(len).1);
            }
        }
    }
}

fn long(tree: &mut Grown<'_>, count: u64, random: &mut Random) {
    let mut parts = Vec::new();
    for n in 0..count {
        let len = 15_000 + random.below(25_000) as usize;
        let body = random.file(len).1;
        parts.extend_from_slice(&body[..9_000]);
        let ending = ["", ".slow"][(n % 2) as usize];
        tree.file(&format!("l/{n}{ending}"), body);
    }
    // Leaves that stand in other files too.
    tree.file("l/parts", parts.clone());
    tree.file("l/again.slow", parts);
    let original = tree.name("l/0");
    tree.add("l/other name", EntryKind::HardLink, original);
}

fn nested(tree: &mut Grown<'_>, random: &mut Random) -> anyhow::Result<()> {
    small(tree, 20, random);
    for (n, layers) in [Layers::BARE, Layers::STORED, Layers::BROTLI].into_iter().enumerate() {
        let id = tree.id + 1 + n as u64;
        let mut inside = Grown { inner: &mut Tree::new(), id, tree: Tree::new() };
        small(&mut inside, 15, random);
        long(&mut inside, 1, random);
        let inside = inside.tree;
        tree.file(&format!("p/{n}"), pack(&inside, layers, id, &options(n)?)?);
        tree.inner.extend(inside);
    }
    let mut car = CarWriter::new(Vec::new(), &[])?;
    for _ in 0..40 {
        let len = random.below(800) as usize;
        car.write_data(codec::RAW, &random.text(len))?;
    }
    tree.file("p/car", car.finish()?);
    Ok(())
}

impl Grown<'_> {
    fn name(&self, name: &str) -> Vec<u8> {
        format!("{}/{name}", self.id).into_bytes()
    }

    fn add(&mut self, name: &str, kind: EntryKind, body: Vec<u8>) {
        let mode = 0o600 + self.tree.len() as u32 % 64;
        self.tree.insert(self.name(name), Item { kind, mode, body });
    }

    fn file(&mut self, name: &str, body: Vec<u8>) {
        self.add(name, EntryKind::File, body);
    }
}
