//! All that `carstone car` writes, read by `@ipld/car`.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::ensure;

use super::car_indexes;
use super::checks::Checks;
use super::listing::{Listing, agreed};
use super::tools::{Tools, run, run_on, text};

/// Runs all checks on CARs in the folder `work`: those of the tree, and in `foreign` those of `@ipld/car`.
pub fn run_all(tools: &Tools, work: &Path, checks: &mut Checks) -> anyhow::Result<()> {
    let folder = work.join("car");
    fs::create_dir_all(&folder)?;
    let trial = Trial {
        tools,
        folder,
        mixed: work.join("foreign/one root.car"),
        updated: work.join("foreign/roots updated.car"),
        tree: work.join("ours-CAR.car"),
        plain: work.join("theirs.car"),
    };
    for version in [1, 2] {
        trial.filter(checks, version);
        trial.concat(checks, version);
        trial.merge(checks, version);
        trial.get_dag(checks, version);
        trial.put_block(checks, version);
        trial.set_roots(checks, version);
    }
    trial.split(checks);
    car_indexes::run_all(&trial, checks);
    Ok(())
}

pub struct Trial<'a> {
    pub tools: &'a Tools,
    pub folder: PathBuf,
    /// Of blocks of all kinds.
    pub mixed: PathBuf,
    /// The same with two roots of one length.
    updated: PathBuf,
    /// A CARv2 of a tree of files.
    pub tree: PathBuf,
    /// The same tree in a CARv1.
    pub plain: PathBuf,
}

