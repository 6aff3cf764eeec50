//! Whole packs, after accidents, and after changes by someone without the key.

use std::io::{Read, Write};
use std::sync::OnceLock;

use carstone::compress::Codec;
use carstone::pack::{PackOptions, PackWriter};
use carstone::stack::{self, Format, OpenOptions, Protection, WriteOptions};

use crate::built::PACK;
use crate::damage;
use crate::input::{Input, choices};
use crate::laws;
use crate::pack::{fill, filled};
use crate::salvage::{self, Salvaged};
use crate::sources::Stutter;
use crate::tree::{Streamed, Tree, at_random, forward};
use crate::vectors;

const KEY: [u8; 32] = [0x4b; 32];

/// A pack, and the CAR stream in it.
struct Sample {
    stored: Vec<u8>,
    car: Vec<u8>,
    /// Whether a layer checks its bytes: else only blocks are checked.
    has_frames: bool,
    is_encrypted: bool,
}

/// Whatever comes out of a pack at random is what was packed.
pub fn open(data: &[u8]) {
    let mut input = Input::new(data);
    let (sample, stored) = changed(&mut input);
    let is_sound = stored == sample.stored;
    let Ok(opened) = stack::open(stored, &KEY, &few_threads()) else {
        assert!(!is_sound, "a sound pack opens");
        return;
    };
    if sample.has_frames {
        laws::places(opened.source(), &sample.car, &mut input);
    }
    let Ok(reader) = opened.pack() else {
        assert!(!is_sound, "a sound pack has a tail");
        return;
    };
    let (tree, failure) = at_random(&reader);
    let all = filled();
    check(&tree, &all);
    assert!(failure.is_none() || !is_sound, "{failure:?}");
    assert!(tree == all || !is_sound);
}

/// A pack whose stack is sound gives everything.
pub fn verify(data: &[u8]) {
    let mut input = Input::new(data);
    let (sample, stored) = changed(&mut input);
    let is_sound = stored == sample.stored;
    let checked = stack::verify(stored.clone(), &KEY, &few_threads(), &mut |_, _| ());
    let no_key = |_: &[u8]| Ok(None);
    let without = stack::verify(stored.clone(), no_key, &few_threads(), &mut |_, _| ());
    let is_verified = checked.is_ok_and(|check| check.is_sound() && !check.frames_only);
    assert!(is_verified || !is_sound, "a sound pack is verified");
    if !is_verified {
        return;
    }
    assert!(without.is_ok_and(|check| check.is_sound()), "what holds with a key holds without");
    let opened = stack::open(stored, &KEY, &few_threads()).expect("it was verified");
    if sample.has_frames {
        let mut car = vec![0; opened.len() as usize];
        let read = carstone::layer::read_full(opened.source(), &mut car, 0);
        assert_eq!(read.expect("it was verified"), car.len());
        assert!(car == sample.car, "it was verified");
    }
}

/// Whatever comes out of a pack front to back is what was packed, in whatever pieces it arrives.
pub fn stream(data: &[u8]) {
    let mut input = Input::new(data);
    let (sample, stored) = changed(&mut input);
    let got = streamed(&stored[..]);
    let all = filled();
    check(&got.tree, &all);
    assert!(!got.is_whole() || got.tree == all, "the end without an error, and not everything");
    assert!(got.is_whole() || stored != sample.stored, "{:?}", got.failure);
    let pieces = streamed(Stutter::new(&stored, &mut input));
    assert!(pieces.tree == got.tree && pieces.is_whole() == got.is_whole());
}

fn streamed(source: impl Read + Send) -> Streamed {
    match stack::stream(source, &KEY, &few_threads()) {
        Ok(streamed) => {
            let id = streamed.pack_id();
            forward(streamed, id)
        }
        Err(error) => Streamed { failure: Some(error.into()), ..Streamed::default() },
    }
}

