//! `carstone protect`: makes parity of files, beside them.

use std::fs::{self, File, Metadata, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::SystemTime;

use anyhow::{Context, bail};
use carstone::pack::fs::FileId;
use carstone::parity::{ErrorKind, Options, Parity};
use serde_json::{Map, Value};

use crate::below::Below;
use crate::cli::ProtectArgs;
use crate::exit::Exit;
use crate::keys::is_stdin;
use crate::names::{self, counted, escaped, human};
use crate::output::Output;
use crate::parity::{Made, beside, is_left_over, is_parity, percent, put, threads};
use crate::progress::Progress;
use crate::signals;
use crate::source::{Watched, any_file};
use crate::target::Target;

/// Protects.
pub(crate) fn run(args: ProtectArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let options = Options::default()
        .with_share(args.parity.unwrap_or_default())
        .with_threads(threads(args.threads));
    if let Some(path) = &args.output {
        let [file] = &args.files[..] else {
            bail!("-o is for one file: the parity of each of several goes beside it");
        };
        if file.is_dir() {
            bail!("{}: is a directory, and -o is for one file", file.display());
        }
        return one(file, path, &args, &options, output);
    }
    if args.files.iter().any(|path| is_stdin(path)) {
        bail!("standard input has no file beside it: give `-o FILE.par`");
    }
    let mut job = Job { args: &args, options, output, done: Done::default() };
    for path in &args.files {
        job.named(path)?;
    }
    job.finish()
}

/// One file, whose parity goes there.
fn one(
    path: &Path,
    to: &Path,
    args: &ProtectArgs,
    options: &Options,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    let (file, name) = any_file(path)?;
    let target = Target::create(to, args.force, output)?;
    if target.identities().contains(&FileId::of(&file).with_context(|| name.clone())?) {
        bail!("{name}: is the file itself; its parity is a file of its own");
    }
    let made = protected(&file, &target, options, output).with_context(|| name.clone())?;
    target.finish()?;
    Made { path: Some(to.to_owned()), ..made }.tell(&name, output)?;
    Ok(Exit::Intact)
}

/// Makes the parity of a file that must not change meanwhile.
fn protected(
    file: &File,
    target: &Target,
    options: &Options,
    output: &Output,
) -> anyhow::Result<Made> {
    let before = state_of(file)?;
    let made = put(&Watched(file), target, options, output)?;
    // Of a small file parity holds all there is to see.
    let mode = file.metadata().context("cannot look at it")?.permissions().mode() & 0o666;
    if target.is_seekable() {
        let parity = target.file();
        parity.set_permissions(Permissions::from_mode(mode)).context("cannot set its mode")?;
    }
    match state_of(file)? == before {
        true => Ok(made),
        false => bail!("changed while it was read; no parity was made of it"),
    }
}

/// What changes with the content of a file.
fn state_of(file: &File) -> anyhow::Result<(u64, Option<SystemTime>)> {
    let metadata = file.metadata().context("cannot look at it")?;
    Ok((metadata.len(), metadata.modified().ok()))
}

impl Made {
    /// Tells of it, as parity of the file `name`.
    fn tell(&self, name: &str, output: &mut Output) -> anyhow::Result<()> {
        if output.is_json() {
            let mut fields = Map::new();
            names::put(&mut fields, "path", name.as_bytes());
            fields.insert("protected".to_owned(), self.of.into());
            fields.extend(self.fields());
            return output.object("protected", fields);
        }
        output.told(&format!("{}: {}", escaped(name.as_bytes()), self.text()))
    }
}

/// Files, and what came of them.
struct Job<'a> {
    args: &'a ProtectArgs,
    options: Options,
    output: &'a mut Output,
    done: Done,
}

#[derive(Default)]
struct Done {
    files: u64,
    skipped: u64,
    /// Parity, and what commands left behind.
    passed: u64,
    bytes: u64,
    added: u64,
}

/// What there is already for a file.
enum Existing {
    /// Nothing.
    Nothing,
    /// Parity that fits, with a share in hundredths of a percent.
    Fits(u32),
    /// Parity that fits, and is damaged.
    Damaged,
    /// Something else, and why it is kept.
    Kept(String),
}

