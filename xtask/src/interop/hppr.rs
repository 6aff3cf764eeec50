//! HPPR repositories of carstone judged by the independent implementation, and the other way round.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::checks::Checks;
use super::tools::{Tools, run, text};
use crate::vectors::Python;

/// Runs all checks, in a folder of their own below `work`.
pub fn run_all(tools: &Tools, root: &Path, work: &Path, checks: &mut Checks) -> anyhow::Result<()> {
    let folder = work.join("hppr");
    fs::create_dir_all(&folder)?;
    let python = Python::prepare(root, &root.join("target/vectors"))?;
    let trial = Trial { tools, python, folder };
    trial.ours(checks);
    for (name, flags) in FORMS {
        trial.theirs(name, flags, checks);
    }
    Ok(())
}

/// The forms of a repository that the independent implementation makes.
const FORMS: [(&str, &[&str]); 4] = [
    ("as it is to be", &[]),
    ("with files for links", &["--copied"]),
    ("without own marklines", &["--bare"]),
    ("with neither", &["--copied", "--bare"]),
];

struct Trial<'a> {
    tools: &'a Tools,
    python: Python,
    folder: PathBuf,
}

impl Trial<'_> {
    fn carstone(&self, repo: &Path, arguments: &[&str]) -> Command {
        let mut call = self.tools.carstone("hppr");
        call.arg("--repo").arg(repo).args(arguments);
        call
    }

    /// A packet of data, of which the outermost hash is told.
    fn add(&self, repo: &Path, data: &[u8], arguments: &[&str]) -> anyhow::Result<String> {
        let file = self.folder.join("data");
        fs::write(&file, data)?;
        let told = text(self.carstone(repo, &["add"]).args(arguments).arg(&file))?;
        Ok(told.lines().next().context("no hash is told")?.to_owned())
    }

    fn ours(&self, checks: &mut Checks) {
        let repo = self.folder.join("ours");
        checks.check("the independent walker finds nothing in a repository of carstone", || {
            let hashes = self.make(&repo)?;
            let told = run(self.python.script("check_hppr.py").arg("--json").arg(&repo))?;
            let report: Value = serde_json::from_slice(&told)?;
            let found = strings(&report["packets"])?;
            let missing = hashes.iter().find(|hash| !found.contains(hash.as_str()));
            ensure!(missing.is_none(), "{missing:?} is not found");
            let tips = text(&mut self.carstone(&repo, &["tips"]))?;
            ensure!(tips.lines().count() == COORDINATES, "the tips are {tips}");
            ensure!(report["findings"] == Value::Array(vec![]), "{}", report["findings"]);
            Ok(())
        });
        for (form, flags) in [("stream", &["export"][..]), ("car", &["export", "--car"])] {
            checks.check(&format!("the independent reader reads an export: {form}"), || {
                let out = self.folder.join(form);
                run(self.carstone(&repo, flags).arg("-o").arg(&out))?;
                let told =
                    text(self.python.script("read_hppr.py").args(["--form", form]).arg(&out))?;
                let found: BTreeSet<&str> = told.split_whitespace().collect();
                let again = self.folder.join(format!("{form}-again"));
                run(&mut self.carstone(&again, &["init"]))?;
                let import = if form == "car" { &["import", "--car"][..] } else { &["import"] };
                run(self.carstone(&again, import).arg(&out))?;
                let told = run(self.python.script("check_hppr.py").arg("--json").arg(&again))?;
                let report: Value = serde_json::from_slice(&told)?;
                ensure!(strings(&report["packets"])? == found, "other packets are imported");
                Ok(())
            });
        }
    }

    /// A repository with all that there is; tells the hashes of its packets.
    fn make(&self, repo: &Path) -> anyhow::Result<Vec<String>> {
        run(&mut self.carstone(repo, &["init"]))?;
        let keys = ["one", "two"].map(|name| self.folder.join(name).display().to_string());
        for key in &keys {
            run(&mut self.carstone(repo, &["keygen", "-o", key]))?;
        }
        let extras = ["-H", "+Link: x y", "-H", "é: x: y", "-H", "A: 1", "-H", "A: 2"];
        let utf8 = "//grüppe/app/café/日本#1";
        let mut hashes = vec![
            self.add(repo, b"", &["//g/a/l"])?,
            self.add(repo, b"\0\xff\n", &[&[utf8][..], &extras].concat())?,
            self.add(repo, &[7; 70_000], &["//g/a/l/deeper", "--key", &keys[0]])?,
        ];
        let plex = self.add(repo, b"signed", &["//g/a/signed", "--tai", "1767225637:000000001"])?;
        for key in &keys {
            let told = text(&mut self.carstone(repo, &["seal", "//g/a/signed", "-k", key]))?;
            hashes.push(told.lines().next().context("no hash is told")?.to_owned());
        }
        hashes.push(plex);
        let gone = self.add(repo, b"gone", &["//g/a/gone"])?;
        run(&mut self.carstone(repo, &["detach", &gone]))?;
        hashes.push(gone);
        let blob = self.folder.join("blob");
        let alone = self.folder.join("alone");
        run(self.carstone(&alone, &["init"]).arg("-q"))?;
        let stored = self.add(&alone, b"a Blob alone", &["//g/a/l"])?;
        let whole = run(self.carstone(&alone, &["get"]).arg(format!("////{stored}")))?;
        // The Blob is all that is behind the headers of its Plex.
        let mark = "\u{1f5a7}: B.".as_bytes();
        let at = whole.windows(mark.len()).position(|window| window == mark);
        fs::write(&blob, &whole[at.context("it has no Blob")?..])?;
        let told = text(self.carstone(repo, &["store"]).arg(&blob))?;
        hashes.push(told);
        Ok(hashes)
    }

    fn theirs(&self, name: &str, flags: &[&str], checks: &mut Checks) {
        checks.check(&format!("carstone judges a foreign repository, {name}"), || {
            let repo = self.folder.join(name);
            let told = run(self.python.script("build_hppr.py").arg(&repo).args(flags))?;
            let built: Value = serde_json::from_slice(&told)?;
            run(&mut self.carstone(&repo, &["check"]))?;
            for packet in list(&built["packets"])? {
                self.got(&repo, packet)?;
            }
            let told = text(&mut self.carstone(&repo, &["tips"]))?;
            let mut expected = BTreeSet::new();
            for place in list(&built["coordinates"])? {
                if let Some(tip) = place["tips"]["tip"].as_str() {
                    let coordinate = place["coordinate"].as_str().context("no coordinate")?;
                    expected.insert(format!("{coordinate}/|/{tip}"));
                }
            }
            let found: BTreeSet<String> = told.lines().map(str::to_owned).collect();
            ensure!(found == expected, "tips are {found:?}, not {expected:?}");
            Ok(())
        });
    }

    /// A packet comes by its hash, and by its address unless it is detached.
    fn got(&self, repo: &Path, packet: &Value) -> anyhow::Result<()> {
        let hash = packet["hash"].as_str().context("no hash")?;
        let bytes = run(self.carstone(repo, &["get"]).arg(format!("////{hash}")))?;
        ensure!(Some(bytes.len() as u64) == packet["bytes"].as_u64(), "{hash}: another length");
        let sum = Sha256::digest(&bytes).into_iter().map(|byte| format!("{byte:02x}"));
        ensure!(packet["sha256"] == sum.collect::<String>(), "{hash}: other bytes");
        let Some(urc) = packet["urc"].as_str() else { return Ok(()) };
        let by_address = self.carstone(repo, &["get", urc]).output()?;
        let is_indexed = packet["indexed"] == true;
        ensure!(by_address.status.success() == is_indexed, "{urc}: indexed: {is_indexed}");
        ensure!(!is_indexed || by_address.stdout == bytes, "{urc}: other bytes");
        Ok(())
    }
}

/// Coordinates that have packets in a repository that [`Trial::make`] has made.
const COORDINATES: usize = 4;

fn list(value: &Value) -> anyhow::Result<&Vec<Value>> {
    value.as_array().context("no list")
}

fn strings(value: &Value) -> anyhow::Result<BTreeSet<&str>> {
    list(value)?.iter().map(|item| item.as_str().context("no text")).collect()
}
