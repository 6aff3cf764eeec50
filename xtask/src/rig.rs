//! carstone under measurement: one pack, encrypted to one key, made, read and restored in one folder.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use crate::measure::{Job, Usage};
use crate::process::build_carstone;

/// The command, a key, and a folder that is removed with the value.
pub struct Rig {
    carstone: PathBuf,
    folder: tempfile::TempDir,
    recipient: String,
    compress: String,
    threads: String,
}

impl Rig {
    /// Builds the command, and makes a folder below `base`.
    pub fn new(root: &Path, base: &Path, compress: &str, threads: usize) -> anyhow::Result<Self> {
        let carstone = build_carstone(root)?;
        fs::create_dir_all(base)?;
        let folder = tempfile::Builder::new().prefix("carstone-").tempdir_in(base)?;
        let folder_path = folder.path().canonicalize()?;
        let identity = folder_path.join("identity.txt");
        let keygen = Command::new(&carstone).arg("keygen").arg("-o").arg(&identity).output()?;
        ensure!(keygen.status.success(), "keygen ended with {}", keygen.status);
        let text = fs::read_to_string(identity)?;
        let recipient = text.lines().find_map(|line| line.strip_prefix("# public key: "));
        let recipient = recipient.context("keygen named no public key")?.to_owned();
        let (compress, threads) = (compress.to_owned(), threads.to_string());
        Ok(Self { carstone, folder, recipient, compress, threads })
    }

    /// The tree that is packed; the caller makes it.
    pub fn tree(&self) -> PathBuf {
        self.folder.path().join("tree")
    }

    fn pack(&self) -> PathBuf {
        self.folder.path().join("pack.cstone")
    }

    /// Packs the tree; returns the size of the pack too.
    pub fn create(&self) -> anyhow::Result<(Usage, u64)> {
        let job = Job::new(&self.carstone)
            .args(["create", "-q", "--force", "--compress", &self.compress])
            .args(["--threads", &self.threads, "-r", &self.recipient, "-o"])
            .arg(self.pack())
            .arg(self.tree());
        Ok((job.measure()?, fs::metadata(self.pack())?.len()))
    }

    /// Lists the pack, which must tell so many names at least.
    pub fn list(&self, names: u64) -> anyhow::Result<Usage> {
        let out = self.folder.path().join("stdout");
        let usage = self.reading("list").arg(self.pack()).stdout(&out).measure()?;
        let lines = fs::read(&out)?.iter().filter(|byte| **byte == b'\n').count();
        ensure!(u64::try_from(lines)? >= names, "{lines} of {names} names are listed");
        Ok(usage)
    }

    /// Reads one file, and compares it.
    pub fn cat(&self, file: &Path) -> anyhow::Result<Usage> {
        let out = self.folder.path().join("stdout");
        let usage = self.reading("cat").arg(self.pack()).arg(file).stdout(&out).measure()?;
        let same = fs::read(&out)? == fs::read(self.tree().join(file))?;
        ensure!(same, "{} has other bytes", file.display());
        Ok(usage)
    }

    /// Restores the tree, counts its files and bytes, and removes it.
    pub fn extract(&self) -> anyhow::Result<Usage> {
        let out = self.folder.path().join("out");
        let job = self.reading("extract").args(["-q", "--threads", &self.threads, "-C"]);
        let usage = job.arg(&out).arg(self.pack()).measure()?;
        let (before, after) = (count(&self.tree())?, count(&out)?);
        ensure!(before == after, "files and bytes are {after:?}, were {before:?}");
        fs::remove_dir_all(out)?;
        Ok(usage)
    }

    /// Checks every byte.
    pub fn verify(&self) -> anyhow::Result<Usage> {
        let job = self.reading("verify").args(["-q", "--threads", &self.threads]);
        job.arg(self.pack()).measure()
    }

    fn reading(&self, command: &str) -> Job {
        let identity = self.folder.path().join("identity.txt");
        Job::new(&self.carstone).arg(command).arg(OsStr::new("-i")).arg(identity)
    }

    /// Where it all lies, for titles.
    pub fn place(&self) -> &'static str {
        match self.folder.path().starts_with("/dev/shm") {
            true => "in memory",
            false => "on disk",
        }
    }

    /// Makes room for another tree.
    pub fn clear(&self) -> anyhow::Result<()> {
        fs::remove_dir_all(self.tree())?;
        Ok(fs::remove_file(self.pack())?)
    }
}

/// Files and bytes below a folder.
fn count(folder: &Path) -> anyhow::Result<(u64, u64)> {
    let (mut files, mut bytes) = (0, 0);
    let mut waiting = vec![folder.to_owned()];
    while let Some(current) = waiting.pop() {
        for item in fs::read_dir(current)? {
            let item = item?;
            if item.file_type()?.is_dir() {
                waiting.push(item.path());
            } else {
                files += 1;
                bytes += item.metadata()?.len();
            }
        }
    }
    Ok((files, bytes))
}

/// For tables.
pub fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