impl Job<'_> {
    /// A file or directory that was named.
    fn named(&mut self, path: &Path) -> anyhow::Result<()> {
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => self.directory(path),
            Ok(metadata) => self.file(path, &metadata),
            Err(error) => self.problem(path, &format!("cannot open: {error}")),
        }
    }

    fn directory(&mut self, path: &Path) -> anyhow::Result<()> {
        for file in Below::of(path) {
            signals::check()?;
            match file {
                Ok((path, _)) if is_parity(&path) || is_left_over(&path) => self.done.passed += 1,
                Ok((path, metadata)) => self.file(&path, &metadata)?,
                Err((path, why)) => self.problem(&path, &why)?,
            }
        }
        Ok(())
    }

    /// A file; what is wrong with it stops nothing but itself.
    fn file(&mut self, path: &Path, metadata: &Metadata) -> anyhow::Result<()> {
        if !metadata.is_file() {
            return self.problem(path, &"is no regular file: give it alone, with -o FILE.par");
        }
        match self.try_file(path) {
            Ok(()) => Ok(()),
            Err(error) => {
                signals::check()?;
                self.problem(path, &format!("{error:#}"))
            }
        }
    }

    fn try_file(&mut self, path: &Path) -> anyhow::Result<()> {
        let file = File::open(path).context("cannot open")?;
        let sidecar = beside(path);
        // Whoever opens a pipe waits for somebody at its other end.
        if fs::metadata(&sidecar).is_ok_and(|metadata| !metadata.is_file()) {
            bail!("{}: is there already, and no regular file", sidecar.display());
        }
        let existing = match self.args.force {
            true => Existing::Nothing,
            false => self.existing(&file, &sidecar)?,
        };
        let force = match existing {
            Existing::Fits(share) => {
                return self.skip(path, &sidecar, share);
            }
            Existing::Kept(why) => bail!("{why}"),
            Existing::Damaged => true,
            Existing::Nothing => self.args.force,
        };
        let target = Target::create(&sidecar, force, self.output)?;
        let name = path.display().to_string();
        let made = protected(&file, &target, &self.options, self.output)?;
        target.finish()?;
        let made = Made { path: Some(sidecar), ..made };
        self.done.files += 1;
        self.done.bytes += made.of;
        self.done.added += made.bytes;
        made.tell(&name, self.output)
    }

    /// Looks at what stands beside a file.
    fn existing(&self, file: &File, sidecar: &Path) -> anyhow::Result<Existing> {
        if sidecar.symlink_metadata().is_err() {
            return Ok(Existing::Nothing);
        }
        let shown = sidecar.display();
        let kept = |what: &str| Ok(Existing::Kept(format!("{shown}: {what}; --force replaces it")));
        let opened = File::open(sidecar).with_context(|| format!("{shown}: cannot open"))?;
        let parity = match Parity::open(Watched(opened), self.options.threads) {
            Ok(parity) => parity,
            Err(error) if matches!(error.kind(), ErrorKind::Io(_)) => {
                return Err(error).with_context(|| shown.to_string());
            }
            Err(_) => return kept("is there already, and no parity"),
        };
        let progress = Progress::new(
            self.output,
            "comparing with the parity",
            file.metadata().ok().map(|m| m.len()),
        );
        let fits = parity.descriptor().fits(&Watched(file), &|n| progress.add(n));
        progress.finish();
        match fits? {
            true if parity.is_sound() => {
                Ok(Existing::Fits(parity.descriptor().layout().share().hundredths()))
            }
            true => Ok(Existing::Damaged),
            false => kept(
                "is parity of another state of it: it was changed, or is damaged, and `carstone repair` may heal it",
            ),
        }
    }

    fn skip(&mut self, path: &Path, sidecar: &Path, share: u32) -> anyhow::Result<()> {
        self.done.skipped += 1;
        if self.output.is_json() {
            let mut fields = Map::new();
            names::put(&mut fields, "path", path.as_os_str().as_bytes());
            names::put(&mut fields, "file", sidecar.as_os_str().as_bytes());
            fields.insert("share".to_owned(), (f64::from(share) / 100.0).into());
            fields.insert("reason".to_owned(), "it is protected already".into());
            return self.output.object("skipped", fields);
        }
        let name = escaped(path.as_os_str().as_bytes()).into_owned();
        let share = f64::from(share) / 100.0;
        self.output.told(&format!("{name}: skipped, it is protected already, with {share} %"))
    }

    fn problem(&mut self, path: &Path, what: &dyn std::fmt::Display) -> anyhow::Result<()> {
        self.output.problem(path.as_os_str().as_bytes(), what)
    }

    fn finish(self) -> anyhow::Result<Exit> {
        let Done { files, skipped, passed, bytes, added } = self.done;
        let problems = self.output.problems();
        if self.output.is_json() {
            let mut fields = Map::new();
            for (key, value) in [
                ("files", files),
                ("skipped", skipped),
                ("passed", passed),
                ("bytes", bytes),
                ("parity_bytes", added),
                ("problems", problems),
            ] {
                fields.insert(key.to_owned(), Value::from(value));
            }
            self.output.object("summary", fields)?;
        } else if files + skipped + problems != 1 {
            let percent = percent(added, bytes);
            let passed = match passed {
                0 => String::new(),
                n => format!("; {n} passed over, parity and what commands left behind"),
            };
            self.output.note(&format!(
                "{} protected, {} by {} ({percent:.2} %); {skipped} skipped{passed}",
                counted(files, "file"),
                human(bytes),
                human(added),
            ));
        }
        // With nothing but problems nothing was done.
        Ok(match (problems, files + skipped) {
            (0, _) => Exit::Intact,
            (_, 0) => Exit::Failed,
            _ => Exit::Found,
        })
    }
}
