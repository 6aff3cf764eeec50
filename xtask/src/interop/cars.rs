//! CARs: those of carstone are read by `ipfs-car` and `@ipld/car`, those of `ipfs-car` by carstone.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use super::checks::Checks;
use super::tools::{Tools, run, text};
use super::tree;
use crate::snapshot::{Compare, compare, snapshot};

/// Runs all checks.
pub fn run_all(tools: &Tools, work: &Path, quick: bool, checks: &mut Checks) -> anyhow::Result<()> {
    let source = work.join("tree");
    tree::make(&source, quick)?;
    let wide = work.join("wide");
    tree::make_wide(&wide)?;
    let theirs = work.join("theirs.car");
    let root = text(tools.ipfs_car("pack").arg(&source).arg("-H").arg("-o").arg(&theirs))?;
    let cars = Cars { tools, work, source, wide, root, quick };

    cars.ours(checks, "CAR", None);
    for version in ["1", "2"] {
        let name = format!("CARv{version}");
        match tools.car_versions {
            true => cars.ours(checks, &name, Some(version)),
            false => checks.skip(&name, "`carstone create` has no --car-version"),
        }
    }
    cars.roots(checks);
    cars.theirs(checks, "CARv1 of ipfs-car", &theirs);
    // To a pipe it names no root.
    let rootless = work.join("rootless.car");
    fs::write(&rootless, run(tools.ipfs_car("pack").arg(&cars.source).arg("-H"))?)?;
    cars.theirs(checks, "CARv1 of ipfs-car without roots", &rootless);
    let wrapped = work.join("wrapped.car");
    wrap(&theirs, &wrapped)?;
    match tools.car_versions {
        true => {
            checks.check("@ipld/car reads the wrapped CARv2", || cars.judged(&wrapped, 2));
            cars.theirs(checks, "CARv2 around a CARv1 of ipfs-car", &wrapped);
        }
        false => checks.skip("CARv2 of others", "`carstone create` has no --car-version"),
    }
    Ok(())
}

struct Cars<'a> {
    tools: &'a Tools,
    work: &'a Path,
    source: PathBuf,
    wide: PathBuf,
    /// The root that ipfs-car gives the tree.
    root: String,
    quick: bool,
}

