//! The programs that are compared, and how each is asked to do the same.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

use crate::measure::Job;
use crate::process::cargo;

/// The programs, in the order in which they take turns.
pub const PROGRAMS: [Program; 6] = [
    Program::Carstone("brotli:5"),
    Program::Mlar,
    Program::Carstone("zstd:3"),
    Program::Tar,
    Program::Restic,
    Program::Borg,
];

/// What is measured.
pub const OPERATIONS: [Operation; 6] = [
    Operation::Create,
    Operation::List,
    Operation::Extract,
    Operation::Cat,
    Operation::Verify,
    Operation::Repair,
];

/// A program with its settings.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// carstone with a codec, encrypted to one age recipient.
    Carstone(&'static str),
    /// MLA, encrypted, not signed, brotli 5.
    Mlar,
    /// tar, zstd 3 with two threads, age.
    Tar,
    Restic,
    /// borg, repokey, zstd 3.
    Borg,
}

/// What a program does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Create,
    List,
    Extract,
    Cat,
    Verify,
    /// Goes through a sound pack as through a damaged one, and writes what it finds.
    Repair,
}

impl Operation {
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::List => "list",
            Self::Extract => "extract",
            Self::Cat => "cat",
            Self::Verify => "verify",
            Self::Repair => "repair",
        }
    }
}

impl Program {
    pub fn name(self) -> &'static str {
        match self {
            Self::Carstone("brotli:5") => "carstone brotli:5",
            Self::Carstone(_) => "carstone zstd:3",
            Self::Mlar => "mlar",
            Self::Tar => "tar|zstd|age",
            Self::Restic => "restic",
            Self::Borg => "borg",
        }
    }

    /// The name of its folder.
    fn folder_name(self) -> String {
        self.name().replace([' ', ':', '|'], "-")
    }

    /// Whether it keeps modes and times to the nanosecond, which is then compared.
    pub fn keeps_metadata(self) -> bool {
        !matches!(self, Self::Mlar | Self::Tar)
    }

    /// The command that tells its version, for each program that must be there.
    fn needs(self) -> &'static [[&'static str; 2]] {
        match self {
            Self::Carstone(_) | Self::Mlar => &[],
            Self::Tar => &[["tar", "--version"], ["zstd", "--version"], ["age", "--version"]],
            Self::Restic => &[["restic", "version"]],
            Self::Borg => &[["borg", "--version"]],
        }
    }

    /// The versions of what it is made of, or the name of what is missing.
    pub fn versions(self, place: &Place) -> Result<String, String> {
        let first_line = |program: &str, argument: &str| -> Option<String> {
            let output = Command::new(program).arg(argument).stderr(Stdio::null()).output().ok()?;
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            Some(text.lines().next().unwrap_or_default().trim_matches(['*', ' ']).to_owned())
        };
        let own = match self {
            Self::Carstone(_) => Some(&place.carstone),
            Self::Mlar => Some(&place.mlar),
            _ => None,
        };
        if let Some(program) = own {
            return first_line(&program.to_string_lossy(), "--version")
                .ok_or_else(|| format!("{} does not run", program.display()));
        }
        let lines = self.needs().iter().map(|[program, argument]| {
            let line = first_line(program, argument);
            let line = line.ok_or_else(|| format!("{program} is not installed"))?;
            Ok(if line.contains(program) { line } else { format!("{program} {line}") })
        });
        Ok(lines.collect::<Result<Vec<_>, String>>()?.join(", "))
    }
}

/// Where everything is.
pub struct Place {
    pub carstone: PathBuf,
    pub mlar: PathBuf,
    /// The folder that is packed.
    pub tree: PathBuf,
    /// A file in it, relative.
    pub file: PathBuf,
    /// A folder in memory for keys and output.
    pub work: PathBuf,
    /// The age recipient.
    pub recipient: String,
}