/// A stack that goes on behind damage gives the CAR stream, and says what is missing.
pub fn fail_safe(data: &[u8]) {
    let mut input = Input::new(data);
    let (sample, stored) = changed(&mut input);
    let salvaged = match stack::fail_safe(&stored[..], &KEY, &few_threads()) {
        Ok(stack) => laws::salvage(stack.reader, &mut input),
        Err(_) => return,
    };
    if sample.has_frames {
        // A position footer that is hit cannot be told from content, which then seems to be longer.
        for (at, bytes) in &salvaged.stretches {
            let rest = usize::try_from(*at).ok().and_then(|at| sample.car.get(at..));
            let due = rest.unwrap_or_default();
            let known = due.len().min(bytes.len());
            assert!(due[..known] == bytes[..known], "wrong bytes at {at}");
            assert!(bytes.len() <= known + 64, "bytes behind the end");
        }
        let is_short = salvaged.end < sample.car.len() as u64;
        assert!(salvaged.is_open || !is_short, "{} bytes", salvaged.end);
    }
    let whole = salvaged.is_whole() || stored != sample.stored;
    assert!(whole, "{:?}", salvaged.gaps);
}

/// What is put together of a damaged pack is what was packed, in whatever pieces it arrives.
pub fn salvage(data: &[u8]) {
    let mut input = Input::new(data);
    let (sample, stored) = changed(&mut input);
    let all = filled();
    let Some(whole) = salvaged(&stored[..]) else { return };
    whole.check(&all);
    if stored == sample.stored {
        assert!(whole.tree == all && !whole.is_damaged, "a sound pack is whole");
    }
    let pieces = salvaged(Stutter::new(&stored, &mut input)).expect("it could be read before");
    assert!(pieces.tree == whole.tree && pieces.partial == whole.partial);
}

fn salvaged(source: impl Read + Send) -> Option<Salvaged> {
    let salvage = stack::salvage(source, &KEY, &few_threads()).ok()?;
    salvage::read(salvage)
}

/// A pack that is mended is the pack that was, or says what it lacks; and is read like any other.
pub fn heal(data: &[u8]) {
    let mut input = Input::new(data);
    let samples = samples();
    let sample = &samples[input.below(samples.len())];
    let mut stored = sample.stored.clone();
    let is_forged = sample.is_encrypted && input.flag();
    match is_forged {
        true => damage::tampering(&mut stored, &mut input),
        false => damage::accidents(&mut stored, &mut input),
    }
    let Ok(healed) = stack::heal(&stored[..], &few_threads(), &mut |_| {}) else {
        assert!(stored != sample.stored, "a sound pack is no worse for it");
        return;
    };
    let report = healed.report();
    let mut mended = Vec::new();
    let most = stored.len() as u64 + (1 << 20) + 96 * (1 << 22);
    assert!(healed.len() <= most);
    if healed.len() > 1 << 24 {
        // A forged frame opens a gap that takes long to fill.
        assert!(is_forged);
        return;
    }
    healed.copy_to(&mut mended, &mut |_| {}).expect("memory can be read");
    assert_eq!(mended.len() as u64, healed.len());
    assert!(!report.is_unchanged || mended == stored);
    if report.is_original() && !is_forged {
        assert!(mended == sample.stored, "not the original: {report:?}");
    }
    assert!(report.is_unchanged || stored != sample.stored, "{report:?}");
    if is_forged {
        return;
    }
    if sample.has_frames {
        let salvaged = stack::fail_safe(&mended[..], &KEY, &few_threads());
        let salvaged = laws::salvage(salvaged.expect("it has a header").reader, &mut input);
        for (at, bytes) in &salvaged.stretches {
            let rest = usize::try_from(*at).ok().and_then(|at| sample.car.get(at..));
            let known = rest.unwrap_or_default().len().min(bytes.len());
            assert!(rest.unwrap_or_default()[..known] == bytes[..known], "wrong bytes at {at}");
        }
    }
    let again = stack::heal(&mended[..], &few_threads(), &mut |_| {}).expect("it was mended");
    let mut twice = Vec::new();
    again.copy_to(&mut twice, &mut |_| {}).expect("memory can be read");
    assert!(twice == mended, "a second repair finds more to do: {:?}", again.report());
}