impl Cars<'_> {
    /// A CAR of carstone, opened by the others.
    fn ours(&self, checks: &mut Checks, name: &str, version: Option<&str>) {
        let car = self.work.join(format!("ours-{name}.car"));
        checks.check(&format!("carstone create writes a {name} with the root of ipfs-car"), || {
            let root = self.create(&car, version, &self.source)?;
            ensure!(root == self.root, "{root} is not {}", self.root);
            Ok(())
        });
        checks.check(&format!("@ipld/car reads and hashes every block of the {name}"), || {
            self.judged(&car, version.map_or(Ok(0), str::parse)?)
        });
        checks.check(&format!("ipfs-car roots: {name}"), || {
            let roots = text(self.tools.ipfs_car("roots").arg(&car))?;
            ensure!(roots == self.root, "{roots} is not {}", self.root);
            Ok(())
        });
        checks.check(&format!("ipfs-car ls: {name}"), || {
            let listed = run(self.tools.ipfs_car("ls").arg(&car))?;
            let (listed, right) = (names(&listed)?, self.names()?);
            ensure!(listed == right, "{}", difference(&listed, &right));
            Ok(())
        });
        checks.check(&format!("ipfs-car blocks --verify: {name}"), || {
            let blocks = text(self.tools.ipfs_car("blocks").arg(&car).arg("--verify"))?;
            ensure!(blocks.lines().any(|cid| cid == self.root), "the root is no block");
            Ok(())
        });
        checks.check(&format!("ipfs-car unpack --verify: {name}"), || {
            self.unpacked(&car, &self.source)
        });
        // It takes longer than all the rest: the quick run does it once.
        if !self.quick || version == Some("2") {
            checks.check(&format!("ipfs-car unpack --verify: HAMT directory in a {name}"), || {
                let car = self.work.join(format!("wide-{name}.car"));
                self.create(&car, version, &self.wide)?;
                self.unpacked(&car, &self.wide)
            });
        }
        checks.check(&format!("carstone create to a pipe: {name} that @ipld/car reads"), || {
            let mut create = self.tools.carstone("create");
            create.args(["-q", "--plain", "-o", "-"]).arg(&self.source);
            if let Some(version) = version {
                create.args(["--car-version", version]);
            }
            let car = self.work.join(format!("piped-{name}.car"));
            fs::write(&car, run(&mut create)?)?;
            self.judged(&car, version.map_or(Ok(1), str::parse)?)
        });
    }

    /// Writes a CAR and returns the root that carstone prints.
    fn create(&self, car: &Path, version: Option<&str>, folder: &Path) -> anyhow::Result<String> {
        let mut create = self.tools.carstone("create");
        create.arg("-q").arg("-o").arg(car).arg(folder);
        if let Some(version) = version {
            create.args(["--car-version", version]);
        }
        Ok(root_of(&text(&mut create)?))
    }

    /// All readers of `@ipld/car` agree, and the roots are right. Version 0 is any.
    fn judged(&self, car: &Path, version: u64) -> anyhow::Result<()> {
        let told = self.tools.judge(car)?;
        let found = told["version"].as_u64().context("no version")?;
        ensure!(version == 0 || version == found, "it is a CARv{found}");
        ensure!(told["roots"] == serde_json::json!([self.root]), "its roots are {}", told["roots"]);
        ensure!(told["blocks"].as_u64() > Some(900), "it has {} blocks", told["blocks"]);
        Ok(())
    }

    fn unpacked(&self, car: &Path, folder: &Path) -> anyhow::Result<()> {
        let out = self.work.join("unpacked");
        run(self.tools.ipfs_car("unpack").arg(car).arg("--verify").arg("-o").arg(&out))?;
        compare(&snapshot(folder)?, &snapshot(&out)?, Compare::Content)?;
        Ok(fs::remove_dir_all(out)?)
    }

    /// Roots of single files and of single folders.
    fn roots(&self, checks: &mut Checks) {
        let same = |folder: &Path, arguments: &[&str]| -> anyhow::Result<()> {
            let (one, other) = (self.work.join("one.car"), self.work.join("other.car"));
            let mut create = self.tools.carstone("create");
            create.args(["-q", "--force", "-o"]).arg(&one).args(arguments);
            let ours = root_of(&text(create.current_dir(folder))?);
            let mut pack = self.tools.ipfs_car("pack");
            pack.args(arguments).arg("-H").arg("-o").arg(&other);
            let theirs = text(pack.current_dir(folder))?;
            ensure!(ours == theirs, "{ours} is not {theirs}");
            Ok(())
        };
        let lengths = self.source.join("lengths");
        for file in ["0.bin", "1048576.bin", "2621443.bin"] {
            checks
                .check(&format!("{file} alone is wrapped in a directory as ipfs-car does"), || {
                    same(&lengths, &[file])
                });
        }
        for folder in ["lengths", "names", "a", "twice", "many"] {
            checks.check(&format!("the root of {folder}/ is that of ipfs-car"), || {
                same(&self.source, &[folder])
            });
        }
    }

    /// A CAR of others, read by carstone.
    fn theirs(&self, checks: &mut Checks, name: &str, car: &Path) {
        checks.check(&format!("carstone list: {name}"), || {
            let listed = paths(&run(self.tools.carstone("list").arg("-0").arg(car))?)?;
            let right = self.names()?;
            ensure!(listed == right, "{}", difference(&listed, &right));
            Ok(())
        });
        checks.check(&format!("carstone extract: {name}"), || {
            let out = self.work.join("extracted");
            run(self.tools.carstone("extract").arg("-q").arg("-C").arg(&out).arg(car))?;
            compare(&snapshot(&self.source)?, &snapshot(&out)?, Compare::Content)?;
            Ok(fs::remove_dir_all(out)?)
        });
        checks.check(&format!("carstone verify: {name}"), || {
            run(self.tools.carstone("verify").arg("-q").arg(car)).map(drop)
        });
        checks.check(&format!("carstone verify notices a flipped bit: {name}"), || {
            let bad = self.flipped(car)?;
            let status = self.tools.carstone("verify").arg("-q").arg(&bad).output()?.status;
            ensure!(status.code() == Some(1), "it ended with {status}");
            Ok(())
        });
        let title = format!("@ipld/car reads what carstone repair makes of a damaged {name}");
        checks.check(&title, || {
            let (bad, mended) = (self.flipped(car)?, self.work.join("mended.car"));
            let mut repair = self.tools.carstone("repair");
            let status =
                repair.args(["-q", "--force", "-o"]).arg(&mended).arg(&bad).output()?.status;
            ensure!(matches!(status.code(), Some(0 | 1)), "it ended with {status}");
            let (before, after) = (self.tools.judge(car)?, self.tools.judge(&mended)?);
            let same = |field: &str| before[field] == after[field];
            ensure!(same("version") && same("roots"), "{before} has become {after}");
            let blocks = |told: &serde_json::Value| told["blocks"].as_u64();
            let one_less = blocks(&before).and_then(|blocks| blocks.checked_sub(1));
            ensure!(blocks(&after) == one_less, "{before} has become {after}");
            Ok(())
        });
        checks.check(&format!("carstone cat: {name}"), || {
            for file in ["lengths/0.bin", "lengths/2621443.bin", "names/日本語", "many/500.txt"]
            {
                let bytes = run(self.tools.carstone("cat").arg(car).arg(file))?;
                ensure!(bytes == fs::read(self.source.join(file))?, "{file} has other bytes");
            }
            let mut range = self.tools.carstone("cat");
            range.arg(car).args(["lengths/2621443.bin", "--range", "1048570-1048585"]);
            let whole = fs::read(self.source.join("lengths/2621443.bin"))?;
            ensure!(run(&mut range)? == whole[1_048_570..=1_048_585], "a range has other bytes");
            Ok(())
        });
    }

    /// The CAR with a wrong bit in its middle, where the content of a file is.
    fn flipped(&self, car: &Path) -> anyhow::Result<PathBuf> {
        let bad = self.work.join("flipped.car");
        let mut bytes = fs::read(car)?;
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&bad, bytes)?;
        Ok(bad)
    }

    /// The paths of the tree.
    fn names(&self) -> anyhow::Result<BTreeSet<String>> {
        let tree = snapshot(&self.source)?;
        let names = tree.keys().map(|name| name.to_str().map(str::to_owned).context("not UTF-8"));
        names.collect()
    }
}

