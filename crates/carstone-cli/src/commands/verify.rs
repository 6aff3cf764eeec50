//! `carstone verify`: checks every byte of a pack.

mod car;
mod parity;
mod survey;

use std::fmt;
use std::fs::File;
use std::path::PathBuf;

use anyhow::Context;
use carstone::layer::{Correction, LayerId};
use carstone::stack::{self, Format, StackCheck};
use serde_json::{Map, Value};

use crate::cli::VerifyArgs;
use crate::exit::Exit;
use crate::input::{
    chain, explained, is_damage, is_damage_of_pack, open_strict, options, start_again,
};
use crate::keys::{IDENTITY, Keys, once};
use crate::losses;
use crate::names;
use crate::output::Output;
use crate::progress::Progress;
use crate::signals;
use crate::source::{Bytes, Watched};

/// Checks.
pub(crate) fn run(args: VerifyArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let signed = &args.signed;
    let given = args.keys.identity.iter().chain(&args.keys.passphrase.passphrase_file);
    let given = given.chain(&signed.signer).chain(&signed.signature);
    once(given.map(PathBuf::as_path).chain([args.pack.as_path()]))?;
    let keys = match &args.against {
        Some(_) => Keys::new(&args.keys, &args.pack)?,
        None => Keys::optional(&args.keys, &args.pack)?,
    };
    let source = match parity::opened(&args, output)? {
        Ok(source) => source.accepting(args.reading).spooled()?,
        Err(exit) => return Ok(exit),
    };
    source.tell_kept(output);
    let (name, format, reading) = (source.name.clone(), source.format, source.reading);
    let Bytes::File(file) = source.bytes else { return Ok(Exit::Failed) };
    let signed = super::sign::check(signed, &args.pack, (&name, format, &file), output)?;
    let unsigned = signed == Some(false);
    if let Some(directory) = &args.against {
        let exit =
            super::against::run(file, format, reading, &keys, directory, args.threads, output);
        return match exit.with_context(|| name)? {
            Exit::Intact => Ok(Exit::found(unsigned)),
            exit => Ok(exit),
        };
    }
    let mut findings = Findings { name: &name, output, count: 0 };
    let again = file.try_clone().context("cannot open it again")?;
    let parity_of = file.try_clone().context("cannot open it again")?;
    let checked = match format {
        Format::Car => car::check(file, reading, &mut findings),
        Format::Unknown => {
            findings.add("raw", None, Some(0), &"no container header stands at byte 0")?;
            Ok(Totals::new("damaged", false))
        }
        _ => pack(file, &keys, args.threads, &mut findings),
    };
    let mut totals = checked.with_context(|| name.clone())?;
    if findings.count > 0 && format != Format::Car {
        let front = match totals.is_readable {
            true => start_again(&again, &keys, args.threads)?.map(Some),
            false => Ok(None),
        };
        match front {
            Ok(Some(front)) => {
                let (whole, hit) = survey::survey(front, &mut findings)?;
                totals.fields.insert("whole_entries".to_owned(), whole.into());
                totals.fields.insert("hit_entries".to_owned(), hit.into());
                let text = format!("damaged: {whole} of {} entries are whole", whole + hit);
                findings.output.note(&format!("{}: {text}", names::escaped(name.as_bytes())));
            }
            // Without a key frames are all that can be told of.
            Ok(None) => survey::frames(again, args.threads, &mut findings)?,
            Err(error) if error.is_about_keys() => {
                survey::frames(again, args.threads, &mut findings)?;
            }
            Err(error) => findings.stack(&error)?,
        }
    }
    let by_parity = parity::Job { args: &args, file: &parity_of, format: Some(format) };
    by_parity.run(&mut findings)?;
    let sound = findings.count == 0;
    if output.is_json() {
        let mut fields = totals.fields;
        fields.insert("sound".to_owned(), sound.into());
        if let Some(signed) = signed {
            fields.insert("signed".to_owned(), signed.into());
        }
        output.object("summary", fields)?;
    } else if sound {
        output.line(format!("{}: {}", names::escaped(name.as_bytes()), totals.text).as_bytes())?;
    }
    Ok(Exit::found(!sound || unsigned))
}

/// What was looked at.
struct Totals {
    text: String,
    /// Whether what is left of the content can be looked at.
    is_readable: bool,
    fields: Map<String, Value>,
}

/// Tells what does not hold, a line each.
struct Findings<'a> {
    name: &'a str,
    output: &'a mut Output,
    count: u64,
}