/// Any bytes as a pack, with and without a key.
pub fn any(data: &[u8]) {
    let format = stack::detect(data);
    let options = few_threads();
    if let Ok(stored) = stack::inspect(data.to_vec(), &options) {
        assert_eq!(format, Format::Pack);
        let _ = stored.recipients();
    }
    if let Ok(opened) = stack::open(data.to_vec(), &KEY, &options)
        && let Ok(reader) = opened.pack()
    {
        at_random(&reader);
        let _ = reader.verify(&mut |_| {}, &mut |_| {});
    }
    let _ = stack::verify(data.to_vec(), &KEY, &options, &mut |_, _| ());
    streamed(data);
    salvaged(data);
    let no_key = |_: &[u8]| Ok(None);
    if let Ok(stack) = stack::fail_safe(data, no_key, &options) {
        laws::salvage(stack.reader, &mut Input::new(&[]));
    }
}

/// The smaller packs of the shared vectors.
pub fn any_seeds() -> Vec<Vec<u8>> {
    let packs = vectors::PACKS.map(<[u8]>::to_vec).to_vec();
    let own = samples().iter().map(|sample| sample.stored.clone()).collect();
    let starts = vec![b"\x0a\xa1gversion\x02".to_vec(), b"\x11\xa2eroots\x80gversion\x01".to_vec()];
    [choices(), packs, own, starts].concat()
}

/// Nothing came out that was not put in.
fn check(some: &Tree, all: &Tree) {
    for (path, item) in some {
        assert_eq!(Some(item), all.get(path), "{}", path.escape_ascii());
    }
}

/// A pack that the input chooses, changed as it says.
fn changed(input: &mut Input<'_>) -> (&'static Sample, Vec<u8>) {
    let samples = samples();
    let sample = &samples[input.below(samples.len())];
    let mut stored = sample.stored.clone();
    match sample.is_encrypted {
        true => damage::tampering(&mut stored, input),
        false => damage::accidents(&mut stored, input),
    }
    (sample, stored)
}

/// Stored bytes of a sample.
pub(crate) struct Stored {
    pub(crate) bytes: &'static [u8],
    pub(crate) has_frames: bool,
}

/// One of the samples, as it was written.
pub(crate) fn carvable(input: &mut Input<'_>) -> Stored {
    let samples = samples();
    let sample = &samples[input.below(samples.len())];
    Stored { bytes: &sample.stored, has_frames: sample.has_frames }
}

/// A small pack in every combination of layers.
fn samples() -> &'static [Sample] {
    static SAMPLES: OnceLock<Vec<Sample>> = OnceLock::new();
    SAMPLES.get_or_init(|| {
        let codecs = [None, Some(Codec::Stored), Some(Codec::Brotli(5)), Some(Codec::Zstd(1))];
        let all = codecs.iter().flat_map(|codec| [(*codec, false), (*codec, true)]);
        all.map(|(codec, is_encrypted)| sample(codec, is_encrypted)).collect()
    })
}

fn sample(codec: Option<Codec>, is_encrypted: bool) -> Sample {
    let mut options = WriteOptions::default().danger_pack_id(PACK).block_size(64 << 10).threads(1);
    options = match codec {
        Some(codec) => options.codec(codec),
        None => options.without_compression(),
    };
    if is_encrypted {
        options = options.protection(Protection::content_key(KEY));
    }
    let mut pipe = stack::write(Vec::new(), options).expect("a Vec takes all");
    pipe.flush().expect("a Vec takes all");
    let options = PackOptions::default().threads(1);
    let mut writer = PackWriter::with_options(pipe, PACK, options).expect("a Vec takes all");
    fill(&mut writer).expect("a Vec takes all");
    let (pipe, _) = writer.finish().expect("a Vec takes all");
    let stored = pipe.finish().expect("a Vec takes all");
    let opened = stack::open(stored.clone(), &KEY, &few_threads()).expect("just written");
    let mut car = vec![0; opened.len() as usize];
    carstone::layer::read_full(opened.source(), &mut car, 0).expect("just written");
    Sample { stored, car, has_frames: codec.is_some() || is_encrypted, is_encrypted }
}

fn few_threads() -> OpenOptions {
    OpenOptions::default().threads(1)
}
