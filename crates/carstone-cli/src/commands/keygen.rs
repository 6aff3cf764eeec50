//! `carstone keygen`: a new age identity.

use std::fs::OpenOptions;
use std::io::{IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;

use anyhow::{Context, bail};
use carstone::keys::Identity;
use carstone::keys::secrecy::ExposeSecret;
use serde_json::Map;

use crate::cli::KeygenArgs;
use crate::exit::Exit;
use crate::output::{Output, say};

/// Makes an identity and writes it as `age-keygen` does.
pub(crate) fn run(args: KeygenArgs, output: &mut Output) -> anyhow::Result<Exit> {
    if args.output.is_none() && output.is_json() {
        bail!("with --json the public key alone is printed: give a file for the identity, -o FILE");
    }
    let identity = match args.pq {
        true => Identity::generate_post_quantum()?,
        false => Identity::generate()?,
    };
    let public = identity.to_public().to_string();
    let text = identity.keygen_text();
    match &args.output {
        Some(path) => {
            let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
            let name = || path.display().to_string();
            let mut file = file.context("cannot make a new file").with_context(name)?;
            let written = file.write_all(text.expose_secret().as_bytes());
            if let Err(error) = written.and_then(|()| file.sync_all()) {
                // Half a key is worse than none.
                let _ = std::fs::remove_file(path);
                return Err(error).context("cannot write").with_context(name);
            }
        }
        None => output.bytes(text.expose_secret().as_bytes())?,
    }
    if output.is_json() {
        let mut fields = Map::new();
        fields.insert("public_key".to_owned(), public.into());
        output.object("identity", fields)?;
    } else if args.output.is_some() || !std::io::stdout().is_terminal() {
        output.flush()?;
        say(&format!("Public key: {public}"));
    }
    Ok(Exit::Intact)
}
