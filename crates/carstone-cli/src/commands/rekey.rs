//! `carstone rekey`: an encrypted pack for other readers.

use std::fs::File;
use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use carstone::keys::Recipients;
use carstone::pack::fs::FileId;
use carstone::stack::{self, ErrorKind, Format, Rekey};
use serde_json::json;

use crate::cli::RekeyArgs;
use crate::early::early;
use crate::exit::Exit;
use crate::input::{chain, explained, is_damage, no_key_given, options};
use crate::keys::{Keys, new_recipients, once};
use crate::losses::object;
use crate::names::{counted, hex, human};
use crate::output::Output;
use crate::parity::note_older;
use crate::progress::Progress;
use crate::signals;
use crate::source::{Bytes, Source, Watched};
use crate::target::{self, Counted, Target};

/// Copies the pack under a new envelope, or packs it anew.
pub(crate) fn run(args: RekeyArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let from_stdin = args.readers.recipients_file.iter().chain(&args.old.identity);
    let passphrases = [&args.readers.passphrase.passphrase_file, &args.old.old_passphrase_file];
    let from_stdin = from_stdin.chain(passphrases.into_iter().flatten());
    once(from_stdin.chain([&args.pack]).map(AsRef::as_ref))?;
    if !args.readers.encrypts() {
        bail!("nobody could read the new pack: name all its readers with -r, -R or -p");
    }
    let keys = Keys::old(&args.old.key_args(), &args.pack)?;
    let source = Source::open(&args.pack)?.spooled()?;
    let name = source.name.clone();
    if source.format != Format::Pack {
        bail!("{name}: only a sound pack that is encrypted can be given to other readers");
    }
    let Bytes::File(file) = source.bytes else { return Ok(Exit::Failed) };
    let id = FileId::of(&file).with_context(|| name.clone())?;
    let opened = Rekey::open(Arc::new(Watched(file)), keys.source(), &options(args.threads));
    signals::check()?;
    let rekey = opened.map_err(refused).with_context(|| name.clone())?;
    // The old passphrase comes before the new one, as everywhere.
    let recipients = new_recipients(&args.readers)?;
    let target = Target::create(&args.output, args.force, output)?;
    // A file gets its name when all is read; what is written to in place would change while it is read.
    if !target.is_seekable() && target.identities().contains(&id) {
        bail!("{name}: is the pack itself; write to another file");
    }
    let to = target::name(&args.output);
    let job = Job { name: &name, to: &to, recipients: &recipients, rekey: &rekey };
    let exit = match args.fresh {
        true => job.fresh(target, output),
        false => job.copy(target, output),
    }?;
    note_older(&args.output, output);
    Ok(exit)
}

/// A pack, and who is to read it.
struct Job<'a> {
    name: &'a str,
    to: &'a str,
    recipients: &'a Recipients,
    rekey: &'a Rekey<Watched<File>>,
}

