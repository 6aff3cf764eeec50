//! Envelopes and key files.

use std::collections::HashSet;
use std::io::Write;

use age_core::format::{FileKey, Stanza};
use carstone::keys::secrecy::ExposeSecret;
use carstone::keys::{Envelope, ErrorKind, Identities, Identity, Recipient, Recipients};

use crate::input::Input;
use crate::vectors;

/// Any bytes as an envelope: what is taken is kept as it is, and opening it ends.
pub fn envelope(data: &[u8]) {
    let Ok(envelope) = Envelope::from_bytes(data) else { return };
    assert_eq!(envelope.as_bytes(), data);
    let kinds = envelope.recipients();
    assert_eq!(envelope.needs_passphrase(), kinds.iter().any(|kind| kind.tag() == "scrypt"));
    // A passphrase costs next to nothing up to this work factor.
    let mut identities = with_identity().with_max_work_factor(2);
    identities.passphrase("keystone".into());
    let _ = identities.open(&envelope);
}

/// The shared vectors, and stanzas that they do not have.
pub fn envelope_seeds() -> Vec<Vec<u8>> {
    let header = b"age-encryption.org/v1\n-> scrypt AAAAAAAAAAAAAAAAAAAAAA 30\n\
        AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n-> new-grease a b\n\n--- ";
    let costly = [&header[..], &[b'A'; 43], b"\n", &[0; 40]].concat();
    [vectors::values(vectors::ENVELOPE, "bytes"), vec![costly]].concat()
}

/// An envelope whose MAC holds although its stanzas and plaintext are anything: it opens only to 33 bytes that start with the version.
pub fn sealed(data: &[u8]) {
    let mut input = Input::new(data);
    let stanzas = (0..input.below(4)).map(|_| stanza(&mut input)).collect();
    let plain = match input.flag() {
        true => [&[1][..], &KEY].concat(),
        false => input.text(70).to_vec(),
    };
    let real = RECIPIENT.parse::<age::x25519::Recipient>().expect("a key");
    let odd = Odd(stanzas);
    let recipients: [&dyn age::Recipient; 2] =
        if input.flag() { [&real, &odd] } else { [&odd, &real] };
    // The library refuses to mix some kinds.
    let Ok(encryptor) = age::Encryptor::with_recipients(recipients.into_iter()) else { return };
    let mut sealed = Vec::new();
    let written = encryptor.wrap_output(&mut sealed).and_then(|mut writer| {
        writer.write_all(&plain)?;
        writer.finish()
    });
    written.expect("a Vec takes all");
    let Ok(envelope) = Envelope::from_bytes(&sealed) else { return };
    let mut identities = with_identity().with_max_work_factor(2);
    identities.passphrase("keystone".into());
    let opened = identities.open(&envelope);
    let is_key = plain.len() == 33 && plain[0] == 1;
    match opened {
        Ok(key) => assert!(is_key && key.as_bytes()[..] == plain[1..]),
        Err(error) if odd.0.is_empty() => {
            assert!(!is_key && *error.kind() == ErrorKind::BadPlaintext, "{error}");
        }
        Err(_) => {}
    }
}

