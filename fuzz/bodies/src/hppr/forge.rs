//! Hashes, lengths and signatures that are right, in packets of any bytes: else no input would come behind them.

use std::sync::OnceLock;

use carstone_hppr::{
    ExtrasOrder, PacketHash, PacketKind, ParseOptions, Signature, SigningKey, TYPED,
};

/// What marklines begin with.
pub(super) const MARK: &[u8] = "\u{1f5a7}: ".as_bytes();
/// Takes extra headers in the order of their names.
pub(super) fn by_name() -> ParseOptions {
    ParseOptions::default().extras(ExtrasOrder::ByName)
}

/// The markline of a packet.
pub(super) fn markline(hash: &PacketHash) -> Vec<u8> {
    [MARK, hash.to_string().as_bytes(), b"\n"].concat()
}

/// One packet, with the length that its data has, the signature if it is to be one of the key of the vectors, and the hashes.
pub(super) fn forged(bytes: &[u8]) -> Vec<u8> {
    let (mut bytes, marks) = with_length(bytes);
    let mut behind = None;
    for at in marks.into_iter().rev() {
        let (hash_at, end) = (at + MARK.len(), at + MARK.len() + TYPED + 1);
        let Some(kind) = PacketKind::of_letter(bytes[hash_at]) else { continue };
        if let (PacketKind::Seal, Some((plex_at, plex))) = (kind, behind) {
            sign(&mut bytes[end..plex_at], plex);
        }
        let hash = PacketHash::of(kind, &bytes[end..]);
        bytes[hash_at..end - 1].copy_from_slice(hash.to_string().as_bytes());
        behind = Some((at, hash));
    }
    bytes
}

/// The same with the right length of its data, and where its marklines are.
fn with_length(bytes: &[u8]) -> (Vec<u8>, Vec<usize>) {
    let mut at = 0;
    let mut marks = Vec::new();
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(MARK) && line.len() == MARK.len() + TYPED + 1 {
            marks.push(at);
        }
        let behind = &bytes[at + line.len()..];
        if line.starts_with(LENGTH) && behind.starts_with(b"\n") {
            let line = format!("{}\n", behind.len() - 1);
            return ([&bytes[..at], LENGTH, line.as_bytes(), behind].concat(), marks);
        }
        at += line.len();
    }
    (bytes.to_vec(), marks)
}

/// Puts the signature into the lines of a Seal, if they have room for it and the key is that of the vectors.
pub(super) fn sign(lines: &mut [u8], plex: PacketHash) {
    let by = format!("Seal-By: {}\nSeal-Sig: ", key().verifying_key());
    let Some(place) = lines.strip_suffix(b"\n").and_then(|lines| lines.strip_prefix(by.as_bytes()))
    else {
        return;
    };
    let (start, len) = (by.len(), place.len());
    let signature = signature(plex).to_string();
    if len == signature.len() {
        lines[start..start + len].copy_from_slice(signature.as_bytes());
    }
}

fn signature(plex: PacketHash) -> Signature {
    key().sign_with(plex.digest(), &[0xa5; 32]).expect("random enough")
}

/// The key that the Seal of the specification is by.
pub(super) fn key() -> &'static SigningKey {
    static KEY: OnceLock<SigningKey> = OnceLock::new();
    KEY.get_or_init(|| {
        let scalar: Vec<u8> = (1..=32).collect();
        SigningKey::from_scalar(&scalar.try_into().expect("32 bytes")).expect("a key")
    })
}

const LENGTH: &[u8] = b"Data-Length: ";