impl Place {
    /// Makes the keys of all programs.
    pub fn make_keys(&mut self) -> anyhow::Result<()> {
        let output = Command::new(&self.carstone).arg("keygen").output()?;
        let text = String::from_utf8(output.stdout)?;
        let recipient = text.lines().find_map(|line| line.strip_prefix("# public key: "));
        recipient.context("keygen printed no public key")?.clone_into(&mut self.recipient);
        fs::write(self.identity(), text)?;
        let keys = Command::new(&self.mlar).arg("keygen").arg(self.work.join("mla")).output()?;
        ensure!(keys.status.success(), "mlar keygen: {}", String::from_utf8_lossy(&keys.stderr));
        Ok(())
    }

    fn identity(&self) -> PathBuf {
        self.work.join("identity.txt")
    }

    /// The folder in which a program's pack or repository lies.
    pub fn store(&self, program: Program) -> PathBuf {
        self.work.join(program.folder_name())
    }

    fn pack(&self, program: Program) -> PathBuf {
        self.store(program).join("pack")
    }

    /// The folder into which a program extracts.
    pub fn out(&self) -> PathBuf {
        self.work.join("out")
    }

    /// What `repair` writes.
    pub fn repaired(&self) -> PathBuf {
        self.work.join("repaired")
    }

    /// The file to which `list` and `cat` write.
    pub fn stdout(&self) -> PathBuf {
        self.work.join("stdout")
    }

    /// Where the packed tree stands in what a program extracted.
    pub fn extracted(&self, program: Program) -> PathBuf {
        match program {
            Program::Carstone(_) => self.out(),
            _ => self.out().join(self.tree_name()),
        }
    }

    fn tree_name(&self) -> PathBuf {
        self.tree.file_name().unwrap_or_default().into()
    }

    fn tree_parent(&self) -> &Path {
        self.tree.parent().unwrap_or(&self.tree)
    }

    /// The file as programs name it that keep the name of the tree.
    fn inner_file(&self) -> PathBuf {
        self.tree_name().join(&self.file)
    }

    /// What has to be done before `create`, not measured.
    pub fn before_create(&self, program: Program) -> anyhow::Result<Option<Job>> {
        let store = self.store(program);
        if store.exists() {
            fs::remove_dir_all(&store)?;
        }
        fs::create_dir_all(&store)?;
        Ok(match program {
            Program::Restic => Some(self.restic().args(["init"])),
            Program::Borg => {
                Some(self.borg().args(["init", "-e", "repokey"]).arg(self.pack(program)))
            }
            _ => None,
        })
    }

    /// The command; none where a program has no such operation.
    pub fn job(&self, program: Program, operation: Operation) -> Option<Job> {
        let job = match program {
            Program::Carstone(codec) => self.carstone_job(program, operation, codec),
            Program::Mlar => self.mlar_job(operation)?,
            Program::Tar => self.tar_job(operation)?,
            Program::Restic => self.restic_job(operation)?,
            Program::Borg => self.borg_job(operation)?,
        };
        let prints = matches!(operation, Operation::List | Operation::Cat);
        Some(if prints { job.stdout(&self.stdout()) } else { job })
    }

    fn carstone_job(&self, program: Program, operation: Operation, codec: &str) -> Job {
        let pack = self.pack(program);
        let job = Job::new(&self.carstone).arg(operation.name());
        let keyed = |job: Job| job.arg("-i").arg(self.identity()).arg(&pack);
        match operation {
            Operation::Create => job
                .args(["-q", "--compress", codec, "-r", &self.recipient, "-o"])
                .arg(&pack)
                .arg(&self.tree),
            Operation::List => keyed(job),
            Operation::Extract => keyed(job.arg("-q")).arg("-C").arg(self.out()),
            Operation::Cat => keyed(job).arg(&self.file),
            Operation::Verify => keyed(job.arg("-q")),
            Operation::Repair => job.arg("-q").arg(&pack).arg("-o").arg(self.repaired()),
        }
    }

