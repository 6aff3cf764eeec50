//! A stream that is forged so that all its tags hold under two keys. GCM does not prevent that; the commitment does.
//!
//! The forger here shares no code with the crate: keys come from HKDF by the format's words, and the field of GHASH is
//! that of NIST SP 800-38D, section 6.3.

use std::io::Read;

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce, Tag};
use carstone_encrypt::{
    ContentKeyBytes, EncryptFailSafe, EncryptReader, Error, ErrorKind, FailSafeOptions,
    LayerHeader, verify_stored,
};
use carstone_layer::{FailSafeRead, FrameHeader, LayerId, PlainSource};
use hkdf::Hkdf;
use sha2::Sha256;

use crate::streams::{N, PACK};

const ALICE: [u8; 32] = [0xA1; 32];
const BOB: [u8; 32] = [0xB0; 32];
/// Plain bytes in the forged stream: a full frame and a short one.
const LEN: usize = N + 1000;

#[test]
fn both_tags_of_a_forged_frame_hold_and_each_key_gives_text_of_the_forgers_choice() {
    let header = data_header(0, N, false);
    let sealed = forge_frame(&header, &payload_key(&ALICE), &payload_key(&BOB));
    let alice = open(&header, &payload_key(&ALICE), &sealed).expect("the first tag holds");
    let bob = open(&header, &payload_key(&BOB), &sealed).expect("the second tag holds");
    assert!(alice[..N / 2].chunks(16).all(|block| block == b"read by alice..."));
    assert!(bob[N / 2..N - 16].chunks(16).all(|block| block == b"and this by bob."));
    assert_ne!(alice[..16], bob[..16]);
    assert!(open(&header, &payload_key(&[3; 32]), &sealed).is_err(), "no third key");
}

#[test]
fn the_commitment_refuses_the_second_key_of_a_forged_stream() {
    for (first, second) in [(ALICE, BOB), (BOB, ALICE)] {
        let stored = forge_stream(&commitment(&first), &commitment(&first));
        // Nothing but the commitment stands in the way: checksums, places and tags are those of a sound stream.
        verify_stored(&stored, None).expect("no key is needed");
        let reader = EncryptReader::open_at(&stored, &first).expect("the key that is committed to");
        reader.verify().expect("all tags hold");

        let error = EncryptReader::open_at(&stored, &second).expect_err("the second key");
        assert!(matches!(error.kind(), ErrorKind::WrongKey), "{error}");
        assert_wrong_key(salvage(&stored, &second, None));
        let known = LayerHeader::read_at(&stored).expect("a layer header");
        assert_wrong_key(salvage(&stored, &second, Some(known)));
        assert_eq!(salvage(&stored, &first, None).ok(), Some(LEN));
    }
}

#[test]
fn layer_headers_that_commit_to_different_keys_are_refused() {
    let stored = forge_stream(&commitment(&ALICE), &commitment(&BOB));
    let error = verify_stored(&stored, None).expect_err("two commitments");
    assert!(matches!(error.kind(), ErrorKind::HeadersDiffer), "{error}");
    let kind = |key| EncryptReader::open_at(&stored, key).map(drop).expect_err("refused");
    assert!(matches!(kind(&ALICE).kind(), ErrorKind::HeadersDiffer));
    assert!(matches!(kind(&BOB).kind(), ErrorKind::WrongKey));

    // The fail-safe reader goes by the first layer header: one header, one key.
    assert_eq!(salvage(&stored, &ALICE, None).ok(), Some(LEN));
    assert_wrong_key(salvage(&stored, &BOB, None));

    // With the front gone, the copy at the end decides, and then it alone.
    let mut headless = stored.clone();
    headless[..96].fill(0);
    assert_wrong_key(salvage(&headless, &ALICE, None));
    let end = LayerHeader::read_at(&headless).expect("the copy at the end");
    assert_wrong_key(salvage(&headless, &ALICE, Some(end.clone())));
    assert_eq!(salvage(&headless, &BOB, Some(end)).ok(), Some(LEN));
}

