//! CARs of both versions: the ways to read them, and the writer of files.

use std::io::{self, Cursor, Read, Write};

use carstone::car::{
    Block, CarFileWriter, CarReader, CarSlice, Cid, ErrorKind, FileOptions, Header, IndexCodec,
    IndexedCar, Limits, ReaderOptions, V2_PRAGMA, V2Header, section_len, verify,
};
use carstone::stack::{Format, detect};

use crate::car::blocks;
use crate::damage;
use crate::input::{Input, choices, noise};
use crate::sources::Stutter;

/// What comes of reading, up to the first error behind which nothing can be read; none if not even the header can.
pub(crate) type Outcome = Vec<Result<Block, String>>;

/// A CARv2 with padding and index that may be damaged anywhere, or any bytes behind its pragma: all readers give the same blocks and errors.
pub fn v2(data: &[u8]) {
    let mut input = Input::new(data);
    let (mut bytes, originals) = match input.one_in(6) {
        true => ([&V2_PRAGMA[..], input.text(250)].concat(), Vec::new()),
        false => {
            let sample = Sample::new(&mut input);
            (sample.write(&mut input), sample.blocks)
        }
    };
    let before = bytes.clone();
    damage::tampering(&mut bytes, &mut input);
    for _ in 0..input.below(4) {
        misplace(&mut bytes, &mut input);
    }
    let mut options = ReaderOptions::default();
    if input.flag() {
        options = options.zero_section_is_end(true);
    }
    if input.one_in(8) {
        options = options.only_v1(true);
    }
    if input.one_in(4) {
        options = options.limits(Limits::default().section(input.below(200)).cid(input.below(90)));
    }
    if input.one_in(4) {
        options = options.danger_accept_unverifiable();
    }
    let sliced = by_slice(&bytes, options);
    let seeked = outcome(CarReader::open_seekable(Cursor::new(&bytes), options));
    let streamed = outcome(CarReader::with_options(&bytes[..], options));
    let pieces = outcome(CarReader::with_options(Stutter::new(&bytes, &mut input), options));
    assert_eq!(sliced, seeked, "slice and file");
    assert_eq!(pieces, streamed, "pieces make a difference");
    let start = bytes.get(V2_PRAGMA.len()..).and_then(<[u8]>::first_chunk);
    let header = |start: &[u8; 40], len| V2Header::decode(start, len).map_err(|e| e.to_string());
    let is_cut = bytes.starts_with(&V2_PRAGMA)
        && start
            .is_some_and(|start| header(start, None) != header(start, Some(bytes.len() as u64)));
    // Only who knows the length of the file sees at the start that the header lies about it.
    if !is_cut {
        assert_eq!(streamed, seeked, "stream and file");
    }
    if options.verification() == ReaderOptions::default().verification() {
        let found = sliced.iter().chain(&streamed).flatten();
        found.for_each(|block| verify(&block.cid, &block.data).expect("verified"));
    }
    if options == ReaderOptions::default() && bytes == before && !originals.is_empty() {
        assert_eq!(sliced, originals.into_iter().map(Ok).collect::<Outcome>());
    }
    if let Ok(car) = CarSlice::with_options(&bytes, options) {
        let format = if car.version() == 2 { Format::CarV2 } else { Format::Car };
        assert_eq!(detect(&bytes[..bytes.len().min(64)]), format, "a CAR that is not seen as one");
        inside(&car, &bytes, options);
    }
}

/// The payload is a CARv1 with the same sections.
fn inside(car: &CarSlice<'_>, bytes: &[u8], options: ReaderOptions) {
    let Ok(plain) = CarSlice::with_options(car.payload(), options.only_v1(true)) else {
        panic!("the payload is no CARv1");
    };
    assert_eq!((plain.roots(), plain.payload_start()), (car.roots(), 0));
    let sections = |car: &CarSlice<'_>| -> Vec<_> {
        car.blocks().map(|item| item.map(|(section, _)| section).map_err(drop)).collect()
    };
    assert_eq!(sections(&plain), sections(car));
    let mut skipper = CarReader::open_seekable(Cursor::new(bytes), options).expect("as the slice");
    assert_eq!(skipper.payload_start(), car.payload_start());
    let mut reader = CarReader::with_options(bytes, options).expect("as the slice");
    loop {
        match (reader.next_section(), skipper.skip_section()) {
            (Ok(found), Ok(skipped)) => {
                assert_eq!(found, skipped);
                if found.is_none() {
                    return;
                }
            }
            (Err(_), Err(_)) => return,
            (found, skipped) => panic!("{found:?} or {skipped:?}"),
        }
    }
}

