//! `carstone car debug` and `compile`: a CAR as text that can be edited, and back.
//!
//! The text is lines that begin with a word, and JSON between them:
//!
//! ```text
//! # A comment.
//! version 1
//! root bafyrei…
//! block bafyrei…
//! {
//!   "next": {"/": "bafkrei…"}
//! }
//! data bafkrei…
//! "hello"
//! ```
//!
//! What follows `block` is DAG-JSON of a value that the codec of the CID encodes; what follows `data` is the bytes themselves, as text or as
//! `{"/": {"bytes": "…"}}`. In place of a CID a codec may stand: that of a block that is new.

mod parse;
mod relink;
mod value;

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use anyhow::{Context, bail};
use carstone::car::{Cid, FileOptions, ReaderOptions};
use serde_json::Map;

use super::files::{name, streamed};
use super::write::Writing;
use crate::cli::{CarVersion, CompileArgs, OneToOneArgs};
use crate::exit::Exit;
use crate::keys::is_stdin;
use crate::output::Output;
use crate::source::Watched;
use crate::target::Target;
use parse::Text;
use relink::{Compiled, compile as compiled};
use value::Form;

/// The most bytes of a text: it is kept whole in memory, and made for editors.
const MOST: u64 = 256 << 20;

/// Writes a CAR as text.
pub(super) fn debug(
    args: &OneToOneArgs,
    reading: ReaderOptions,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    let mut input = streamed(&args.input.car, reading)?;
    let target = Target::create(&args.out.output, args.out.force, output)?;
    let mut text = BufWriter::with_capacity(64 << 10, target.file());
    let written = |error: io::Error| anyhow::Error::new(error).context("cannot write the output");
    writeln!(text, "version {}", input.car.version()).map_err(written)?;
    for root in input.car.roots() {
        writeln!(text, "root {root}").map_err(written)?;
    }
    let mut data = Vec::new();
    while let Some(section) = input.car.read_block(&mut data).with_context(|| input.name.clone())? {
        let (form, json) = value::to_json(&section.cid, &data);
        let word = match form {
            Form::Value => "block",
            Form::Data => "data",
        };
        write!(text, "\n{word} {}\n{json}\n", section.cid).map_err(written)?;
    }
    text.flush().map_err(written)?;
    drop(text);
    target.finish()?;
    Ok(Exit::Intact)
}

/// Makes a CAR of a text.
pub(super) fn compile(args: &CompileArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let source = name(&args.text);
    let bytes = read(&args.text).with_context(|| source.clone())?;
    let text = Text::parse(&bytes).with_context(|| source.clone())?;
    let options = match (args.car_version, text.version) {
        (Some(CarVersion::V1), _) | (None, 1) => FileOptions::v1(),
        (Some(CarVersion::V2), _) | (None, _) => FileOptions::v2(),
    };
    let Compiled { roots, blocks, changed, left } =
        compiled(text).with_context(|| source.clone())?;
    let mut writing = Writing::create(&args.out, &roots, options, output)?;
    for (cid, data) in &blocks {
        writing.put(cid, data).with_context(|| cid.to_string())?;
    }
    writing.finish()?;
    for (old, new) in &changed {
        tell(*old, *new, output)?;
    }
    for (block, link) in &left {
        let what = format!(
            "block {block} is given as data, so that it links to {link} still, which has changed"
        );
        output.problem(source.as_bytes(), &what)?;
    }
    Ok(Exit::found(!left.is_empty()))
}

fn tell(old: Option<Cid>, new: Cid, output: &mut Output) -> anyhow::Result<()> {
    if output.is_json() {
        let mut fields = Map::from_iter([("cid".to_owned(), new.to_string().into())]);
        if let Some(old) = old {
            fields.insert("was".to_owned(), old.to_string().into());
        }
        return output.object("changed", fields);
    }
    match old {
        Some(old) => output.note(&format!("{old} has become {new}")),
        None => output.note(&format!("new: {new}")),
    }
    Ok(())
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let source: Box<dyn Read> = match is_stdin(path) {
        true => Box::new(io::stdin().lock()),
        false => Box::new(File::open(path).context("cannot open")?),
    };
    let mut bytes = Vec::new();
    Watched(source).take(MOST + 1).read_to_end(&mut bytes).context("cannot read")?;
    if bytes.len() as u64 > MOST {
        bail!("has more than {} MiB, the most that a text may have", MOST >> 20);
    }
    Ok(bytes)
}