#[test]
fn the_field_is_that_of_ghash() {
    // 1 is the block with the first bit set; multiplying by it changes nothing, and every other element has an inverse.
    let one = 1 << 127;
    for element in [1, one, 0x0388_DACE_60B6_A392_F328_C2B9_71B2_FE78_u128, u128::MAX] {
        assert_eq!(multiply(element, one), element);
        assert_eq!(multiply(element, inverse(element)), one);
    }
    // The field's element x¹²⁷ · x = x⁷ + x² + x + 1.
    assert_eq!(multiply(1, 1 << 126), 0xE1 << 120);
}

#[track_caller]
fn assert_wrong_key(salvaged: Result<usize, Error>) {
    let error = salvaged.expect_err("the commitment does not fit");
    assert!(matches!(error.kind(), ErrorKind::WrongKey), "{error}");
}

/// How many bytes a fail-safe reader gives under one key.
fn salvage(stored: &[u8], key: &[u8; 32], known: Option<LayerHeader>) -> Result<usize, Error> {
    let mut options = FailSafeOptions::default().threads(1);
    if let Some(header) = known {
        options = options.layer_header(header);
    }
    let keys = |_: &[u8]| Ok(Some(ContentKeyBytes::new(*key)));
    let mut reader = EncryptFailSafe::new(PlainSource::new(stored), keys, options)?;
    let mut plain = Vec::new();
    loop {
        reader.read_to_end(&mut plain).expect("memory can be read");
        if reader.next_gap().expect("memory can be read").is_none() {
            return Ok(plain.len());
        }
    }
}

/// A whole stream with these commitments in front and at the end, whose frames open under both keys.
fn forge_stream(front: &[u8; 32], end: &[u8; 32]) -> Vec<u8> {
    let layer_header = |commitment: &[u8; 32]| {
        let mut payload = vec![1, 0, 1, 0];
        payload.extend((N as u32).to_le_bytes());
        payload.extend(commitment);
        payload.extend([0; 4]);
        LayerHeader::decode(PACK, &payload).expect("laid out as the format says")
    };
    let mut stored = layer_header(front).front_frame();
    for (sequence, len) in [(0, N), (1, LEN - N)] {
        let header = data_header(sequence, len, sequence == 1);
        let sealed = forge_frame(&header, &payload_key(&ALICE), &payload_key(&BOB));
        stored.extend(header.sealed(&sealed).encode());
        stored.extend(sealed);
    }
    stored.extend(layer_header(end).end_frame(LEN as u64));
    stored
}

fn data_header(sequence: u64, len: usize, last: bool) -> FrameHeader {
    let offset = sequence * N as u64;
    let mut header = FrameHeader::data(LayerId::ENCRYPTION, PACK, sequence, offset)
        .with_lengths(len as u32, len as u32 + 16);
    (header.codec, header.last) = (1, last);
    header
}

/// Ciphertext and tag that hold under both keys. The first half is chosen by what the first key makes of it, the rest by what the
/// second one makes, but for the last whole block, which makes the two tags equal.
fn forge_frame(header: &FrameHeader, first: &[u8; 32], second: &[u8; 32]) -> Vec<u8> {
    let len = header.plain_len as usize;
    let (one, two) = (Gcm::of(first, header), Gcm::of(second, header));
    let mut text = vec![0; len];
    let half = len / 2;
    let choose = |out: &mut [u8], stream: &[u8], words: &[u8; 16]| {
        for (i, byte) in out.iter_mut().enumerate() {
            *byte = stream[i] ^ words[i % 16];
        }
    };
    choose(&mut text[..half], &one.stream(len)[..half], b"read by alice...");
    choose(&mut text[half..], &two.stream(len)[half..], b"and this by bob.");
    let free = len / 16 - 1;
    let place = free * 16..free * 16 + 16;
    text[place.clone()].fill(0);
    // A block with e multiplications behind it adds block · H^e to the tag.
    let exponent = len.div_ceil(16) - free + 1;
    let spread = power(one.hash_key, exponent) ^ power(two.hash_key, exponent);
    let apart = one.tag(header, &text) ^ two.tag(header, &text);
    text[place].copy_from_slice(&multiply(apart, inverse(spread)).to_be_bytes());
    let tag = one.tag(header, &text);
    assert_eq!(tag, two.tag(header, &text), "the equation was solved");
    text.extend(tag.to_be_bytes());
    text
}

