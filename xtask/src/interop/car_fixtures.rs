//! What `carstone car` makes of CARs and indexes of go-car and of the specification, where they lie beside the workspace.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde_json::Value;

use super::checks::Checks;
use super::listing::{Listing, agreed};
use super::tools::{Tools, run, text};

/// Good CARs: name, version, and number of blocks.
const GOOD: [(&str, u64, usize); 6] = [
    ("carv1-basic", 1, 8),
    ("carv2-basic", 2, 5),
    ("sample-v1", 1, 1049),
    ("sample-wrapped-v2", 2, 1049),
    ("sample-v2-indexless", 2, 1049),
    ("simple-unixfs", 1, 22),
];

/// Bad CARs: name, how many blocks come before the fault, and where that is.
const BAD: [(&str, usize, Place); 4] = [
    ("sample-v1-with-zero-len-section", 1049, Place::At(479_907)),
    ("sample-v1-tailing-corrupt-section", 1048, Place::End),
    ("sample-v2-corrupt-data-and-index", 0, Place::At(11)),
    ("sample-corrupt-pragma", 0, Place::End),
];

#[derive(Clone, Copy)]
enum Place {
    At(u64),
    End,
}

/// Runs all checks.
pub fn run_all(tools: &Tools, root: &Path, work: &Path, checks: &mut Checks) {
    let folder = root.join("../shared/fixtures/car");
    if !folder.is_dir() {
        checks.skip("carstone car on fixtures", "they are not here");
        return;
    }
    let fixtures = Fixtures { tools, folder, out: work.join("fixture.out") };
    for (name, version, blocks) in GOOD {
        checks.check(&format!("@ipld/car and carstone car agree on a fixture: {name}"), || {
            let listing = agreed(tools, &fixtures.car(name), version)?;
            ensure!(listing.blocks.len() == blocks, "{} blocks", listing.blocks.len());
            Ok(())
        });
    }
    for name in ["carv1-basic", "carv2-basic"] {
        checks.check(&format!("the specification's description is right: {name}"), || {
            fixtures.described(name)
        });
    }
    for (name, blocks, place) in BAD {
        checks
            .check(&format!("carstone car blocks tells what is wrong, and where: {name}"), || {
                fixtures.refused(name, blocks, place)
            });
    }
    checks.check("a section of length zero ends a CAR where that is accepted", || {
        let car = fixtures.car("sample-v1-with-zero-len-section");
        let accept = ["--accept", "zero-section"];
        let found = Listing::ours(tools, &car, &accept)?;
        let verified = text(tools.car("blocks").args(accept).arg(&car))?;
        ensure!(verified.lines().eq(found.cids()), "`carstone car blocks` prints other CIDs");
        ensure!(found.blocks.len() == 1049, "{} blocks", found.blocks.len());
        Ok(())
    });
    fixtures.indexes(checks);
}

struct Fixtures<'a> {
    tools: &'a Tools,
    folder: PathBuf,
    out: PathBuf,
}

impl Fixtures<'_> {
    fn car(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.car"))
    }

    fn described(&self, name: &str) -> anyhow::Result<()> {
        let told = fs::read(self.folder.join(format!("{name}.json")))?;
        let told: Value = serde_json::from_slice(&told)?;
        let blocks = told["blocks"].as_array().context("no blocks")?;
        let listed = run(self.tools.car("list").arg("--json").arg(self.car(name)))?;
        let listed = serde_json::Deserializer::from_slice(&listed).into_iter::<Value>();
        let listed = listed.collect::<Result<Vec<_>, _>>()?;
        ensure!(listed.len() == blocks.len(), "{} blocks", listed.len());
        for (found, right) in listed.iter().zip(blocks) {
            let same = found["cid"] == right["cid"]["/"]
                && found["offset"] == right["offset"]
                && found["data_offset"] == right["blockOffset"]
                && found["data_size"] == right["blockLength"];
            ensure!(same, "{found} is not {right}");
        }
        Ok(())
    }

    fn refused(&self, name: &str, blocks: usize, place: Place) -> anyhow::Result<()> {
        let car = self.car(name);
        let output = self.tools.car("blocks").arg(&car).output()?;
        let told = String::from_utf8(output.stderr)?;
        ensure!(matches!(output.status.code(), Some(1 | 2)), "it ended with {}", output.status);
        let at = match place {
            Place::At(at) => at,
            Place::End => fs::metadata(&car)?.len(),
        };
        ensure!(told.contains(&format!("at byte {at}")), "byte {at} is not in: {told}");
        let before = String::from_utf8(output.stdout)?.lines().count();
        ensure!(before == blocks, "{before} blocks come before it");
        Ok(())
    }

    fn indexes(&self, checks: &mut Checks) {
        for (name, entries) in [("sample-index", 1049), ("sample-multihash-index-sorted", 1043)] {
            checks.check(&format!("an index of go-car is listed: {name}"), || {
                let listed = self.entries(&self.folder.join(format!("{name}.carindex")))?;
                ensure!(listed.lines().count() == entries, "{} entries", listed.lines().count());
                Ok(())
            });
        }
        let by_hash = self.folder.join("sample-multihash-index-sorted.carindex");
        checks.check("index create gives the bytes of go-car's index by hash", || {
            self.made("index", &["create", "-c", "car-multihash-index-sorted"], "sample-v1")?;
            ensure!(fs::read(&self.out)? == fs::read(&by_hash)?, "it has other bytes");
            Ok(())
        });
        checks.check("index create gives go-car's index by digest, without blocks in CIDs", || {
            self.made("index", &["create", "-c", "car-index-sorted"], "sample-v1")?;
            let right = self.entries(&self.folder.join("sample-index.carindex"))?;
            // Blocks in CIDs have no entries by default. All others here have hashes of 32 bytes.
            let right = right.lines().filter(|line| line.find(' ') == Some(64));
            ensure!(self.entries(&self.out)?.lines().eq(right), "it has other entries");
            Ok(())
        });
        checks.check("detach-index gives the index that go-car put into a CARv2", || {
            self.made("detach-index", &[], "sample-wrapped-v2")?;
            ensure!(self.entries(&self.out)? == self.entries(&by_hash)?, "it has other entries");
            ensure!(fs::read(&self.out)? == fs::read(&by_hash)?, "it has other bytes");
            Ok(())
        });
        checks.check("unwrap gives the CARv1 that go-car wrapped", || {
            self.made("unwrap", &[], "sample-wrapped-v2")?;
            ensure!(fs::read(&self.out)? == fs::read(self.car("sample-v1"))?, "it has other bytes");
            Ok(())
        });
        checks.check("wrap gives the bytes that go-car wrote", || {
            self.made("wrap", &[], "sample-v1")?;
            let right = fs::read(self.car("sample-wrapped-v2"))?;
            ensure!(fs::read(&self.out)? == right, "it has other bytes");
            Ok(())
        });
    }

    /// Calls `carstone car` on a fixture.
    fn made(&self, command: &str, arguments: &[&str], name: &str) -> anyhow::Result<()> {
        let mut call = self.tools.car(command);
        call.args(arguments).args(["-q", "--force", "-o"]).arg(&self.out);
        run(call.arg(self.car(name))).map(drop)
    }

    /// The entries of an index, a line each.
    fn entries(&self, index: &Path) -> anyhow::Result<String> {
        text(self.tools.car("detach-index").arg("list").arg(index))
    }
}
