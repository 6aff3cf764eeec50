//! Compressed streams, after accidents and after forgeries.

use std::io::{Read, Write};
use std::sync::OnceLock;

use carstone::compress::{
    Codec, CompressFailSafe, CompressOptions, CompressReader, CompressWriter, ReadOptions,
};
use carstone::layer::{FrameHeader, LayerId, PackId, PlainSource};

use crate::damage;
use crate::input::{Input, noise};
use crate::laws;
use crate::sources::{Gappy, Stutter};

const PACK: PackId = PackId::from_bytes([7; 16]);

/// No accident makes a strict reader give a wrong byte, with or without the footer.
pub fn strict(data: &[u8]) {
    let mut input = Input::new(data);
    let (plain, sound) = sample(&mut input);
    let mut stored = sound.clone();
    damage::accidents(&mut stored, &mut input);
    let is_sound = stored == *sound;
    let options = options().cache(input.pick(&[0, 1000, 32 << 20]));
    let scanned = CompressReader::open_scan(&stored, options.clone());
    if let Ok(reader) = scanned {
        laws::strict(reader, plain, &mut input);
    }
    let Ok(reader) = CompressReader::with_options(&stored, options) else {
        assert!(!is_sound, "a sound stream opens");
        return;
    };
    let is_verified = reader.verify(|_| ()).is_ok();
    assert!(is_verified || !is_sound, "a sound stream is verified");
    assert!(!reader.frames().any(|frame| frame.is_err()) || !is_verified);
    laws::places(&reader, plain, &mut input);
    laws::seeks(reader.clone(), plain, is_sound, &mut input);
    let is_whole = laws::strict(reader, plain, &mut input);
    assert!(is_whole || !is_verified, "a verified stream is read whole");
}

/// No accident makes a fail-safe reader give a wrong byte, and all that is missing is reported.
pub fn fail_safe(data: &[u8]) {
    let mut input = Input::new(data);
    let (plain, sound) = sample(&mut input);
    let mut stored = sound.clone();
    damage::accidents(&mut stored, &mut input);
    let mut options = options().budget(input.pick(&[0, 64 << 20]));
    if input.flag() {
        options = options.pack_id(PACK);
    }
    let salvaged = match input.below(3) {
        0 => {
            let source = Gappy::of(&stored, &mut input);
            laws::salvage(CompressFailSafe::new(source, options), &mut input).check(plain);
            return;
        }
        1 => {
            let source = PlainSource::new(Stutter::new(&stored, &mut input));
            laws::salvage(CompressFailSafe::new(source, options), &mut input)
        }
        _ => {
            let source = PlainSource::new(&stored[..]);
            laws::salvage(CompressFailSafe::new(source, options), &mut input)
        }
    };
    salvaged.check(plain);
    assert!(salvaged.is_whole() || stored != *sound, "{:?}", salvaged.gaps);
}

/// Whatever a forger writes, all readers agree on a stream that one of them verifies.
pub fn forged(data: &[u8]) {
    let mut input = Input::new(data);
    let mut stored = sample(&mut input).1.clone();
    damage::tampering(&mut stored, &mut input);
    let limit = 1 << 16; // The decoders are not the matter here.
    let options = || options().max_block(limit).cache(0);
    let source = PlainSource::new(&stored[..]);
    let salvaged = laws::salvage(CompressFailSafe::new(source, options()), &mut input);
    let mut scanned = Vec::new();
    let is_scanned = CompressReader::open_scan(&stored, options())
        .is_ok_and(|mut reader| reader.read_to_end(&mut scanned).is_ok());
    let Ok(reader) = CompressReader::with_options(&stored, options()) else { return };
    let is_verified = reader.verify(|_| ()).is_ok();
    let mut plain = Vec::new();
    let is_read = reader.clone().read_to_end(&mut plain).is_ok();
    if is_read {
        laws::places(&reader, &plain, &mut input);
    }
    if is_verified {
        assert!(is_read && is_scanned && plain == scanned, "two strict readers");
        assert_eq!(reader.len(), plain.len() as u64);
        salvaged.check(&plain);
        assert!(salvaged.is_whole(), "{:?}", salvaged.gaps);
    }
}

/// Any bytes go to a decoder, under checksums that hold: what comes out has the stated length.
pub fn codec(data: &[u8]) {
    let mut input = Input::new(data);
    let codec = input.byte() % 4;
    let plain_len = match input.flag() {
        true => u32::from(input.u16()) % 4096,
        false => input.number() as u32,
    };
    let payload = input.rest();
    let mut header = FrameHeader::data(LayerId::COMPRESSION, PACK, 0, 0)
        .with_lengths(plain_len, payload.len() as u32);
    (header.codec, header.last) = (codec, true);
    let stored = [&header.sealed(payload).encode()[..], payload].concat();
    let options = || options().max_block(1 << 20);
    let mut plain = Vec::new();
    let is_read = CompressReader::open_scan(&stored, options())
        .is_ok_and(|mut reader| reader.read_to_end(&mut plain).is_ok());
    let reader = CompressFailSafe::new(PlainSource::new(&stored[..]), options());
    let salvaged = laws::salvage(reader, &mut Input::new(&[1; 8]));
    if is_read {
        assert_eq!(plain.len(), plain_len as usize);
        salvaged.check(&plain);
    }
}

/// Payloads of each codec.
pub fn codec_seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (plain, stored) in samples() {
        for (at, header) in damage::frames(stored).into_iter().take(2) {
            let payload = &stored[at + 96..][..header.stored_len as usize];
            if payload.len() < 1000 && !plain.is_empty() {
                let len = (header.plain_len as u16).to_le_bytes();
                seeds.push([&[header.codec, 1, len[0], len[1]], payload].concat());
            }
        }
    }
    seeds
}

fn options() -> ReadOptions {
    ReadOptions::default().threads(1)
}

fn sample(input: &mut Input<'_>) -> &'static (Vec<u8>, Vec<u8>) {
    let samples = samples();
    &samples[input.below(samples.len())]
}

/// Short streams of all codecs and kinds of content, most of several frames, plain and stored.
fn samples() -> &'static [(Vec<u8>, Vec<u8>)] {
    static SAMPLES: OnceLock<Vec<(Vec<u8>, Vec<u8>)>> = OnceLock::new();
    SAMPLES.get_or_init(|| {
        let mut samples = vec![(Vec::new(), store(b"", Codec::Stored, 1))];
        for codec in [Codec::Stored, Codec::Brotli(1), Codec::Brotli(9), Codec::Zstd(1)] {
            let text = b"bed upon bed, layer upon layer; ".repeat(60);
            let mixed = [&noise(2, 700)[..], &text, &[0; 900]].concat();
            for (plain, unit) in
                [(text.clone(), 4096), (text, 700), (mixed.clone(), 500), (mixed, 90)]
            {
                let stored = store(&plain, codec, unit);
                samples.push((plain, stored));
            }
        }
        samples
    })
}

fn store(plain: &[u8], codec: Codec, unit: u32) -> Vec<u8> {
    let options = CompressOptions::default().codec(codec).block_size(64 << 10).pack_id(PACK);
    let mut writer = CompressWriter::with_options(Vec::new(), options.threads(1))
        .expect("the options are allowed");
    writer.seek_unit(unit);
    for piece in plain.chunks(333) {
        writer.boundary();
        writer.write_all(piece).expect("a Vec takes all");
    }
    writer.finish().expect("a Vec takes all")
}