/// The CID in what `carstone create` prints.
fn root_of(told: &str) -> String {
    told.strip_prefix("root ").unwrap_or(told).trim().to_owned()
}

/// The paths that `carstone list -0` prints, without the directory itself, which is a dot.
pub fn paths(listed: &[u8]) -> anyhow::Result<BTreeSet<String>> {
    let paths = listed.split(|byte| *byte == 0).filter(|path| !matches!(*path, b"" | b"."));
    paths.map(|path| Ok(String::from_utf8(path.to_vec())?)).collect()
}

/// The lines of ipfs-car, which begin with `./`; its line for the root is `.`.
pub fn names(listed: &[u8]) -> anyhow::Result<BTreeSet<String>> {
    let lines = std::str::from_utf8(listed)?.lines().filter(|line| *line != ".");
    Ok(lines.map(|line| line.strip_prefix("./").unwrap_or(line).to_owned()).collect())
}

fn difference(found: &BTreeSet<String>, right: &BTreeSet<String>) -> String {
    let missing: Vec<_> = right.difference(found).take(3).collect();
    let extra: Vec<_> = found.difference(right).take(3).collect();
    format!("missing {missing:?}, extra {extra:?}")
}

/// Puts a CARv1 into a CARv2 without index, as the specification says: pragma, header, padding, the CARv1.
fn wrap(car: &Path, to: &Path) -> anyhow::Result<()> {
    const PRAGMA: [u8; 11] = *b"\x0a\xa1\x67version\x02";
    const DATA_OFFSET: u64 = 64;
    let plain = fs::read(car)?;
    let mut bytes = PRAGMA.to_vec();
    bytes.extend([0; 16]);
    bytes.extend(DATA_OFFSET.to_le_bytes());
    bytes.extend(u64::try_from(plain.len())?.to_le_bytes());
    bytes.extend(0u64.to_le_bytes());
    bytes.resize(usize::try_from(DATA_OFFSET)?, 0);
    bytes.extend(plain);
    Ok(fs::write(to, bytes)?)
}
