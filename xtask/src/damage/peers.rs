//! Programs of others, whose archives are damaged in the same way and recovered with what each has for it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

use super::outcome::Outcome;

/// A program of others.
#[derive(Clone, Copy)]
pub enum Peer {
    /// MLA, compressed and encrypted; `clean-truncated`.
    Mlar,
    /// borg, zstd, a repository on disk; `check --repair`.
    Borg,
    /// tar in lzip's members of 1 MiB; `lziprecover`.
    Lzip,
}

impl Peer {
    /// Those that are installed; says which are not.
    pub fn installed(mlar: &Path) -> Vec<Self> {
        let found = |program: &Path, hint: &str| {
            let mut version = Command::new(program);
            let runs = version.arg("--version").output().is_ok();
            if !runs {
                eprintln!("damage: no {} ({hint})", program.display());
            }
            runs
        };
        let all = [
            (Self::Mlar, vec![mlar], "cargo xtask compare installs it"),
            (Self::Borg, vec![Path::new("borg")], "apt-get install borgbackup"),
            (
                Self::Lzip,
                vec![Path::new("lzip"), Path::new("lziprecover")],
                "apt-get install lzip lziprecover",
            ),
        ];
        let there = all
            .into_iter()
            .filter(|(_, programs, hint)| programs.iter().all(|program| found(program, hint)));
        there.map(|(peer, ..)| peer).collect()
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Mlar => "mlar",
            Self::Borg => "borg",
            Self::Lzip => "tar.lz",
        }
    }
}

/// An archive of a peer.
pub struct Archive {
    peer: Peer,
    mlar: PathBuf,
    folder: PathBuf,
    /// The file that is damaged, inside the folder.
    file: PathBuf,
    bytes: Vec<u8>,
}

impl Archive {
    /// Packs `work/tree`.
    pub fn make(peer: Peer, mlar: &Path, work: &Path) -> anyhow::Result<Self> {
        let folder = work.join(peer.name());
        remove(&folder)?;
        fs::create_dir_all(&folder)?;
        let mut archive =
            Self { peer, mlar: mlar.to_owned(), folder, file: PathBuf::new(), bytes: Vec::new() };
        archive.file = match peer {
            Peer::Mlar => {
                run(archive.mlar(work).arg("keygen").arg(archive.folder.join("key")))?;
                let mut create = archive.mlar(work);
                create.args(["create", "--unsigned", "-p"]).arg(archive.folder.join("key.mlapub"));
                run(create.arg("-o").arg(archive.folder.join("pack")).arg("tree"))?;
                archive.folder.join("pack")
            }
            Peer::Borg => {
                run(archive.borg(work, "init").args(["-e", "none"]).arg(archive.repository()))?;
                let mut create = archive.borg(work, "create");
                run(create.args(["-C", "zstd,3"]).arg(archive.location()).arg("tree"))?;
                let pristine = archive.folder.join("pristine");
                fs::rename(archive.repository(), &pristine)?;
                largest(&pristine.join("data/0"))?
            }
            Peer::Lzip => {
                let tar = archive.folder.join("pack.tar");
                run(Command::new("tar").arg("-cf").arg(&tar).arg("-C").arg(work).arg("tree"))?;
                run(Command::new("lzip").args(["-6", "--member-size=1MiB"]).arg(&tar))?;
                archive.folder.join("pack.tar.lz")
            }
        };
        archive.bytes = fs::read(&archive.file)?;
        Ok(archive)
    }

    /// The file that is damaged.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Recovers what is left of damaged bytes, and compares it.
    pub fn recover(&self, damaged: &[u8], tree: &[(PathBuf, Vec<u8>)]) -> anyhow::Result<Outcome> {
        let out = self.folder.join("out");
        remove(&out)?;
        fs::create_dir_all(&out)?;
        match self.peer {
            Peer::Mlar => self.recover_mlar(damaged, &out),
            Peer::Borg => self.recover_borg(damaged, &out),
            Peer::Lzip => self.recover_lzip(damaged, &out),
        }?;
        Ok(Outcome::count(tree, &out.join("tree")))
    }