impl Trial<'_> {
    /// Calls `carstone car` with an output, on which all then agree.
    pub fn made(
        &self,
        version: u64,
        command: &str,
        arguments: &[&str],
        cars: &[&Path],
    ) -> anyhow::Result<Listing> {
        let out = self.folder.join("made.car");
        let mut call = self.tools.car(command);
        run(call.args(["-q", "--force", "-o"]).arg(&out).args(cars).args(arguments))?;
        agreed(self.tools, &out, version)
    }

    /// What carstone finds in a CAR that others wrote.
    pub fn listing(&self, car: &Path) -> anyhow::Result<Listing> {
        Listing::ours(self.tools, car, &[])
    }

    fn filter(&self, checks: &mut Checks, version: u64) {
        checks.check(&format!("@ipld/car reads what filter writes: CARv{version}"), || {
            for car in [&self.mixed, &self.tree] {
                let source = self.listing(car)?;
                let cids = source.cids();
                let wanted: BTreeSet<&str> = cids.iter().copied().step_by(2).collect();
                let file = self.folder.join("cids.txt");
                fs::write(&file, wanted.iter().map(|cid| format!("{cid}\n")).collect::<String>())?;
                let file = file.display().to_string();
                let version_text = version.to_string();
                let arguments = ["--car-version", &version_text, "--cid-file", &file];
                let kept = self.made(version, "filter", &arguments, &[car])?;
                let right = cids.iter().filter(|cid| wanted.contains(**cid));
                same_cids(&kept, right.copied())?;
                let arguments = [&arguments[..], &["--inverse"]].concat();
                let others = self.made(version, "filter", &arguments, &[car])?;
                same_cids(&others, cids.iter().filter(|cid| !wanted.contains(**cid)).copied())?;
            }
            Ok(())
        });
    }

    fn concat(&self, checks: &mut Checks, version: u64) {
        checks.check(&format!("@ipld/car reads what concat writes: CARv{version}"), || {
            let cars: [&Path; 3] = [&self.mixed, &self.tree, &self.mixed];
            let arguments = ["--car-version", &version.to_string()];
            let found = self.made(version, "concat", &arguments, &cars)?;
            let (mixed, tree) = (self.listing(&self.mixed)?, self.listing(&self.tree)?);
            ensure!(found.roots == mixed.roots, "its roots are {:?}", found.roots);
            same_cids(&found, [mixed.cids(), tree.cids(), mixed.cids()].concat())
        });
    }

    fn merge(&self, checks: &mut Checks, version: u64) {
        checks.check(&format!("@ipld/car reads what merge writes: CARv{version}"), || {
            let cars: [&Path; 3] = [&self.mixed, &self.tree, &self.updated];
            let arguments = ["--car-version", &version.to_string()];
            let found = self.made(version, "merge", &arguments, &cars)?;
            let (mixed, tree) = (self.listing(&self.mixed)?, self.listing(&self.tree)?);
            let updated = self.listing(&self.updated)?;
            let roots = [mixed.roots.clone(), tree.roots.clone(), updated.roots].concat();
            ensure!(found.roots == roots, "its roots are {:?}, not {roots:?}", found.roots);
            let mut seen = BTreeSet::new();
            let cids = [mixed.cids(), tree.cids()].concat();
            same_cids(&found, cids.into_iter().filter(|cid| seen.insert(*cid)))
        });
    }

    fn get_dag(&self, checks: &mut Checks, version: u64) {
        checks.check(&format!("@ipld/car reads what get-dag writes: CARv{version}"), || {
            let version_text = version.to_string();
            let whole = ["--car-version", &version_text, "--strict"];
            for car in [&self.mixed, &self.tree] {
                let (source, found) =
                    (self.listing(car)?, self.made(version, "get-dag", &whole, &[car])?);
                ensure!(found.roots == source.roots, "its roots are {:?}", found.roots);
                same_set(&found, apart(source.cids()))?;
            }
            // The block before the root links to all but the root and the empty block.
            let mixed = self.listing(&self.mixed)?;
            let [rest @ .., map, _] = &mixed.blocks[..] else { anyhow::bail!("too few blocks") };
            let arguments = [map.cid.as_str(), "--car-version", &version_text, "--strict"];
            let found = self.made(version, "get-dag", &arguments, &[&self.mixed])?;
            ensure!(found.roots == [map.cid.as_str()], "its roots are {:?}", found.roots);
            let linked = rest.iter().filter(|block| block.data_size > 0).chain([map]);
            same_set(&found, apart(linked.map(|block| block.cid.as_str()).collect()))
        });
    }

    fn put_block(&self, checks: &mut Checks, version: u64) {
        let arguments = ["--car-version", &version.to_string()];
        let car = self.folder.join(format!("put-{version}.car"));
        let put = |more: &[&str], data: &str| -> anyhow::Result<String> {
            let input = self.folder.join("block");
            fs::write(&input, data)?;
            let mut call = self.tools.car("put-block");
            let told = run_on(File::open(input)?, call.args(arguments).args(more).arg(&car))?;
            Ok(String::from_utf8(told)?.trim().to_owned())
        };
        checks.check(&format!("@ipld/car reads what put-block makes: CARv{version}"), || {
            let cids =
                [put(&["--set-root"], "first")?, put(&[], "")?, put(&["-c", "dag-cbor"], "\u{1}")?];
            put(&[], "first")?;
            let found = agreed(self.tools, &car, version)?;
            ensure!(found.roots == cids[..1], "its roots are {:?}", found.roots);
            same_cids(&found, cids.iter().map(String::as_str))
        });
        checks.check(&format!("@ipld/car reads what put-block appends to: CARv{version}"), || {
            self.as_version(&self.mixed, version, &car)?;
            let cid = put(&[], "one more")?;
            let found = agreed(self.tools, &car, version)?;
            let mixed = self.listing(&self.mixed)?;
            ensure!(found.roots == mixed.roots, "its roots are {:?}", found.roots);
            same_cids(&found, [mixed.cids(), vec![&cid]].concat())
        });
    }

    fn set_roots(&self, checks: &mut Checks, version: u64) {
        checks.check(&format!("@ipld/car reads what set-roots has changed: CARv{version}"), || {
            let car = self.folder.join("roots.car");
            self.as_version(&self.updated, version, &car)?;
            let length = fs::metadata(&car)?.len();
            let before = agreed(self.tools, &car, version)?;
            let roots: Vec<&String> = before.roots.iter().rev().collect();
            run(self.tools.car("set-roots").arg("-q").arg(&car).args(&roots))?;
            let after = agreed(self.tools, &car, version)?;
            ensure!(after.roots.iter().eq(roots), "its roots are {:?}", after.roots);
            ensure!(after.blocks == before.blocks, "its blocks are others");
            ensure!(fs::metadata(&car)?.len() == length, "it has another length");
            Ok(())
        });
    }

    /// Copies a CARv1, or makes a CARv2 of it.
    fn as_version(&self, from: &Path, version: u64, to: &Path) -> anyhow::Result<()> {
        match version {
            1 => fs::copy(from, to).map(drop)?,
            _ => drop(run(self.tools.car("wrap").args(["-q", "--force", "-o"]).arg(to).arg(from))?),
        }
        Ok(())
    }

    fn split(&self, checks: &mut Checks) {
        let parts = |arguments: &[&str]| -> anyhow::Result<Vec<(PathBuf, Listing)>> {
            let mut call = self.tools.car("split");
            call.args(["-q", "--force", "--size", "2M", "-C"]).arg(&self.folder).args(arguments);
            let paths = text(call.arg(&self.tree))?;
            let parts =
                paths.lines().map(|path| Ok((path.into(), agreed(self.tools, path.as_ref(), 1)?)));
            let parts = parts.collect::<anyhow::Result<Vec<(PathBuf, _)>>>()?;
            ensure!(parts.len() > 2, "{} parts", parts.len());
            for (path, _) in &parts {
                ensure!(fs::metadata(path)?.len() <= 2 << 20, "{} is too long", path.display());
            }
            Ok(parts)
        };
        checks.check("@ipld/car reads the parts that split --simple makes", || {
            let (parts, tree) = (parts(&["--simple"])?, self.listing(&self.tree)?);
            let cids: Vec<&str> = parts.iter().flat_map(|(_, part)| part.cids()).collect();
            ensure!(cids == tree.cids(), "the parts have other blocks");
            Ok(())
        });
        checks.check(
            "@ipld/car reads the parts that split makes, each a DAG from the root on",
            || {
                let (parts, tree) = (parts(&[])?, self.listing(&self.tree)?);
                for (path, part) in &parts {
                    ensure!(part.roots == tree.roots, "its roots are {:?}", part.roots);
                    let implicit = text(self.tools.car("roots").arg("--implicit").arg(path))?;
                    ensure!(implicit.lines().eq(&part.roots), "{implicit} has no link to it");
                }
                let found: BTreeSet<&str> =
                    parts.iter().flat_map(|(_, part)| part.cids()).collect();
                let missing = tree.cids().into_iter().find(|cid| !found.contains(cid));
                ensure!(missing.is_none(), "{missing:?} is in no part");
                Ok(())
            },
        );
    }
}

