//! `carstone hppr`: a repository of signed packets.

mod counted;
mod keys;
mod read;
mod upkeep;
mod watch;
mod write;

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use carstone_hppr::{Hashes, OpenOptions, Repository};
use serde_json::{Map, Value, json};

use self::counted::CountedDisk;
use crate::cli::{HpprArgs, HpprCommand};
use crate::exit::Exit;
use crate::keys::is_stdin;
use crate::output::Output;
use crate::progress::Progress;

/// Does what is asked for.
pub(crate) fn run(args: HpprArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let repo = &args.repo;
    match args.command {
        HpprCommand::Init => {
            let repository = Repository::init(repo)?;
            let told = repository.root().display().to_string();
            if output.is_json() {
                output.object("summary", object(json!({ "repository": told })))?;
            }
            output.note(&format!("{told} is a repository"));
            Ok(Exit::Intact)
        }
        HpprCommand::Store(args) => write::store(&Repository::open(repo)?, &args, output),
        HpprCommand::Add(args) => write::add(&Repository::open(repo)?, args, output),
        HpprCommand::Seal(args) => write::seal(&Repository::open(repo)?, &args, output),
        HpprCommand::Import(args) => write::import(&Repository::open(repo)?, &args, output),
        HpprCommand::Get(args) => read::get(&to_read(repo)?, &args, output),
        HpprCommand::Headers(args) => read::headers(&to_read(repo)?, &args, output),
        HpprCommand::Ls(args) => read::ls(&to_read(repo)?, &args, output),
        HpprCommand::Tips(args) => read::tips(&to_read(repo)?, &args, output),
        HpprCommand::Watch(args) => watch::watch(&to_read(repo)?, &args, output),
        HpprCommand::Export(args) => read::export(&to_read(repo)?, args, output),
        HpprCommand::Detach(args) => upkeep::detach(&Repository::open(repo)?, &args, output),
        HpprCommand::Collect => upkeep::collect(repo, output),
        HpprCommand::Check(args) if args.repair => upkeep::repair(repo, &args, output),
        HpprCommand::Check(args) => upkeep::check(repo, &args, output),
        HpprCommand::Keygen(args) => keys::keygen(&args, output),
        HpprCommand::Id(args) => keys::id(&args, output),
    }
}

/// The repository, of which nothing is changed.
fn to_read(repo: &Path) -> carstone_hppr::Result<Repository> {
    Repository::open_with(repo, OpenOptions::default().read_only(true))
}

/// The repository, and a bar that counts what is read of it.
fn counted(
    repo: &Path,
    read_only: bool,
    what: &'static str,
    output: &Output,
) -> carstone_hppr::Result<(Repository, Progress)> {
    let progress = Progress::new(output, what, None);
    let disk = Arc::new(CountedDisk(progress.clone()));
    let options = OpenOptions::default().read_only(read_only).disk(disk);
    match Repository::open_with(repo, options) {
        Ok(repository) => Ok((repository, progress)),
        Err(error) => {
            progress.finish();
            Err(error)
        }
    }
}

/// A file, or standard input.
fn source(path: &Path) -> anyhow::Result<Box<dyn Read>> {
    if is_stdin(path) {
        return Ok(Box::new(io::stdin()));
    }
    let file = File::open(path).with_context(|| name(path))?;
    Ok(Box::new(BufReader::with_capacity(BUFFER, file)))
}

/// What an input is called.
fn name(path: &Path) -> String {
    if is_stdin(path) { "standard input".to_owned() } else { path.display().to_string() }
}

/// Prints hashes, those of the packet itself first.
fn tell(hashes: &Hashes, output: &mut Output) -> anyhow::Result<()> {
    let hashes: Vec<String> = hashes.iter().map(|hash| hash.to_string()).collect();
    if output.is_json() {
        return output.object("stored", object(json!({ "hashes": hashes })));
    }
    hashes.iter().try_for_each(|hash| output.line(hash.as_bytes()))
}

/// So many of something whose name takes an `s` or `es`.
fn count(number: u64, what: &str) -> String {
    let plural = match number {
        1 => "",
        _ if what.ends_with('x') => "es",
        _ => "s",
    };
    format!("{number} {what}{plural}")
}

/// The fields of an object.
fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        other => Map::from_iter([("value".to_owned(), other)]),
    }
}

const BUFFER: usize = 256 << 10;