    fn recover_mlar(&self, damaged: &[u8], out: &Path) -> anyhow::Result<()> {
        let (pack, clean) = (self.folder.join("damaged"), self.folder.join("clean"));
        fs::write(&pack, damaged)?;
        remove(&clean)?;
        let key = |command: &mut Command, pack: &Path| {
            command.arg("--skip-signature-verification").arg("-k");
            command.arg(self.folder.join("key.mlapriv")).arg("-i").arg(pack);
        };
        let mut repair = self.mlar(&self.folder);
        repair.args(["clean-truncated", "--unsigned", "-q", "1", "--out-pub"]);
        repair.arg(self.folder.join("key.mlapub"));
        key(&mut repair, &pack);
        attempt(repair.arg("-o").arg(&clean))?;
        let mut extract = self.mlar(&self.folder);
        key(extract.arg("extract"), &clean);
        attempt(extract.arg("-o").arg(out))
    }

    fn recover_borg(&self, damaged: &[u8], out: &Path) -> anyhow::Result<()> {
        let repository = self.repository();
        remove(&repository)?;
        run(Command::new("cp").arg("-a").arg(self.folder.join("pristine")).arg(&repository))?;
        let segment = self.file.strip_prefix(self.folder.join("pristine"))?;
        fs::write(repository.join(segment), damaged)?;
        let mut check = self.borg(&self.folder, "check");
        attempt(check.arg("--repair").arg(&repository))?;
        attempt(self.borg(out, "extract").arg(self.location()))
    }

    fn recover_lzip(&self, damaged: &[u8], out: &Path) -> anyhow::Result<()> {
        let (pack, fixed) = (self.folder.join("damaged.tar.lz"), self.folder.join("fixed.tar.lz"));
        fs::write(&pack, damaged)?;
        remove(&fixed)?;
        let mut repair = Command::new("lziprecover");
        attempt(repair.arg("--byte-repair").arg("-o").arg(&fixed).arg(&pack))?;
        let source = if fixed.exists() { &fixed } else { &pack };
        let tar = self.folder.join("left.tar");
        let mut left = Command::new("lziprecover");
        left.args(["-q", "-i", "-d", "-c"]).arg(source).stdout(fs::File::create(&tar)?);
        left.stderr(Stdio::null()).status().context("lziprecover does not start")?;
        let mut extract = Command::new("tar");
        attempt(extract.arg("-xif").arg(&tar).arg("-C").arg(out))
    }

    fn mlar(&self, folder: &Path) -> Command {
        let mut command = Command::new(&self.mlar);
        command.current_dir(folder);
        command
    }

    /// A call of borg that asks nothing and keeps everything in the folder.
    fn borg(&self, folder: &Path, command: &str) -> Command {
        let mut call = Command::new("borg");
        call.env("BORG_BASE_DIR", self.folder.join("base"));
        call.env("BORG_CHECK_I_KNOW_WHAT_I_AM_DOING", "YES");
        call.env("BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK", "yes");
        call.env("BORG_RELOCATED_REPO_ACCESS_IS_OK", "yes");
        call.current_dir(folder).arg(command);
        call
    }

    fn repository(&self) -> PathBuf {
        self.folder.join("repository")
    }

    fn location(&self) -> String {
        format!("{}::tree", self.repository().display())
    }
}

/// The largest file of a folder: the segment with the contents.
fn largest(folder: &Path) -> anyhow::Result<PathBuf> {
    let mut best = None;
    for item in fs::read_dir(folder)? {
        let item = item?;
        best = best.max(Some((item.metadata()?.len(), item.path())));
    }
    Ok(best.context("the repository has no segments")?.1)
}

fn remove(path: &Path) -> anyhow::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => Ok(fs::remove_dir_all(path)?),
        Ok(_) => Ok(fs::remove_file(path)?),
        Err(_) => Ok(()),
    }
}

/// Runs what must succeed.
fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("cannot start {command:?}"))?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?} ended with {}: {}", output.status, told.trim());
    Ok(())
}

/// Runs what may fail on damage.
fn attempt(command: &mut Command) -> anyhow::Result<()> {
    let output = command.stdin(Stdio::null()).output();
    output.map(drop).with_context(|| format!("cannot start {command:?}"))
}
