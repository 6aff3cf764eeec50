//! CARs: header, sections, and the three ways to read a stream of them.

use std::io::{Cursor, Read};

use carstone::car::{
    Block, CarReader, CarSlice, CarWriter, Cid, ErrorKind, Header, Limits, ReaderOptions, cid_of,
    hash_code, multihash_of, parse_section, replace_roots, verify,
};

use crate::damage;
use crate::input::{Input, choices, noise};
use crate::sources::Stutter;

/// Any bytes as the body of a header: what is read encodes to the same bytes.
pub fn header(data: &[u8]) {
    let Ok(header) = Header::decode(data, &Limits::default()) else { return };
    let bytes = header.encode();
    assert_eq!(bytes.len(), header.encoded_len());
    assert!(bytes.ends_with(data), "there is one way to write a header");
    let none = Limits::default().roots(0);
    assert_eq!(Header::decode(data, &none).is_ok(), header.roots.is_empty());
}

/// Bodies of headers.
pub fn header_seeds() -> Vec<Vec<u8>> {
    let body = |roots: &[Cid]| Header { roots: roots.to_vec() }.encode()[1..].to_vec();
    let all = blocks(&mut Input::new(&noise(1, 60)));
    let some: Vec<Cid> = all.iter().map(|block| block.cid).take(2).collect();
    vec![body(&[]), body(&some[..1]), body(&some), b"\xa1gversion\x02".to_vec()]
}

/// Any bytes as a section: what is read is written to the same bytes, and more bytes change nothing.
pub fn section(data: &[u8]) {
    let limits = Limits::default();
    match parse_section(data, &limits) {
        Ok(head) => {
            assert_eq!(head.len(), head.head_len + head.data_len);
            let body = noise(1, head.data_len.min(1 << 16));
            if body.len() == head.data_len {
                let mut writer = CarWriter::append(Vec::new(), 0);
                writer.danger_write_unverified(&head.cid, &body).expect("what is read is written");
                let section = writer.finish().expect("a Vec takes all");
                assert_eq!(section[..head.head_len], data[..head.head_len]);
            }
            assert_eq!(parse_section(&data[..head.head_len], &limits).expect("a head"), head);
            if let Some(body) = data.get(head.head_len..head.len()) {
                let _ = verify(&head.cid, body);
            }
        }
        Err(error) => {
            if let ErrorKind::NeedMore { at_least, .. } = error.kind() {
                assert!(*at_least > data.len(), "more than there is");
                let longer = [data, &[0; 80]].concat();
                let _ = parse_section(&longer, &limits);
            }
        }
    }
}

/// Sections with CIDs of all kinds.
pub fn section_seeds() -> Vec<Vec<u8>> {
    let section = |block: &Block| {
        let mut writer = CarWriter::append(Vec::new(), 0);
        writer.write_block(&block.cid, &block.data).expect("a Vec takes all");
        writer.finish().expect("a Vec takes all")
    };
    (0..8).flat_map(|seed| blocks(&mut Input::new(&noise(seed, 60)))).map(|b| section(&b)).collect()
}

/// A CAR that may be damaged anywhere, or any bytes: all readers give the same verified blocks and the same error.
pub fn stream(data: &[u8]) {
    let mut input = Input::new(data);
    let (mut bytes, originals) = match input.one_in(4) {
        true => (input.text(200).to_vec(), Vec::new()),
        false => sample(&mut input),
    };
    let before = bytes.clone();
    damage::tampering(&mut bytes, &mut input);
    let mut options = ReaderOptions::default();
    if input.flag() {
        options = options.zero_section_is_end(true);
    }
    if input.one_in(3) {
        options = options.limits(Limits::default().section(input.below(200)).cid(input.below(90)));
    }
    if input.one_in(4) {
        options = options.danger_accept_unverifiable();
    }
    let (found, end) = by_slice(&bytes, options);
    let streamed = by_stream(&bytes[..], options);
    let pieces = by_stream(Stutter::new(&bytes, &mut input), options);
    assert_eq!(streamed, (found.clone(), end.clone()), "slice and stream");
    assert_eq!(pieces, streamed, "pieces make a difference");
    if options == ReaderOptions::default() {
        found.iter().for_each(|block| verify(&block.cid, &block.data).expect("verified"));
        if bytes == before && !originals.is_empty() {
            assert_eq!((&found, &end), (&originals, &None));
        }
    }
    if end.is_none() {
        rewrite(&bytes, options);
    }
    skip(&bytes, options, &mut input);
}

