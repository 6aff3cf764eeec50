//! `carstone hppr keygen` and `id`: keys that sign.

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, bail};
use carstone_hppr::SigningKey;
use serde_json::json;
use zeroize::Zeroizing;

use super::{name, object, source};
use crate::cli::{HpprIdArgs, HpprKeygenArgs};
use crate::exit::Exit;
use crate::keys::is_stdin;
use crate::output::Output;

/// Makes a key.
pub(super) fn keygen(args: &HpprKeygenArgs, output: &mut Output) -> anyhow::Result<Exit> {
    if is_stdin(&args.output) && output.is_json() {
        bail!("with --json the public key alone is printed: give a file for the key, -o FILE");
    }
    let key = SigningKey::generate()?;
    let (secret, public) = (key.to_text(), key.verifying_key().to_string());
    if is_stdin(&args.output) {
        output.line(secret.as_bytes())?;
    } else {
        let path = &args.output;
        let text = Zeroizing::new(format!("{}\n", secret.as_str()));
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let mut file = file.context("cannot make a new file").with_context(|| name(path))?;
        let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
        if let Err(error) = written {
            // Half a key is worse than none.
            let _ = std::fs::remove_file(path);
            return Err(error).context("cannot write").with_context(|| name(path));
        }
        if output.is_json() {
            output.object("key", object(json!({ "key": public })))?;
        }
    }
    output.note(&format!("Key: {public}"));
    Ok(Exit::Intact)
}

/// Prints what verifies its signatures.
pub(super) fn id(args: &HpprIdArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let public = read(&args.key)?.verifying_key().to_string();
    match output.is_json() {
        true => output.object("key", object(json!({ "key": public })))?,
        false => output.line(public.as_bytes())?,
    }
    Ok(Exit::Intact)
}

/// The key in a file.
pub(super) fn read(path: &Path) -> anyhow::Result<SigningKey> {
    let mut text = Zeroizing::new(Vec::with_capacity(MOST_KEY));
    let read = source(path)?.take(MOST_KEY as u64).read_to_end(&mut text);
    read.with_context(|| name(path))?;
    SigningKey::parse(text.trim_ascii()).with_context(|| format!("{}: is no key", name(path)))
}

/// Bytes of a file of a key: a line, and blanks around it.
const MOST_KEY: usize = 256;
