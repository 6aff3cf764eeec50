//! `carstone sign`: a signature over the stored bytes of a pack, and what `verify` says of one.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, bail};
use carstone::keys::sign::{self, Digest, Hash, Signature, Signer, Signers, SigningKey};
use carstone::pack::fs::FileId;
use carstone::stack::{Format, SignedBytes};
use serde_json::{Map, json};

use crate::cli::{SignArgs, SignerArgs};
use crate::exit::Exit;
use crate::input::chain;
use crate::keys::{is_stdin, names_a_file, once, passphrase_of};
use crate::names;
use crate::output::{Output, stdout_error};
use crate::progress::Progress;
use crate::signals;
use crate::source::{Bytes, Source, Watched};
use crate::target::Target;

/// Signs.
pub(crate) fn run(args: SignArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let passphrase = args.passphrase.passphrase_file.as_deref();
    once([args.pack.as_path(), args.key.as_path()].into_iter().chain(passphrase))?;
    names_a_file(&args.key)?;
    let path = match args.output {
        Some(path) => path,
        None if is_stdin(&args.pack) => bail!("a pack from standard input has no name: give -o"),
        None => signature_of(&args.pack),
    };
    let source = Source::open(&args.pack)?.spooled()?;
    let name = source.name.clone();
    is_pack(source.format).with_context(|| name.clone())?;
    let Bytes::File(file) = source.bytes else { return Ok(Exit::Failed) };
    let target = match is_stdin(&path) {
        true => None,
        false => Some(Target::create(&path, args.force, output)?),
    };
    let replaced = target.as_ref().map(Target::identities).unwrap_or_default();
    if FileId::of(&file).is_ok_and(|pack| replaced.contains(&pack)) {
        bail!("{name}: is the pack itself; the signature is a file of its own");
    }
    let ask = || passphrase_of(&args.passphrase, &args.key);
    let key = match is_stdin(&args.key) {
        true => SigningKey::read(io::stdin().lock(), &args.key, ask)?,
        false => SigningKey::read_file(&args.key, ask)?,
    };
    let mut covered = Covered::open(file).with_context(|| name.clone())?;
    let digest = covered.digest(Hash::Sha512, output).with_context(|| name.clone())?;
    let signature = key.sign(covered.id(), &digest)?;
    let text = signature.to_text();
    match target {
        Some(target) => {
            let written = target.file().write_all(text.as_bytes());
            written.with_context(|| format!("{}: cannot write", path.display()))?;
            target.finish()?;
        }
        // It is text, fit for a terminal.
        None => output.content(true)?.write_all(text.as_bytes()).map_err(stdout_error)?,
    }
    if output.is_json() {
        let mut fields = covered.fields();
        fields.insert("key_type".to_owned(), signature.key_type().into());
        fields.insert("fingerprint".to_owned(), signature.fingerprint().into());
        fields.insert("sha512".to_owned(), names::hex(digest.as_bytes()).into());
        output.object("signature", fields)?;
    } else {
        let (kind, print) = (signature.key_type(), signature.fingerprint());
        let name = names::escaped(name.as_bytes()).into_owned();
        output.note(&format!("{name}: signed with {kind} {print}"));
        covered.tell_uncovered(&name, output);
    }
    Ok(Exit::Intact)
}

