//! `cargo xtask damage`: the damage matrix. Packs are damaged in many ways, what is left of them is restored, and every restored file is
//! compared with the original. `--soak`, `--claims` and `--pathological` are other ways to try the same.

#![expect(clippy::print_stdout, reason = "the table is the result")]

#[cfg(feature = "library")]
mod claims;
#[cfg(feature = "library")]
mod cores;
#[cfg(feature = "library")]
mod found;
mod kinds;
mod outcome;
#[cfg(feature = "library")]
mod packs;
#[cfg(feature = "library")]
mod parity;
mod pathological;
mod peers;
#[cfg(feature = "library")]
mod soak;
#[cfg(feature = "library")]
mod wild;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

use crate::process::carstone;
use crate::seeded::Random;
use kinds::KINDS;
use outcome::Outcome;
use peers::{Archive, Peer};

/// What to damage, and how often.
#[derive(clap::Args)]
pub struct Arguments {
    /// Small trees, each damage once, and no programs of others
    #[arg(long)]
    quick: bool,
    /// The `carstone` program that is tried, instead of one that is built
    #[arg(long, value_name = "PROGRAM")]
    command: Option<PathBuf>,
    /// Places for each damage [default: 3, and 100 with --parity]
    #[arg(long)]
    trials: Option<u64>,
    /// Where the numbers start that decide what is damaged
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Folder for what is made [default: memory, where there is room]
    #[arg(long)]
    work: Option<PathBuf>,
    /// Damage small packs so many times at random, with the library in this process
    #[arg(long, value_name = "N", conflicts_with_all = ["quick", "command", "work"])]
    soak: Option<u64>,
    /// Check in full counts what is promised of damaged packs, with the library in this process
    #[arg(long, conflicts_with_all = ["quick", "command", "work", "soak"])]
    claims: bool,
    /// Damage 8 MiB under parity in many ways, each a hundred times, or as often as --trials says
    #[arg(long, conflicts_with_all = ["quick", "command", "work", "soak", "claims"])]
    parity: bool,
    /// Only the check of this name; can be given again
    #[arg(long, value_name = "NAME", requires = "claims")]
    claim: Vec<String>,
    /// Measure time and memory with large files that are no packs, and look like some
    #[arg(long, conflicts_with_all = ["quick", "soak", "claims"])]
    pathological: bool,
    /// Bytes of each such file
    #[arg(long, value_name = "N", default_value_t = 1_000_000_000)]
    size: u64,
}

/// How a pack is made: what the table calls it, and the options of `create`.
const FORMS: [(&str, &str, bool); 5] = [
    ("plain", "none", false),
    ("brotli", "brotli", false),
    ("zstd", "zstd", false),
    ("encrypted", "none", true),
    ("both", "brotli", true),
];

/// Fails when a restored file differs from the original, or the command does anything but end in order.
pub fn run(root: &Path, arguments: &Arguments) -> anyhow::Result<()> {
    if arguments.soak.is_some() || arguments.claims || arguments.parity {
        return in_process(root, arguments);
    }
    let carstone = carstone(root, arguments.command.as_deref())?;
    let shm = Path::new("/dev/shm");
    let base = match &arguments.work {
        Some(folder) => folder.clone(),
        None if shm.is_dir() => shm.to_owned(),
        None => std::env::temp_dir(),
    };
    fs::create_dir_all(&base)?;
    let folder = tempfile::Builder::new().prefix("carstone-damage-").tempdir_in(base)?;
    if arguments.pathological {
        return pathological::run(&carstone, folder.path(), arguments.size);
    }
    matrix(root, carstone, folder.path(), arguments)
}

#[cfg(feature = "library")]
fn in_process(_: &Path, arguments: &Arguments) -> anyhow::Result<()> {
    match arguments.soak {
        Some(count) => soak::run(count, arguments.seed),
        None if arguments.parity => parity::run(arguments.trials.unwrap_or(100), arguments.seed),
        None => claims::run(&arguments.claim, arguments.seed),
    }
}

/// This task without the library starts the one that has it, with all optimisations.
#[cfg(not(feature = "library"))]
fn in_process(root: &Path, _: &Arguments) -> anyhow::Result<()> {
    let arguments = ["run", "--quiet", "--release", "--package", "xtask", "--"].map(Into::into);
    crate::process::cargo(root).args(arguments.into_iter().chain(std::env::args_os().skip(1))).run()
}

