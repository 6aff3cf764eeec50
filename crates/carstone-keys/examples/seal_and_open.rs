//! Seals a new content key to the recipients on the command line, or to a key made for the occasion, and opens
//! it again.

use std::env;
use std::error::Error;
use std::io::{self, Write};

use carstone_keys::{ContentKey, Envelope, Identities, Identity, Recipient, Recipients};

fn main() -> Result<(), Box<dyn Error>> {
    let identity = Identity::generate()?;
    let mut recipients = Recipients::new();
    recipients.add(identity.to_public());
    for text in env::args().skip(1) {
        recipients.add(Recipient::parse(&text)?);
    }

    let key = ContentKey::generate()?;
    let stored = recipients.seal(&key)?.into_bytes();

    let envelope = Envelope::from_bytes(&stored)?;
    let mut out = io::stdout();
    writeln!(out, "{} bytes, sealed to:", stored.len())?;
    for kind in envelope.recipients() {
        writeln!(out, "  {kind}")?;
    }
    let mut identities = Identities::new();
    identities.add_identity(identity);
    writeln!(out, "opens: {}", identities.open(&envelope)? == key)?;
    Ok(())
}
