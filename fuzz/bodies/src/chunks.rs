//! Chunkers: their texts, and where they cut.

use carstone::unixfs::{Chunker, ChunkerSpec, Profile};

use crate::input::{Input, choices, noise};
use crate::sources::Stutter;

/// Any text as a chunker, and any content cut by one: chunks make up the content, and lie in the same places however it arrives.
pub fn chunks(data: &[u8]) {
    let mut input = Input::new(data);
    if let Ok(spec) = String::from_utf8_lossy(input.text(24)).parse::<ChunkerSpec>() {
        assert_eq!(spec.to_string().parse::<ChunkerSpec>().expect("its own text"), spec);
        assert!(
            spec.min() >= 1 && spec.min() <= spec.max() && spec.max() <= ChunkerSpec::MAX_CHUNK
        );
    }
    let spec = spec(&mut input);
    assert_eq!(spec.to_string().parse::<ChunkerSpec>().expect("its own text"), spec);
    let profile = Profile::unixfs_v0_2015().with_chunker(spec);
    assert_eq!((profile.chunker(), profile.chunk_size()), (spec, spec.max()));
    let content = content(&mut input);
    let (mut rest, mut due) = (&content[..], Vec::new());
    while let Some(cut) = spec.cut(rest, true) {
        due.push(cut);
        let known = input.below(rest.len() + 1);
        let early = spec.cut(&rest[..known], false);
        assert!(early.is_none_or(|early| early == cut), "another cut with {known} bytes known");
        // FastCDC looks at pairs of bytes.
        assert!(early.is_some() || known <= cut + 2, "enough is known");
        rest = &rest[cut..];
    }
    assert!(rest.is_empty(), "chunks make up the content");
    if let Some((last, others)) = due.split_last() {
        assert!(*last <= spec.max());
        assert!(others.iter().all(|len| (spec.min()..=spec.max()).contains(len)));
    }
    let streamed = cut(spec.over(&content[..]), &content);
    assert_eq!(streamed, due, "slice and stream");
    assert_eq!(cut(spec.over(Stutter::new(&content, &mut input)), &content), due, "pieces");
}

/// Lengths of the chunks, which are those of `content`.
fn cut(mut chunker: impl Chunker, mut content: &[u8]) -> Vec<usize> {
    let (mut chunk, mut lens) = (b"old".to_vec(), Vec::new());
    while chunker.next_chunk(&mut chunk).expect("the source never fails") {
        content = content.strip_prefix(&chunk[..]).expect("the bytes of the content");
        lens.push(chunk.len());
    }
    assert!(content.is_empty() && chunk.is_empty());
    lens
}

/// A chunker of small chunks.
pub(crate) fn spec(input: &mut Input<'_>) -> ChunkerSpec {
    match input.one_in(3) {
        true => ChunkerSpec::fastcdc(input.pick(&[256, 512])).expect("a power of two"),
        false => ChunkerSpec::fixed(1 + input.below(40)).expect("allowed"),
    }
}

/// Noise, repetitions, and what the input says.
fn content(input: &mut Input<'_>) -> Vec<u8> {
    let mut content = Vec::new();
    for _ in 0..input.below(5) {
        let len = input.below(3000);
        match input.below(3) {
            0 => content.extend(noise(u64::from(input.byte()), len)),
            1 => content.resize(content.len() + len, input.byte()),
            _ => content.extend_from_slice(input.text(300)),
        }
    }
    content
}

/// Texts of chunkers.
pub fn chunks_seeds() -> Vec<Vec<u8>> {
    let texts = ["fixed:1", "fixed:256K", "fastcdc:64k", "fastcdc:4M", "fixed:8388352"];
    let text = |text: &str| [&[text.len() as u8][..], text.as_bytes(), &noise(3, 40)].concat();
    choices().into_iter().chain(texts.map(text)).collect()
}