/// Checks the signature of a pack, tells about it, and says whether it holds and counts; `None` where none was asked for.
///
/// # Errors
/// Something cannot be read, or is neither a signature nor a list of signers. That a signature does not hold is no error.
pub(crate) fn check(
    args: &SignerArgs,
    pack: &Path,
    (name, format, file): (&str, Format, &File),
    output: &mut Output,
) -> anyhow::Result<Option<bool>> {
    let Some(list) = &args.signer else { return Ok(None) };
    args.signature.iter().chain([list]).try_for_each(|path| names_a_file(path))?;
    let path = match &args.signature {
        Some(path) => path.clone(),
        None if is_stdin(pack) => {
            bail!("a pack from standard input has no name: give --signature FILE")
        }
        None => signature_of(pack),
    };
    let signers = Signers::read(opened(list)?, list)?;
    let signature = Signature::read(opened(&path)?, &path)?;
    if format == Format::Car {
        is_pack(format).with_context(|| name.to_owned())?;
    }
    let file = file.try_clone().context("cannot open it again")?;
    let who = args.principal.as_deref();
    let shown = names::escaped(name.as_bytes()).into_owned();
    let (outcome, mut fields) = match Covered::open(file) {
        Ok(mut covered) => {
            let outcome = judged(&signers, &signature, who, &mut covered, output);
            let outcome = outcome.with_context(|| name.to_owned())?;
            if outcome.is_ok() && !output.is_json() {
                covered.tell_uncovered(&shown, output);
            }
            (outcome, covered.fields())
        }
        // What is wrong with the pack is told by those who look at it.
        Err(error) => {
            let what = format!("nobody can say which bytes are signed: {error:#}");
            (Err(what), Map::new())
        }
    };
    let (kind, print) = (signature.key_type(), signature.fingerprint());
    let holds = outcome.is_ok();
    if output.is_json() {
        fields.insert("holds".to_owned(), holds.into());
        fields.insert("key_type".to_owned(), kind.into());
        fields.insert("fingerprint".to_owned(), print.into());
        match outcome {
            Ok(signer) => {
                fields.insert("principals".to_owned(), signer.principals().into());
                fields.insert("line".to_owned(), signer.line().into());
            }
            Err(what) => {
                fields.insert("message".to_owned(), what.into());
            }
        }
        output.object("signature", fields)?;
    } else {
        let line = match outcome {
            Ok(signer) => {
                let who = names::escaped(signer.principals().as_bytes()).into_owned();
                format!("{shown}: signed by {who} with {kind} {print}")
            }
            Err(what) => format!("{shown}: {}", names::escaped(what.as_bytes())),
        };
        output.line(line.as_bytes())?;
    }
    Ok(Some(holds))
}

/// Who has signed it, or why it does not count. The key is looked at first, since hashing takes longer.
fn judged(
    signers: &Signers,
    signature: &Signature,
    who: Option<&str>,
    covered: &mut Covered,
    output: &Output,
) -> anyhow::Result<Result<Signer, String>> {
    let signer = match signers.find(signature, who, SystemTime::now()) {
        Ok(signer) => signer,
        Err(error) => return Ok(Err(chain(&error))),
    };
    let digest = covered.digest(signature.hash(), output)?;
    let verified = signature.verify(covered.id(), &digest);
    Ok(verified.map(|()| signer).map_err(|error| chain(&error)))
}

/// What a signature covers of a file.
struct Covered {
    bytes: SignedBytes<Watched<File>>,
    len: u64,
    behind: u64,
}

impl Covered {
    fn open(file: File) -> anyhow::Result<Self> {
        let bytes = SignedBytes::open(Watched(file), 0..u64::MAX)?;
        let (len, behind) = (bytes.len(), bytes.uncovered());
        Ok(Self { bytes, len, behind })
    }

    fn id(&self) -> [u8; 16] {
        *self.bytes.pack_id().as_bytes()
    }

    /// Hashes all of it.
    fn digest(&mut self, hash: Hash, output: &Output) -> anyhow::Result<Digest> {
        let progress = Progress::new(output, "hashing", Some(self.len));
        let digest = sign::digest(hash, progress.reading(&mut self.bytes));
        progress.finish();
        signals::check()?;
        digest.context("cannot read")
    }

    fn fields(&self) -> Map<String, serde_json::Value> {
        Map::from_iter([
            ("pack_id".to_owned(), self.bytes.pack_id().to_string().into()),
            ("covered".to_owned(), json!(self.len)),
            ("uncovered".to_owned(), json!(self.behind)),
        ])
    }

    fn tell_uncovered(&self, name: &str, output: &mut Output) {
        if self.behind > 0 {
            let what = format!("the last {} bytes, behind the trailer, are not", self.behind);
            output.note(&format!("{name}: {} bytes are signed; {what}", self.len));
        }
    }
}

fn is_pack(format: Format) -> anyhow::Result<()> {
    match format {
        Format::Pack => Ok(()),
        Format::Car => bail!("is a plain CAR, which ssh-keygen -Y sign can sign as any other file"),
        _ => bail!("no container header stands at byte 0: `carstone repair` may make it whole"),
    }
}

/// The name of a pack with `.sig` behind it.
fn signature_of(pack: &Path) -> PathBuf {
    let mut name = OsString::from(pack);
    name.push(".sig");
    name.into()
}

fn opened(path: &Path) -> anyhow::Result<Box<dyn Read>> {
    if is_stdin(path) {
        return Ok(Box::new(io::stdin().lock()));
    }
    let file = File::open(path).with_context(|| format!("{}: cannot open", path.display()))?;
    Ok(Box::new(file))
}