fn open(
    header: &FrameHeader,
    key: &[u8; 32],
    sealed: &[u8],
) -> Result<Vec<u8>, aes_gcm::aead::Error> {
    let (text, tag) = sealed.split_last_chunk::<16>().expect("a tag");
    let mut text = text.to_vec();
    Aes256Gcm::new(key.into()).decrypt_inout_detached(
        &nonce(header),
        &header.covered(),
        (&mut text[..]).into(),
        &Tag::from(*tag),
    )?;
    Ok(text)
}

/// What a forger knows of GCM under one key and nonce.
struct Gcm {
    cipher: Aes256Gcm,
    nonce: Nonce<aes_gcm::aead::consts::U12>,
    /// H, the encryption of the zero block.
    hash_key: u128,
    /// What masks the hash.
    mask: u128,
}

impl Gcm {
    fn of(key: &[u8; 32], header: &FrameHeader) -> Self {
        let (cipher, nonce) = (Aes256Gcm::new(key.into()), nonce(header));
        let tag = |aad: &[u8]| {
            let tag = cipher.encrypt_inout_detached(&nonce, aad, (&mut [][..]).into());
            u128::from_be_bytes(tag.expect("short").into())
        };
        // Nothing hashes to zero, and a zero block of additional data to its length times H.
        let mask = tag(b"");
        let hash_key = multiply(tag(&[0; 16]) ^ mask, inverse(128 << 64));
        Self { cipher, nonce, hash_key, mask }
    }

    fn stream(&self, len: usize) -> Vec<u8> {
        let mut zeros = vec![0; len];
        self.cipher
            .encrypt_inout_detached(&self.nonce, b"", (&mut zeros[..]).into())
            .expect("short");
        zeros
    }

    fn tag(&self, header: &FrameHeader, text: &[u8]) -> u128 {
        let aad = header.covered();
        let lengths = ((aad.len() as u128 * 8) << 64) | (text.len() as u128 * 8);
        let block = |bytes: &[u8]| {
            let mut block = [0; 16];
            block[..bytes.len()].copy_from_slice(bytes);
            u128::from_be_bytes(block)
        };
        let blocks = aad.chunks(16).chain(text.chunks(16)).map(block).chain([lengths]);
        blocks.fold(0, |hash, block| multiply(hash ^ block, self.hash_key)) ^ self.mask
    }
}

fn nonce(header: &FrameHeader) -> Nonce<aes_gcm::aead::consts::U12> {
    let mut nonce = [0; 12];
    nonce[..8].copy_from_slice(&header.sequence.to_le_bytes());
    (nonce[10], nonce[11]) = (1, header.last.into());
    nonce.into()
}

fn payload_key(content_key: &[u8; 32]) -> [u8; 32] {
    derive(content_key, b"carstone/1 payload\x01\0\0\0\0")
}

fn commitment(content_key: &[u8; 32]) -> [u8; 32] {
    let mut info = b"carstone/1 commit\x01\0\0\0\0\x01\x01\x01\0\0".to_vec();
    info.extend((N as u32).to_le_bytes());
    info.extend([0; 8]);
    derive(content_key, &info)
}

fn derive(content_key: &[u8; 32], info: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    let prk = Hkdf::<Sha256>::new(Some(PACK.as_bytes()), content_key);
    prk.expand(info, &mut out).expect("short");
    out
}

/// The product in GF(2¹²⁸); the first bit of a block is the coefficient of x⁰.
fn multiply(a: u128, mut b: u128) -> u128 {
    let mut product = 0;
    for bit in (0..128).rev() {
        if (a >> bit) & 1 == 1 {
            product ^= b;
        }
        let carry = b & 1;
        b = (b >> 1) ^ (carry * (0xE1 << 120));
    }
    product
}

fn power(element: u128, exponent: usize) -> u128 {
    (0..exponent).fold(1 << 127, |product, _| multiply(product, element))
}

/// The power 2¹²⁸ − 2: the product of all squares but the first.
fn inverse(element: u128) -> u128 {
    let (mut square, mut product) = (element, 1 << 127);
    for _ in 1..128 {
        square = multiply(square, square);
        product = multiply(product, square);
    }
    product
}