/// Those that are not in their CIDs, as links to such need no blocks.
fn apart(mut cids: Vec<&str>) -> Vec<&str> {
    const RAW: &str = "bafkqa";
    const DAG_CBOR: &str = "bafyqa";
    cids.retain(|cid| !cid.starts_with(RAW) && !cid.starts_with(DAG_CBOR));
    cids
}

/// The blocks are these, in this order.
pub fn same_cids<'a>(
    found: &Listing,
    right: impl IntoIterator<Item = &'a str>,
) -> anyhow::Result<()> {
    let (found, right) = (found.cids(), right.into_iter().collect::<Vec<_>>());
    let place = found.iter().zip(&right).position(|(found, right)| found != right);
    ensure!(place.is_none(), "blocks differ from number {place:?} on");
    ensure!(found.len() == right.len(), "{} blocks, not {}", found.len(), right.len());
    Ok(())
}

/// The blocks are these, each once.
fn same_set(found: &Listing, right: Vec<&str>) -> anyhow::Result<()> {
    let set: BTreeSet<&str> = found.cids().into_iter().collect();
    ensure!(set.len() == found.blocks.len(), "a block is there twice");
    let right: BTreeSet<&str> = right.into_iter().collect();
    let (missing, extra) = (right.difference(&set).next(), set.difference(&right).next());
    ensure!(set == right, "missing {missing:?}, extra {extra:?}");
    Ok(())
}