/// Any text as a file of recipients, a file of identities and one key of each.
pub fn files(data: &[u8]) {
    let mut recipients = Recipients::new();
    if recipients.add_reader(data, "recipients").is_ok() {
        assert!(!recipients.keys().is_empty());
    } else {
        assert!(recipients.is_empty(), "nothing was added");
    }
    let mut identities = Identities::new();
    if identities.add_reader(data, "identities").is_err() {
        assert!(identities.is_empty(), "nothing was added");
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(recipient) = Recipient::parse(text) {
        let again = Recipient::parse(&recipient.to_string()).expect("its own text");
        assert_eq!(again.to_string(), recipient.to_string());
        assert_eq!(again.kind(), recipient.kind());
    }
    if let Ok(identity) = Identity::parse(text) {
        let again = Identity::parse(identity.to_secret_text().expose_secret());
        let again = again.expect("its own text").to_secret_text();
        assert_eq!(again.expose_secret(), identity.to_secret_text().expose_secret());
    }
}

/// Key files of all kinds.
pub fn files_seeds() -> Vec<Vec<u8>> {
    let file = format!("# a comment\n\n{RECIPIENT}\r\n {RECIPIENT} \n");
    let secret = format!("# created: never\n{IDENTITY}\n\n{IDENTITY}\n");
    let ssh = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHsKLqeplhpW+uObz5dvMgjz1OxfM/XXUB+VHtZ6isGN a";
    let pem = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\n\
        -----END OPENSSH PRIVATE KEY-----\n";
    let armor = "-----BEGIN AGE ENCRYPTED FILE-----\nYWdlLWVuY3J5cHRpb24ub3JnL3YxCg==\n\
        -----END AGE ENCRYPTED FILE-----\n";
    let hybrid = Identity::parse(HYBRID).expect("a key").to_public().to_string();
    let all = format!("{IDENTITY}\n{HYBRID}\n{PLUGIN}\n");
    let texts = [RECIPIENT, &file, IDENTITY, &secret, ssh, pem, armor];
    let texts = texts.into_iter().chain([HYBRID, &hybrid, PLUGIN, PLUGIN_RECIPIENT, &all]);
    texts.map(|text| text.as_bytes().to_vec()).chain(envelope_seeds()).collect()
}

/// A recipient that answers with these stanzas.
struct Odd(Vec<Stanza>);

impl age::Recipient for Odd {
    fn wrap_file_key(
        &self,
        _: &FileKey,
    ) -> Result<(Vec<Stanza>, HashSet<String>), age::EncryptError> {
        let copy = |stanza: &Stanza| {
            let Stanza { tag, args, body } = stanza;
            Stanza { tag: tag.clone(), args: args.clone(), body: body.clone() }
        };
        Ok((self.0.iter().map(copy).collect(), HashSet::new()))
    }
}

/// A stanza of any tag, with arguments that look right or do not.
fn stanza(input: &mut Input<'_>) -> Stanza {
    let tags = [
        "X25519",
        "scrypt",
        "ssh-ed25519",
        "ssh-rsa",
        "p256tag",
        "mlkem768x25519",
        "a-grease",
        "else",
    ];
    // The last one is a share of the post-quantum kind, but for its bytes.
    let share = "Q".repeat(1494);
    let words = ["AAAAAAAAAAAAAAAAAAAAAA", "1", "2", "64", "9999999999", "x", &share];
    let tag = input.pick(&tags).to_owned();
    let mut args: Vec<_> = (0..input.below(4)).map(|_| input.pick(&words).to_owned()).collect();
    if input.one_in(3) {
        let any = input.text(50).iter().map(|byte| char::from(b'!' + byte % 94));
        args.push(any.collect());
    }
    let mut body = input.text(100).to_vec();
    if input.flag() {
        body.resize(32, 0);
    }
    Stanza { tag, args, body }
}

fn with_identity() -> Identities {
    let mut identities = Identities::new();
    identities.add(IDENTITY).expect("a key");
    identities.add(HYBRID).expect("a key");
    identities
}

/// The key of the shared vectors.
const IDENTITY: &str = "AGE-SECRET-KEY-1HWZ4X04GY8J5WZZE0MA6MQAVSEZWY5AZ2G8EUMT6Z6W3PJRK8Q4Q0JV5A2";
const RECIPIENT: &str = "age10s6vq3skek49j7g525g2g8uz8am0v5taqwgp3a5qjrgtjft2yc5sr6wdxc";
/// The sample of the age specification.
const HYBRID: &str =
    "AGE-SECRET-KEY-PQ-1XX76JRALNLXDMEW0CRK45QMCCH4X06SE84UN3VPM33W6HWDX0H3SK3ZQFR";
/// No program has this name; nothing that is tried here would run it.
const PLUGIN: &str = "AGE-PLUGIN-OPEN-10QESAEJY";
const PLUGIN_RECIPIENT: &str = "age1open10qwath46";
const KEY: [u8; 32] = [7; 32];