/// Prints the damage matrix.
fn matrix(
    root: &Path,
    carstone: PathBuf,
    folder: &Path,
    arguments: &Arguments,
) -> anyhow::Result<()> {
    let bench = Bench::new(carstone, folder)?;
    let trials = if arguments.quick { 1 } else { arguments.trials.unwrap_or(3) };
    let (small, large) = if arguments.quick { (300, 2) } else { (2000, 6) };
    let mlar = root.join("target/peers/bin/mlar");
    let peers = if arguments.quick { Vec::new() } else { Peer::installed(&mlar) };
    for (name, count, length) in
        [("many small files", small, 4_000), ("few large files", large, 5_000_000)]
    {
        let tree = bench.tree(count, length)?;
        println!("\n{name}: {count} files; files and bytes intact, mean of {trials}\n");
        let titles = FORMS.iter().map(|(form, ..)| *form).chain(peers.iter().map(|p| p.name()));
        let titles: String = titles.map(|title| format!(" {title:>17}")).collect();
        println!("{:<28}{titles}", "damage");
        let packs = FORMS.iter().map(|(_, compress, encrypted)| bench.pack(compress, *encrypted));
        let packs = packs.collect::<anyhow::Result<Vec<_>>>()?;
        let archives = peers.iter().map(|peer| Archive::make(*peer, &mlar, folder));
        let archives = archives.collect::<anyhow::Result<Vec<_>>>()?;
        for (number, kind) in KINDS.iter().enumerate() {
            let seed = |trial| arguments.seed.wrapping_add(trial * 1000 + number as u64);
            // The mean of all trials on one archive.
            let mean = |stored: &[u8], restore: &dyn Fn(&[u8]) -> anyhow::Result<Outcome>| {
                let mut sum = Outcome::default();
                for trial in 0..trials {
                    let mut damaged = stored.to_vec();
                    (kind.apply)(&mut damaged, &mut Random::new(seed(trial)));
                    let place = || format!("{}, {name}, seed {}", kind.name, seed(trial));
                    sum.add(&restore(&damaged).with_context(place)?);
                }
                anyhow::Ok(format!(" {:>17}", sum.text(trials)))
            };
            let mut line = format!("{:<28}", kind.name);
            for pack in &packs {
                line.push_str(&mean(pack, &|damaged| bench.restore(damaged, &tree))?);
            }
            for archive in &archives {
                line.push_str(&mean(archive.bytes(), &|damaged| archive.recover(damaged, &tree))?);
            }
            println!("{line}");
        }
    }
    Ok(())
}

/// The command, a key, and a folder.
struct Bench {
    carstone: PathBuf,
    folder: PathBuf,
    recipient: String,
}

/// Files by path.
type Tree = Vec<(PathBuf, Vec<u8>)>;

impl Bench {
    fn new(carstone: PathBuf, folder: &Path) -> anyhow::Result<Self> {
        let identity = folder.join("identity.txt");
        let made = Command::new(&carstone).arg("keygen").arg("-o").arg(&identity).output()?;
        ensure!(made.status.success(), "keygen ended with {}", made.status);
        let text = fs::read_to_string(identity)?;
        let recipient = text.lines().find_map(|line| line.strip_prefix("# public key: "));
        let recipient = recipient.context("keygen named no public key")?.to_owned();
        Ok(Self { carstone, folder: folder.to_owned(), recipient })
    }

    /// Makes files of up to `length` bytes.
    fn tree(&self, count: usize, length: u64) -> anyhow::Result<Tree> {
        let (root, mut random) = (self.folder.join("tree"), Random::new(length));
        if root.exists() {
            fs::remove_dir_all(&root)?;
        }
        let mut tree = Tree::new();
        for number in 0..count {
            let length = usize::try_from(length / 4 + random.below(length))?;
            let (ending, content) = random.file(length);
            let path = PathBuf::from(format!("{:02}/{number:05}.{ending}", number % 20));
            let full = root.join(&path);
            fs::create_dir_all(full.parent().context("it has a parent")?)?;
            fs::write(full, &content)?;
            tree.push((path, content));
        }
        Ok(tree)
    }

    /// Packs the tree that was made last.
    fn pack(&self, compress: &str, encrypted: bool) -> anyhow::Result<Vec<u8>> {
        let pack = self.folder.join("pack.cstone");
        let mut create = Command::new(&self.carstone);
        create.args(["create", "-q", "--force", "--compress", compress, "-o"]).arg(&pack);
        if encrypted {
            create.args(["-r", &self.recipient]);
        }
        let status = create.arg(self.folder.join("tree")).stdout(Stdio::null()).status()?;
        ensure!(status.success(), "create ended with {status}");
        Ok(fs::read(pack)?)
    }

    /// Restores what is left of a pack, and compares it.
    fn restore(&self, damaged: &[u8], tree: &Tree) -> anyhow::Result<Outcome> {
        let (pack, out) = (self.folder.join("damaged.cstone"), self.folder.join("out"));
        fs::write(&pack, damaged)?;
        if out.exists() {
            fs::remove_dir_all(&out)?;
        }
        let mut extract = Command::new(&self.carstone);
        extract.args(["extract", "-q", "--salvage", "-i"]).arg(self.folder.join("identity.txt"));
        let status = extract.arg("-C").arg(&out).arg(&pack).stderr(Stdio::null()).status()?;
        ensure!(matches!(status.code(), Some(0..=2)), "extract ended with {status}");
        let outcome = Outcome::compare(tree, &out)?;
        let all = outcome.files == tree.len() as u64;
        ensure!(status.code() != Some(0) || all, "exit status 0, and something is missing");
        Ok(outcome)
    }
}
