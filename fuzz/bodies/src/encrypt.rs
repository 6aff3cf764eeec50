//! Encrypted streams, read by someone who has the key, after somebody who has not has changed them.

use std::io::Write;
use std::sync::OnceLock;

use carstone::encrypt::{
    Anchor, Backend, EncryptFailSafe, EncryptOptions, EncryptReader, EncryptWriter, FRAME_LEN,
    FailSafeOptions, LayerHeader, ReadOptions, verify_stored,
};
use carstone::layer::{PackId, PlainSource};

use crate::damage;
use crate::input::{Input, noise};
use crate::laws;
use crate::sources::{Gappy, Stutter};
use crate::vectors;

const KEY: [u8; 32] = [42; 32];
const PACK: PackId = PackId::from_bytes([0xA5; 16]);

/// Layer headers and anchors: what is read encodes to the same bytes.
pub fn header(data: &[u8]) {
    if let Ok(header) = LayerHeader::decode(PACK, data) {
        assert_eq!(header.encode(), data);
    }
    if let Some(anchor) = Anchor::decode(data) {
        assert_eq!(anchor.encode(), data);
    }
    let _ = LayerHeader::read_at(data);
    let _ = verify_stored(data, None);
}

/// The parts of a sound stream, and the shared vectors.
pub fn header_seeds() -> Vec<Vec<u8>> {
    let stored = &samples()[1].1;
    let frame = stored[..140].to_vec();
    let header = frame[96..].to_vec();
    let part = |bytes: &[u8]| [&(bytes.len() as u32).to_le_bytes()[..], bytes].concat();
    let anchor = |container: &[u8]| [part(container), part(&header)].concat();
    let parts = vec![frame, header.clone(), anchor(&[]), anchor(&[5; 256]), stored.clone()];
    [parts, vectors::values(vectors::ENCRYPTION, "stored")].concat()
}

/// No change makes a strict reader give a wrong byte.
pub fn strict(data: &[u8]) {
    let mut input = Input::new(data);
    let (plain, stored, is_sound) = changed(true, &mut input);
    let checked = verify_stored(&stored, Some(PACK));
    let options = ReadOptions::default().threads(1).backend(Backend::AesGcm);
    let options = options.cache(input.pick(&[0, 2 << 20]));
    let Ok(reader) = EncryptReader::with_options(&stored, &KEY, options) else {
        assert!(!is_sound, "a sound stream opens");
        return;
    };
    let is_verified = reader.verify().is_ok();
    assert!(is_verified || !is_sound, "a sound stream is verified");
    assert!(checked.is_ok() || !is_verified, "what a key verifies holds without it");
    laws::places(&reader, plain, &mut input);
    laws::seeks(reader.clone(), plain, is_sound, &mut input);
    let is_whole = laws::strict(reader, plain, &mut input);
    assert!(is_whole || !is_verified, "a verified stream is read whole");
}

/// No change makes a fail-safe reader give a wrong byte, and all that is missing is reported.
pub fn fail_safe(data: &[u8]) {
    let mut input = Input::new(data);
    let is_forged = input.flag();
    let (plain, stored, is_sound) = changed(is_forged, &mut input);
    let mut options = FailSafeOptions::default().threads(1).backend(Backend::AesGcm);
    if input.flag() {
        options = options.pack_id(PACK);
    }
    let budget = input.pick(&[0, 64 << 20]);
    let salvaged = match input.below(3) {
        0 => {
            let source = Gappy::of(&stored, &mut input);
            EncryptFailSafe::new(source, &KEY, options.budget(budget))
                .map(|reader| (laws::salvage(reader, &mut input), false))
        }
        1 => {
            let source = PlainSource::new(Stutter::new(&stored, &mut input));
            EncryptFailSafe::new(source, &KEY, options.budget(budget))
                .map(|reader| (laws::salvage(reader, &mut input), is_sound))
        }
        _ => EncryptFailSafe::new(PlainSource::new(&stored[..]), &KEY, options.budget(budget))
            .map(|reader| (laws::salvage(reader, &mut input), is_sound)),
    };
    let Ok((salvaged, is_sound)) = salvaged else {
        assert!(!is_sound, "a sound stream opens");
        return;
    };
    match is_forged {
        // Nothing vouches for the lengths of what is lost.
        true => salvaged.check_bytes(plain),
        false => salvaged.check(plain),
    }
    assert!(salvaged.is_whole() || !is_sound, "{:?}", salvaged.gaps);
}

/// A stream that the input chooses, changed as it says by accident or on purpose, and whether it is still sound.
fn changed(is_forged: bool, input: &mut Input<'_>) -> (&'static [u8], Vec<u8>, bool) {
    let samples = samples();
    // Most of them short, for speed.
    let which = if input.one_in(4) { input.below(samples.len()) } else { input.below(SHORT) };
    let (plain, sound) = &samples[which];
    let mut stored = sound.clone();
    match is_forged {
        true => damage::tampering(&mut stored, input),
        false => damage::accidents(&mut stored, input),
    }
    let is_sound = stored == *sound;
    (plain, stored, is_sound)
}

/// How many of the samples are short.
const SHORT: usize = 4;

/// Streams of interesting lengths, plain and sealed.
fn samples() -> &'static [(Vec<u8>, Vec<u8>)] {
    static SAMPLES: OnceLock<Vec<(Vec<u8>, Vec<u8>)>> = OnceLock::new();
    SAMPLES.get_or_init(|| {
        let n = FRAME_LEN;
        let lens = [0, 1, 500, 2000, n - 1, n, n + 1, 2 * n, 2 * n + 77, 3 * n];
        lens.map(|len| (noise(7, len), sealed(&noise(7, len)))).to_vec()
    })
}

fn sealed(plain: &[u8]) -> Vec<u8> {
    let envelope = noise(8, plain.len() % 7 * 10);
    let options = EncryptOptions::default().pack_id(PACK).threads(1).backend(Backend::AesGcm);
    let mut writer = EncryptWriter::with_options(Vec::new(), &KEY, options.envelope(envelope))
        .expect("a Vec takes all");
    writer.write_all(plain).expect("a Vec takes all");
    writer.finish().expect("a Vec takes all")
}