/// Changes a place or a characteristic in the header of a CARv2.
pub(crate) fn misplace(bytes: &mut [u8], input: &mut Input<'_>) {
    let Some(header) = bytes.get_mut(V2_PRAGMA.len()..).and_then(<[u8]>::first_chunk_mut::<40>)
    else {
        return;
    };
    match input.below(4) {
        0 => header[input.below(16)] = input.byte(),
        field => {
            let field = &mut header[8 + 8 * field..][..8];
            let mut old = [0; 8];
            old.copy_from_slice(field);
            let old = u64::from_le_bytes(old);
            let new = match input.below(4) {
                0 => old.wrapping_add(1),
                1 => old.wrapping_sub(1 + input.below(60) as u64),
                2 => old.wrapping_add(input.below(60) as u64),
                _ => input.number(),
            };
            field.copy_from_slice(&new.to_le_bytes());
        }
    }
}

fn by_slice(bytes: &[u8], options: ReaderOptions) -> Outcome {
    let car = match CarSlice::with_options(bytes, options) {
        Ok(car) => car,
        Err(error) => return vec![Err(error.to_string())],
    };
    let text = |error: carstone::car::Error| error.to_string();
    car.blocks().map(|item| item.map(|(_, block)| block.to_block()).map_err(text)).collect()
}

pub(crate) fn outcome(reader: carstone::car::Result<CarReader<impl Read>>) -> Outcome {
    let text = |error: carstone::car::Error| error.to_string();
    match reader {
        Ok(reader) => reader.into_iter().map(|item| item.map_err(text)).collect(),
        Err(error) => vec![Err(text(error))],
    }
}

/// What a writer of files is given.
pub(crate) struct Sample {
    pub(crate) roots: Vec<Cid>,
    pub(crate) blocks: Vec<Block>,
    pub(crate) options: FileOptions,
}

impl Sample {
    pub(crate) fn new(input: &mut Input<'_>) -> Self {
        let mut blocks = blocks(input);
        if input.one_in(4) && !blocks.is_empty() {
            blocks.push(blocks[input.below(blocks.len())].clone());
        }
        let roots = blocks.iter().take(input.below(4)).map(|block| block.cid).collect();
        let codecs = [Some(IndexCodec::MultihashSorted), Some(IndexCodec::Sorted), None];
        let options = FileOptions::v2().index(input.pick(&codecs)).index_identity(input.flag());
        let options = options.data_padding(input.pick(&[0, 0, 1, 13, 300]));
        let options = options.index_padding(input.pick(&[0, 0, 1, 13, 300]));
        Self { roots, blocks, options }
    }

    /// The CARv2, or now and then the CARv1 in it.
    pub(crate) fn write(&self, input: &mut Input<'_>) -> Vec<u8> {
        let options = match input.one_in(8) {
            true => FileOptions::v1(),
            false => self.options,
        };
        self.write_with(options)
    }

    pub(crate) fn write_with(&self, options: FileOptions) -> Vec<u8> {
        let sink = Cursor::new(Vec::new());
        let mut writer =
            CarFileWriter::with_options(sink, &self.roots, options).expect("a Vec takes all");
        for block in &self.blocks {
            writer.write_block(&block.cid, &block.data).expect("a Vec takes all");
        }
        writer.finish().expect("a Vec takes all").into_inner()
    }

    fn payload_len(&self) -> u64 {
        let header = Header { roots: self.roots.clone() }.encoded_len() as u64;
        let len = |block: &Block| section_len(&block.cid, block.data.len() as u64);
        self.blocks.iter().map(len).fold(header, |sum, len| sum + len)
    }
}