/// A CAR that was read to its end without an error is what a writer makes of its blocks.
fn rewrite(bytes: &[u8], options: ReaderOptions) {
    let Ok(car) = CarSlice::with_options(bytes, options) else { return };
    let mut writer = CarWriter::new(Vec::new(), car.roots()).expect("roots that were read");
    for (section, block) in car.blocks().map_while(Result::ok) {
        let written = writer.danger_write_unverified(&block.cid, block.data);
        assert_eq!(written.expect("what is read is written"), section);
    }
    let again = writer.finish().expect("a Vec takes all");
    let padding = bytes.strip_prefix(&again[..]).expect("the same bytes");
    assert!(padding.is_empty() || options.zero_section_is_end && padding[0] == 0);
    let mut roots = car.roots().to_vec();
    roots.reverse();
    let mut file = Cursor::new(bytes.to_vec());
    if replace_roots(&mut file, &roots).is_ok() {
        let swapped = file.into_inner();
        let car = CarSlice::with_options(&swapped, options).expect("still a CAR");
        assert_eq!(car.roots(), roots);
    }
}

/// Sections that are passed over lie where those lie that are read.
fn skip(bytes: &[u8], options: ReaderOptions, input: &mut Input<'_>) {
    let options = options.danger_skip_verification();
    let Ok(mut plain) = CarReader::with_options(bytes, options) else { return };
    let mut mixed = CarReader::with_options(Cursor::new(bytes), options).expect("the same header");
    let mut data = Vec::new();
    loop {
        let due = plain.next_section();
        let found = match input.below(3) {
            0 => mixed.read_block(&mut data),
            1 => mixed.next_section(),
            _ => mixed.skip_section(),
        };
        match (due, found) {
            (Ok(Some(due)), Ok(Some(found))) => assert_eq!(due, found),
            (Ok(None), Ok(None)) => return,
            // Skipping may run into the end later than reading does.
            (Err(_), Ok(Some(_)) | Err(_)) => return,
            (due, found) => panic!("{due:?} or {found:?}"),
        }
        assert_eq!(plain.position(), mixed.position());
    }
}

type Outcome = (Vec<Block>, Option<String>);

fn by_slice(bytes: &[u8], options: ReaderOptions) -> Outcome {
    let car = match CarSlice::with_options(bytes, options) {
        Ok(car) => car,
        Err(error) => return (Vec::new(), Some(error.to_string())),
    };
    let mut found = Vec::new();
    for item in car.blocks() {
        match item {
            Ok((section, block)) => {
                let again = car.block_at(section.offset).expect("it was read").expect("there");
                assert_eq!(again, (section, block));
                found.push(block.to_block());
            }
            Err(error) => return (found, Some(error.to_string())),
        }
    }
    (found, None)
}

fn by_stream(source: impl Read, options: ReaderOptions) -> Outcome {
    let mut reader = match CarReader::with_options(source, options) {
        Ok(reader) => reader,
        Err(error) => return (Vec::new(), Some(error.to_string())),
    };
    let mut found = Vec::new();
    loop {
        match reader.next_block() {
            Ok(Some(block)) => found.push(block),
            Ok(None) => return (found, None),
            Err(error) => return (found, Some(error.to_string())),
        }
    }
}

/// Choices, and a CAR in the bytes themselves.
pub fn stream_seeds() -> Vec<Vec<u8>> {
    let (bytes, _) = sample(&mut Input::new(&noise(1, 60)));
    let whole = [&[3, bytes.len() as u8][..], &bytes].concat();
    [choices(), vec![whole]].concat()
}

/// A CAR of a few blocks, and these blocks.
fn sample(input: &mut Input<'_>) -> (Vec<u8>, Vec<Block>) {
    let blocks = blocks(input);
    let roots: Vec<Cid> = blocks.iter().take(input.below(4)).map(|block| block.cid).collect();
    let mut writer = CarWriter::new(Vec::new(), &roots).expect("a Vec takes all");
    for block in &blocks {
        writer.write_block(&block.cid, &block.data).expect("a Vec takes all");
    }
    (writer.finish().expect("a Vec takes all"), blocks)
}

/// Blocks under CIDs of all kinds.
pub(crate) fn blocks(input: &mut Input<'_>) -> Vec<Block> {
    use hash_code::{BLAKE2B_256, BLAKE3, DBL_SHA2_256, IDENTITY, SHA2_256, SHA2_512, SHA3_512};
    let codes =
        [SHA2_256, SHA2_256, IDENTITY, BLAKE2B_256, SHA3_512, SHA2_512, BLAKE3, DBL_SHA2_256];
    let block = |input: &mut Input<'_>| {
        let code = input.pick(&codes);
        let data = noise(u64::from(input.byte()), input.pick(&[0, 1, 20, 60, 300]));
        let hash = multihash_of(code, &data)?;
        let cid = match input.below(4) {
            0 => Cid::new_v0(*cid_of(0x70, &data).hash()).ok()?,
            1 => Cid::new_v1(input.number() & (u64::MAX >> 1), hash),
            _ => Cid::new_v1(0x55, hash),
        };
        Some(Block { cid, data })
    };
    (0..input.below(6)).filter_map(|_| block(input)).collect()
}