impl Job<'_> {
    fn copy(&self, target: Target, output: &mut Output) -> anyhow::Result<Exit> {
        let progress = Progress::new(output, "copying", Some(self.rekey.stored_len()));
        let written = early(&target, |sink| {
            let written = self.rekey.write(sink, self.recipients, &mut |at| progress.at(at));
            written.map(|(_, pack)| pack)
        });
        progress.finish();
        signals::check()?;
        let written = written.with_context(|| format!("{}: cannot write", self.to))?;
        let pack = written.map_err(|error| self.explain(error))?;
        target.finish()?;
        let kinds: Vec<String> = pack.recipients.iter().map(ToString::to_string).collect();
        if output.is_json() {
            let fields = json!({
                "fresh": false,
                "pack_id": hex(self.rekey.pack_id().as_bytes()),
                "recipients": kinds,
                "stored": pack.stored_len,
                "frames": pack.frames,
                "appendices_dropped": self.rekey.appendices().len(),
                "content_key_kept": true,
            });
            output.object("summary", object(fields))?;
            return Ok(Exit::Intact);
        }
        let (to, frames) = (self.to, counted(pack.frames, "frame"));
        let stored = human(pack.stored_len);
        output.told(&format!("{to}: for {}; {frames} as they were, {stored}", kinds.join(", ")))?;
        self.note_dropped(output);
        output.note(KEY_KEPT);
        Ok(Exit::Intact)
    }

    fn fresh(&self, target: Target, output: &mut Output) -> anyhow::Result<Exit> {
        let progress = Progress::new(output, "reading", None);
        let fresh = self.rekey.fresh(&mut |at| progress.at(at));
        progress.finish();
        signals::check()?;
        let fresh = fresh.map_err(|error| self.explain(error))?;
        let progress = Progress::new(output, "packing", Some(fresh.report().whole_bytes));
        let sink = Counted { inner: target.file(), count: 0 };
        let written = fresh.write(sink, self.recipients, &mut |at| progress.at(at));
        progress.finish();
        signals::check()?;
        let (sink, pack) = written.map_err(|error| self.explain(error))?;
        let stored = sink.count;
        target.finish()?;
        if output.is_json() {
            let fields = json!({
                "fresh": true,
                "pack_id": hex(pack.pack_id.as_bytes()),
                "old_pack_id": hex(self.rekey.pack_id().as_bytes()),
                "root": pack.summary.root.to_string(),
                "recipients": pack.recipients.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "entries": pack.written.entries,
                "bytes": pack.written.bytes,
                "stored": stored,
                "appendices_dropped": self.rekey.appendices().len(),
                "content_key_kept": false,
            });
            output.object("summary", object(fields))?;
            return Ok(Exit::Intact);
        }
        let (to, entries) = (self.to, pack.written.entries);
        let (bytes, stored) = (human(pack.written.bytes), human(stored));
        output.told(&format!(
            "{to}: a new pack of {entries} entries ({bytes} of content, {stored} stored), under a new key"
        ))?;
        self.note_dropped(output);
        output.note(OLD_STAYS);
        Ok(Exit::Intact)
    }

    fn note_dropped(&self, output: &mut Output) {
        let left_out = match self.rekey.appendices().len() as u64 {
            0 => String::new(),
            n => format!("; what stood behind its end is left out ({n} in number)"),
        };
        output.note(&format!("{DROPPED}{left_out}."));
    }

    fn explain(&self, error: stack::Error) -> anyhow::Error {
        match error.kind() {
            ErrorKind::Write(source) => {
                anyhow!("{}: cannot write: {}", self.to, crate::input::io_chain(source))
            }
            ErrorKind::Keys(_) => anyhow!("{}", chain(&error)),
            _ => refused(error).context(self.name.to_owned()),
        }
    }
}

/// Why a pack cannot be given to other readers, and what the user can do about it.
fn refused(error: stack::Error) -> anyhow::Error {
    use carstone::encrypt::ErrorKind as Encrypt;
    let no_key = match error.kind() {
        ErrorKind::NoKey => true,
        ErrorKind::Encrypt(fault) => matches!(fault.kind(), Encrypt::NoKey),
        _ => false,
    };
    let is_broken = matches!(error.kind(), ErrorKind::Gap(_) | ErrorKind::NotWhole { .. });
    match no_key {
        true => match no_key_given() {
            given if given.starts_with("no key") => {
                anyhow!("{given} that opens it: use -i FILE or --old-passphrase")
            }
            given => anyhow!("{given}: use -i FILE or --old-passphrase"),
        },
        false if is_damage(&error) || is_broken => {
            anyhow!("{}; `carstone repair` may mend it first", chain(&error))
        }
        false => explained(error),
    }
}

const DROPPED: &str =
    "Parity and signatures that were made for the old pack do not fit the new one";
const KEY_KEPT: &str = "Who could read the old pack and kept its content key can read the new one too, and copies of the old \
pack stay open to them; --fresh encrypts the content anew under another key.";
const OLD_STAYS: &str = "Copies of the old pack stay open to those who could read it.";
