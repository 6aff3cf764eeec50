//! What is tried by the command.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Instant;

use anyhow::{bail, ensure};

use super::server::Server;
use crate::seeded::Random;

/// Puts and gets, by the command.
pub(super) struct Trial<'a> {
    pub(super) server: &'a Server,
    pub(super) carstone: PathBuf,
    pub(super) folder: &'a Path,
}

impl Trial<'_> {
    pub(super) fn run(&self) -> anyhow::Result<u64> {
        self.ok(&["init"])?;
        let mut passed = 0;
        let mut check = |what: &str, holds: bool| {
            ensure!(holds, "{what}: does not hold");
            eprintln!("s3: {what}");
            passed += 1;
            anyhow::Ok(())
        };
        // Of the lengths of parts and packs, and of some around them.
        let mut roots = Vec::new();
        for (seed, len) in [0, 1, 1 << 20, 8_500_000, 30_000_000].into_iter().enumerate() {
            let path = self.folder.join(format!("file-{len}"));
            let content = Random::new(seed as u64).noise(len);
            fs::write(&path, &content)?;
            let told = self.ok(&["put", "--pack-size", "12M", &path.display().to_string()])?;
            let root = String::from_utf8(told.stdout)?.trim().to_owned();
            let got = self.folder.join("got");
            self.ok(&["get", &root, "-o", &got.display().to_string(), "--force"])?;
            check(&format!("{len} bytes come back"), fs::read(&got)? == content)?;
            if len > 1 << 20 {
                let part = self.ok(&["cat", "--range", "1048000-2200000", &root])?.stdout;
                check("so does a range", part == content[1_048_000..=2_200_000])?;
            }
            roots.push(root);
        }
        let again = self.ok(&[
            "put",
            "--pack-size",
            "12M",
            &self.folder.join("file-30000000").display().to_string(),
        ])?;
        let same = String::from_utf8(again.stdout)?.trim() == roots[4];
        check("the same file has the same root", same)?;
        let stats = |trial: &Self| -> anyhow::Result<serde_json::Value> {
            Ok(serde_json::from_slice(&trial.ok(&["--json", "stats"])?.stdout)?)
        };
        let before = stats(self)?;
        check("what is put again is kept once", before["roots"] == 5)?;
        self.ok(&["index", "compact"])?;
        let after = stats(self)?;
        check("segments are put together", after["segments"] == 1)?;
        check("no entry is lost by that", after["entries"] == before["entries"])?;
        for root in &roots {
            let dump = self.folder.join("dump.car");
            self.ok(&["dump", root, "-o", &dump.display().to_string(), "--force"])?;
            let verified =
                Command::new(&self.carstone).args(["car", "verify", "-q"]).arg(&dump).status()?;
            check("a dump is whole", verified.success())?;
        }
        self.published(&roots, &mut check)?;
        let missing =
            self.call(&["cat", "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyka"])?;
        check("what is not there is an error", missing.status.code() == Some(2))?;
        Ok(passed)
    }

    /// Reads the store as the server gives out files: over plain HTTP, without listings, by its catalogue.
    fn published(
        &self,
        roots: &[String],
        check: &mut impl FnMut(&str, bool) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let place = format!("{}/carstone/store", self.server.files());
        let http = |arguments: &[&str]| -> anyhow::Result<Output> {
            Ok(self.store_at(&place).args(arguments).output()?)
        };
        let said = |output: &Output, what: &str| {
            let told = String::from_utf8_lossy(&output.stderr);
            output.status.code() == Some(2) && told.contains(what)
        };
        let refused = http(&["ls"])?;
        check("over HTTP it needs a catalogue", said(&refused, "store publish"))?;
        self.ok(&["publish"])?;
        for arguments in [&["ls"][..], &["--json", "stats"], &["check", "--read-data"]] {
            let (here, there) = (self.ok(arguments)?.stdout, http(arguments)?.stdout);
            check(&format!("over HTTP {arguments:?} says the same"), here == there)?;
        }
        for root in roots {
            for arguments in [&["cat", root][..], &["dump", root], &["find", root]] {
                let (here, there) = (self.ok(arguments)?.stdout, http(arguments)?.stdout);
                check(&format!("so does {arguments:?}"), here == there)?;
            }
        }
        let range = ["cat", "--range", "1048000-2200000", &roots[roots.len() - 1]];
        check("and a range", self.ok(&range)?.stdout == http(&range)?.stdout)?;
        let copy = self.folder.join("copy").display().to_string();
        check("it is copied from there", http(&["copy", &copy])?.status.success())?;
        let whole = self.store_at(&copy).args(["check", "--read-data"]).output()?;
        check("and the copy is whole", whole.status.success())?;
        let refused = http(&["gc"])?;
        check("nothing is written there", said(&refused, "nothing can be written there"))
    }

    /// Kills a put at a moment, again and again, each time of files that are not there yet: what it has printed is there, whole.
    pub(super) fn kill(&self, rounds: u64) -> anyhow::Result<u64> {
        let files = [self.folder.join("first"), self.folder.join("second")];
        let content = |round: u64| Random::new(99 + round).noise(6_000_000);
        let put = || {
            let mut command = self.store();
            command.args(["put", "-q", "--pack-size", "1500K"]).args(&files);
            command.stdout(Stdio::piped()).stderr(Stdio::null());
            command
        };
        let write = |round: u64| -> anyhow::Result<()> {
            let content = content(round);
            fs::write(&files[0], &content)?;
            Ok(fs::write(&files[1], &content[1_000_000..3_500_000])?)
        };
        // How long it takes, since moments of all kinds are wanted.
        write(u64::MAX / 2)?;
        let start = Instant::now();
        ensure!(put().status()?.success(), "a put failed");
        let whole = start.elapsed();
        let (mut known, mut killed) = (Vec::new(), 0);
        for round in 0..rounds {
            write(round)?;
            let mut put = put().spawn()?;
            std::thread::sleep(whole * u32::try_from(round * 7919 % 97)? / 90);
            killed += u64::from(put.try_wait()?.is_none());
            put.kill()?;
            let told = put.wait_with_output()?.stdout;
            let told = String::from_utf8_lossy(&told);
            let roots = told.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
            let parts = [0..6_000_000, 1_000_000..3_500_000];
            for (root, part) in roots.zip(parts) {
                let found = self.ok(&["cat", root])?.stdout;
                ensure!(found == content(round)[part.clone()], "{root} is not what was put");
                known.push((root.to_owned(), round, part));
            }
            let found = self.call(&["--json", "check"])?;
            for line in found.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                let line: serde_json::Value = serde_json::from_slice(line)?;
                let message = line["message"].as_str().unwrap_or("is not in the index");
                ensure!(message.ends_with("is not in the index"), "after a kill: {message}");
            }
        }
        ensure!(killed * 4 > rounds, "only {killed} of {rounds} puts had not ended");
        self.ok(&["index", "rebuild"])?;
        self.ok(&["check", "--read-data"])?;
        for (root, round, part) in &known {
            let found = self.ok(&["cat", root])?.stdout;
            ensure!(found == content(*round)[part.clone()], "{root} is not what was put");
        }
        eprintln!(
            "s3: {rounds} kills, {killed} before the end, lost nothing of {} roots",
            known.len()
        );
        Ok(1)
    }

    fn ok(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        let output = self.call(arguments)?;
        if !output.status.success() {
            bail!("store {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(output)
    }

    fn call(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        Ok(self.store().args(arguments).output()?)
    }

    fn store(&self) -> Command {
        self.store_at("s3://carstone/store")
    }

    fn store_at(&self, place: &str) -> Command {
        let mut command = Command::new(&self.carstone);
        self.server.env(&mut command);
        command.args(["store", "--store", place]);
        command
    }
}