    fn mlar_job(&self, operation: Operation) -> Option<Job> {
        let pack = self.pack(Program::Mlar);
        let read = |name: &str| {
            Job::new(&self.mlar)
                .arg(name)
                .arg("-k")
                .arg(self.work.join("mla.mlapriv"))
                .arg("--skip-signature-verification")
                .arg("-i")
                .arg(&pack)
        };
        Some(match operation {
            Operation::Create => Job::new(&self.mlar)
                .args(["create", "--unsigned", "-q", "5", "-p"])
                .arg(self.work.join("mla.mlapub"))
                .arg("-o")
                .arg(&pack)
                .arg(self.tree_name())
                .folder(self.tree_parent()),
            Operation::List => read("list"),
            Operation::Extract => read("extract").arg("-o").arg(self.out()),
            Operation::Cat => read("cat").arg(self.inner_file()),
            Operation::Verify => return None,
            Operation::Repair => read("clean-truncated")
                .args(["--unsigned", "-q", "5", "--out-pub"])
                .arg(self.work.join("mla.mlapub"))
                .arg("-o")
                .arg(self.repaired()),
        })
    }

    fn tar_job(&self, operation: Operation) -> Option<Job> {
        let pack = self.pack(Program::Tar);
        let read = |end: &str| {
            Job::pipeline(&format!(r#"age -d -i "$1" "$2" | zstd -dcq | {end}"#))
                .arg(self.identity())
                .arg(&pack)
        };
        Some(match operation {
            Operation::Create => {
                let script = r#"tar -cf - -C "$1" "$2" | zstd -3 -T2 -cq | age -r "$3" -o "$4""#;
                Job::pipeline(script)
                    .arg(self.tree_parent())
                    .arg(self.tree_name())
                    .arg(&self.recipient)
                    .arg(&pack)
            }
            Operation::List => read("tar -tf -"),
            Operation::Extract => read(r#"tar -xpf - -C "$3""#).arg(self.out()),
            Operation::Cat => read(r#"tar -xOf - "$3""#).arg(self.inner_file()),
            Operation::Verify => read("cat >/dev/null"),
            Operation::Repair => return None,
        })
    }

    fn restic(&self) -> Job {
        Job::new("restic")
            .env("RESTIC_PASSWORD", "a password")
            .arg("-q")
            .arg("--cache-dir")
            .arg(self.store(Program::Restic).join("cache"))
            .arg("-r")
            .arg(self.pack(Program::Restic))
    }

    fn restic_job(&self, operation: Operation) -> Option<Job> {
        let job = self.restic();
        let inside = Path::new("/").join(self.inner_file());
        Some(match operation {
            Operation::Create => job.arg("backup").arg(self.tree_name()).folder(self.tree_parent()),
            Operation::List => job.args(["ls", "latest"]),
            Operation::Extract => job.args(["restore", "latest", "--target"]).arg(self.out()),
            Operation::Cat => job.args(["dump", "latest"]).arg(inside),
            Operation::Verify => job.args(["check", "--read-data"]),
            Operation::Repair => return None,
        })
    }

    fn borg(&self) -> Job {
        Job::new("borg")
            .env("BORG_PASSPHRASE", "a password")
            .env("BORG_BASE_DIR", self.store(Program::Borg).join("base"))
    }

    fn borg_job(&self, operation: Operation) -> Option<Job> {
        let repository = self.pack(Program::Borg);
        let mut archive = repository.clone().into_os_string();
        archive.push("::one");
        let job = self.borg();
        Some(match operation {
            Operation::Create => job
                .args(["create", "-C", "zstd,3"])
                .arg(archive)
                .arg(self.tree_name())
                .folder(self.tree_parent()),
            Operation::List => job.args(["list", "--short"]).arg(archive),
            Operation::Extract => job.arg("extract").arg(archive).folder(&self.out()),
            Operation::Cat => job.args(["extract", "--stdout"]).arg(archive).arg(self.inner_file()),
            Operation::Verify => job.args(["check", "--verify-data"]).arg(repository),
            Operation::Repair => return None,
        })
    }
}

/// Installs mlar below `target/peers` unless it is there; returns its path.
pub fn mlar(root: &Path) -> anyhow::Result<PathBuf> {
    let folder = root.join("target/peers");
    let program = folder.join("bin/mlar");
    if !program.is_file() {
        eprintln!("compare: installing mlar");
        cargo(root)
            .args(["install", "--quiet", "--locked", "mlar", "--version", "~2.1", "--root"])
            .args([&folder])
            .run()?;
    }
    Ok(program)
}