/// What is written is read, with an index that is sound; whoever knows the length before writes the same bytes into a stream.
pub fn writer(data: &[u8]) {
    let mut input = Input::new(data);
    let sample = Sample::new(&mut input);
    let options = if input.one_in(4) { FileOptions::v1() } else { sample.options };
    let options = options.index_budget(input.pick(&[0, 1 << 20]));
    let front = input.text(20);
    let mut sink = Cursor::new(Vec::new());
    sink.write_all(front).expect("a Vec takes all");
    // Other roots of the same length stand there first.
    let mut first = sample.roots.clone();
    first.reverse();
    let mut writer = CarFileWriter::with_options(sink, &first, options).expect("a Vec takes all");
    for block in &sample.blocks {
        let position = writer.position();
        if input.one_in(4) {
            let other = [&block.data[..], b"other"].concat();
            assert!(writer.write_block(&block.cid, &other).is_err(), "another block");
        }
        let section = writer.write_block(&block.cid, &block.data).expect("a Vec takes all");
        assert_eq!((section.offset, section.cid), (position, block.cid));
        assert_eq!(section.end(), writer.position());
    }
    if options.version() == 2 {
        let half = CarSlice::parse(&writer.get_ref().get_ref()[front.len()..]);
        let error = half.expect_err("a CARv2 that is not finished");
        assert!(matches!(error.kind(), ErrorKind::Unfinished), "{error}");
    }
    let sink = writer.finish_with_roots(&sample.roots).expect("roots of the same length");
    assert_eq!(sink.position(), sink.get_ref().len() as u64);
    let stored = sink.into_inner();
    let file = stored.strip_prefix(front).expect("what stood there stays");
    read_back(&sample, options, file);
    let len = sample.payload_len();
    let streamed = sized(&sample, len, options).expect("a Vec takes all");
    assert!(streamed == file, "sized and seeking writer");
    let wrong = match input.flag() {
        true => len + 1 + input.below(300) as u64,
        false => len - 1 - input.below(300).min(len as usize - 1) as u64,
    };
    sized(&sample, wrong, options).expect_err("another length than was said");
}

fn sized(sample: &Sample, payload_len: u64, options: FileOptions) -> io::Result<Vec<u8>> {
    let mut writer = CarFileWriter::sized(Vec::new(), &sample.roots, payload_len, options)?;
    for block in &sample.blocks {
        writer.write_block(&block.cid, &block.data)?;
    }
    writer.finish()
}

fn read_back(sample: &Sample, options: FileOptions, file: &[u8]) {
    let car = CarSlice::parse(file).expect("just written");
    assert_eq!((car.version(), car.roots()), (options.version(), &sample.roots[..]));
    assert_eq!(car.payload().len() as u64, sample.payload_len());
    let found: Vec<Block> =
        car.blocks().map(|item| item.expect("just written").1.to_block()).collect();
    assert_eq!(found, sample.blocks);
    let Some(v2) = car.v2_header().copied() else { return };
    let padding = file[51..v2.data_offset as usize].iter();
    let between = v2.data_end() as usize..v2.index_offset.map_or(file.len(), |at| at as usize);
    assert!(padding.chain(&file[between]).all(|byte| *byte == 0), "padding is zeros");
    let indexed = IndexedCar::open(file).expect("just written");
    assert_eq!(indexed.index_codec(), options.index);
    if let Some(report) = indexed.check_index().expect("just written") {
        assert!(report.is_sound(), "{report:?}");
    }
    for block in &sample.blocks {
        assert_eq!(indexed.get(&block.cid).expect("just written").as_ref(), Some(&block.data));
        assert!(indexed.has(&block.cid).expect("just written"));
    }
    assert!(options.index.is_none() || !indexed.is_scanned(), "the index has all blocks");
}

/// Choices, and a CARv2 in the bytes themselves.
pub fn v2_seeds() -> Vec<Vec<u8>> {
    let mut seeds = choices();
    for seed in 0..6 {
        let mut input = Input::new(&[]);
        let bytes = Sample::new(&mut Input::new(&noise(seed, 60))).write(&mut input);
        if let Ok(len @ ..250) = u8::try_from(bytes.len().saturating_sub(V2_PRAGMA.len())) {
            seeds.push([&[5, len][..], &bytes[V2_PRAGMA.len()..]].concat());
        }
    }
    seeds
}