impl Findings<'_> {
    fn add(
        &mut self,
        place: &str,
        path: Option<&[u8]>,
        offset: Option<u64>,
        what: &dyn fmt::Display,
    ) -> anyhow::Result<()> {
        let mut fields = Map::new();
        if let Some(offset) = offset {
            fields.insert("offset".to_owned(), offset.into());
        }
        self.add_with(place, path, fields, what)
    }

    /// The same, with all that programs are told.
    fn add_with(
        &mut self,
        place: &str,
        path: Option<&[u8]>,
        mut fields: Map<String, Value>,
        what: &dyn fmt::Display,
    ) -> anyhow::Result<()> {
        self.count += 1;
        if self.output.is_json() {
            fields.insert("layer".to_owned(), place.into());
            if let Some(path) = path {
                names::put(&mut fields, "path", path);
            }
            fields.insert("message".to_owned(), what.to_string().into());
            return self.output.object("finding", fields);
        }
        self.tell(what)
    }

    /// A line for people about the pack.
    fn tell(&mut self, what: &dyn fmt::Display) -> anyhow::Result<()> {
        let line = format!("{}: {what}", names::escaped(self.name.as_bytes()));
        self.output.line(line.as_bytes())
    }

    /// Bits that were flipped, a line for programs.
    fn correction(&mut self, found: &Correction) -> anyhow::Result<()> {
        match self.output.is_json() {
            true => self.output.object("correction", losses::correction_fields(found)),
            false => Ok(()),
        }
    }

    fn stack(&mut self, error: &stack::Error) -> anyhow::Result<()> {
        let place = match error.kind() {
            stack::ErrorKind::Raw(_) => "raw",
            stack::ErrorKind::Encrypt(_) => "encryption",
            stack::ErrorKind::Compress(_) => "compression",
            stack::ErrorKind::Position(_) => "position",
            _ => "pack",
        };
        self.add(place, None, error.offset(), &chain(error))
    }
}

fn pack(
    file: File,
    keys: &Keys,
    threads: Option<usize>,
    findings: &mut Findings<'_>,
) -> anyhow::Result<Totals> {
    let again = file.try_clone().context("cannot open it again")?;
    let progress = Progress::new(findings.output, "checking frames", None);
    let mut hear = |layer: LayerId, at| {
        if layer == LayerId::COMPRESSION {
            progress.at(at);
        }
    };
    let checked = stack::verify(Watched(file), keys.source(), &options(threads), &mut hear);
    progress.finish();
    signals::check()?;
    let check = match checked {
        Ok(check) => check,
        Err(error) if is_damage(&error) => {
            findings.stack(&error)?;
            return Ok(Totals::new("damaged", false));
        }
        Err(error) => return Err(explained(error)),
    };
    for fault in check.layers.iter().filter_map(|layer| layer.fault.as_ref()) {
        // What a layer cannot read because of the layer below is told by that layer.
        if findings.count == 0 || !is_from_below(fault) {
            findings.stack(fault)?;
        }
    }
    if check.frames_only {
        if let Some(why) = keys.failure() {
            let done = "this is checked as without a key";
            findings
                .output
                .warn(&format!("{IDENTITY} does not open the pack, and {done}: {why}"))?;
        }
        let text = "all frames are sound; without a key (-i FILE or -p) nothing else was checked";
        return Ok(Totals::new(text, true));
    }
    content(again, keys, threads, &check, findings)
}

fn content(
    file: File,
    keys: &Keys,
    threads: Option<usize>,
    check: &StackCheck,
    findings: &mut Findings<'_>,
) -> anyhow::Result<Totals> {
    let pack = match open_strict(file, keys, threads) {
        Ok(pack) => pack,
        // The layers have told it already.
        Err(_) if !check.is_sound() => return Ok(Totals::new("damaged", false)),
        Err(error) => {
            findings.stack(&error)?;
            return Ok(Totals::new("damaged", false));
        }
    };
    let progress = Progress::new(findings.output, "checking blocks", Some(pack.layers.len()));
    let mut failed = None;
    let report = pack.reader.verify(&mut |at| progress.at(at), &mut |finding| {
        let (path, error) = (finding.path.as_deref(), &finding.error);
        let told =
            progress.suspend(|| findings.add("pack", path, Some(error.offset()), &chain(error)));
        if let Err(error) = told {
            failed.get_or_insert(error);
        }
    });
    progress.finish();
    signals::check()?;
    if let Some(error) = failed {
        return Err(error);
    }
    let report = match report {
        Ok(report) => report,
        // What stops the check is damage too, unless the file cannot be read at all.
        Err(error) if !is_damage_of_pack(&error) => return Err(error.into()),
        Err(error) => {
            let known = matches!(error.kind(), carstone::pack::ErrorKind::Io(_));
            if !known || check.is_sound() {
                findings.add("pack", None, Some(error.offset()), &chain(&error))?;
            }
            return Ok(Totals::new("damaged", false));
        }
    };
    let text = format!(
        "intact: {} entries, {} blocks, {} records, {} of content",
        report.entries,
        report.blocks,
        report.records,
        names::human(report.bytes)
    );
    let mut totals = Totals::new(&text, false);
    for (key, value) in [
        ("entries", report.entries),
        ("blocks", report.blocks),
        ("records", report.records),
        ("bytes", report.bytes),
    ] {
        totals.fields.insert(key.to_owned(), value.into());
    }
    Ok(totals)
}

fn is_from_below(error: &stack::Error) -> bool {
    match error.kind() {
        stack::ErrorKind::Compress(error) => {
            matches!(error.kind(), carstone::compress::ErrorKind::Io(_))
        }
        stack::ErrorKind::Position(error) => {
            matches!(error.kind(), carstone::position::ErrorKind::Io(_))
        }
        _ => false,
    }
}

impl Totals {
    fn new(text: &str, frames_only: bool) -> Self {
        let mut fields = Map::new();
        fields.insert("frames_only".to_owned(), frames_only.into());
        Self { text: text.to_owned(), is_readable: !frames_only, fields }
    }
}
