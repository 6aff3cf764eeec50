//! `carstone keygen`: a new age identity.

use std::fs::{File, OpenOptions};
use std::io::{IsTerminal, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};

use anyhow::{Context, bail};
use carstone::keys::Identity;
use carstone::keys::secrecy::ExposeSecret;
use serde_json::Map;

use crate::cli::KeygenArgs;
use crate::exit::Exit;
use crate::keys::is_stdin;
use crate::output::{Output, say, warning};

/// Makes an identity and writes it as `age-keygen` does.
pub(crate) fn run(args: KeygenArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let path = args.output.as_deref().filter(|path| !is_stdin(path));
    if path.is_none() && output.is_json() {
        bail!("with --json the public key alone is printed: give a file for the identity, -o FILE");
    }
    let identity = match args.pq {
        true => Identity::generate_post_quantum()?,
        false => Identity::generate()?,
    };
    let public = identity.to_public().to_string();
    let text = identity.keygen_text();
    match path {
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
        None => {
            if is_open_to_others() {
                warning(
                    "standard output is a file that others than its owner can read or write: keep the key from them",
                );
            }
            output.bytes(text.expose_secret().as_bytes())?;
        }
    }
    if output.is_json() {
        let mut fields = Map::new();
        fields.insert("public_key".to_owned(), public.into());
        output.object("identity", fields)?;
    } else if path.is_some() || !std::io::stdout().is_terminal() {
        output.flush()?;
        say(&format!("Public key: {public}"));
    }
    Ok(Exit::Intact)
}

/// Whether the secret goes to a file that is not for its owner only.
fn is_open_to_others() -> bool {
    let stdout = std::io::stdout().as_fd().try_clone_to_owned().map(File::from);
    let metadata = stdout.and_then(|file| file.metadata());
    metadata.is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o077 != 0)
}
