//! CARs gone over on all cores.

use std::io::{self, Cursor, Read};
use std::sync::OnceLock;

use carstone::car::{
    Block, CarReader, CarScan, Cid, ErrorKind, Limits, ReaderOptions, ScanOptions, Section, cid_of,
    codec, scan_sections,
};

use crate::carv2::{Outcome, Sample, misplace, outcome};
use crate::damage;
use crate::input::{Input, noise};
use crate::sources::Stutter;

/// A scan, on one thread or several, gives what a reader gives, with the same errors at the same places.
pub fn scan(data: &[u8]) {
    let mut input = Input::new(data);
    let mut sample = Sample::new(&mut input);
    // Two of these are more than a thread takes at a time.
    for _ in 0..input.below(4) {
        let at = input.below(sample.blocks.len() + 1);
        sample.blocks.insert(at, large().clone());
    }
    let mut bytes = sample.write(&mut input);
    damage::tampering(&mut bytes, &mut input);
    if input.flag() {
        misplace(&mut bytes, &mut input);
    }
    let mut options = ReaderOptions::default();
    if input.one_in(4) {
        options = options.zero_section_is_end(true);
    }
    if input.one_in(4) {
        options = match input.flag() {
            true => options.danger_accept_unverifiable(),
            false => options.danger_skip_verification(),
        };
    }
    if input.one_in(4) {
        options = options.limits(Limits::default().section(input.below(BATCH_LEN)));
    }
    // The source may fail on the way.
    let fails_at = input.one_in(4).then(|| input.below(bytes.len() + 1));
    let source = || Failing::new(&bytes, fails_at);
    let due = outcome(CarReader::with_options(source(), options));
    let threads = 1 + input.below(4);
    let budget = input.pick(&[64 << 20, 0, BATCH_LEN, 2 * BATCH_LEN]);
    let scan = ScanOptions::default().threads(threads).budget(budget);
    let found = scanned(CarScan::with_options(source(), options, scan));
    assert_eq!(found.len(), due.len(), "{:?} or {:?}", found.last(), due.last());
    for (found, due) in found.iter().zip(&due) {
        assert!(found == due, "{:?} or {:?}", name(found), name(due));
    }
    if fails_at.is_none() {
        let reader = CarReader::with_options(Stutter::new(&bytes, &mut input), options);
        assert!(scanned(reader.map(CarScan::on_this_thread)) == due, "on one thread");
        let skipped = sections(CarReader::open_seekable(Cursor::new(&bytes), options));
        let whole = outcome(CarReader::open_seekable(Cursor::new(&bytes), options));
        let by_places = scanned(CarScan::open_at(bytes.clone(), options, scan));
        assert!(by_places == whole, "{:?} or {:?}", by_places.last(), whole.last());
        let mut found = Vec::new();
        let ended = scan_sections(&bytes[..], options, scan, |section| {
            found.push(Ok(section));
            Ok(())
        });
        found.extend(ended.err().map(|error| Err(error.to_string())));
        assert_eq!(found, skipped, "from several places");
    }
}

/// What comes of passing over the data of all blocks.
fn sections(
    reader: carstone::car::Result<CarReader<Cursor<&Vec<u8>>>>,
) -> Vec<Result<Section, String>> {
    let mut found = Vec::new();
    let skip = || {
        let mut reader = reader?;
        while let Some(section) = reader.skip_section()? {
            found.push(Ok(section));
        }
        Ok(())
    };
    let ended: carstone::car::Result<()> = skip();
    found.extend(ended.err().map(|error| Err(error.to_string())));
    found
}

fn name(item: &Result<Block, String>) -> Result<Cid, &String> {
    item.as_ref().map(|block| block.cid)
}

fn scanned(scan: carstone::car::Result<CarScan<impl Read>>) -> Outcome {
    let mut scan = match scan {
        Ok(scan) => scan,
        Err(error) => return vec![Err(error.to_string())],
    };
    let mut found = Outcome::new();
    loop {
        match scan.next_block() {
            Ok(Some((_, block))) => found.push(Ok(block.to_block())),
            Ok(None) => return found,
            Err(error) => {
                found.push(Err(error.to_string()));
                if !error.is_block_error() {
                    let again = scan.next_block().expect_err("it does not go on");
                    assert!(matches!(again.kind(), ErrorKind::Broken), "{again}");
                    return found;
                }
            }
        }
    }
}

/// A block of more than half a batch.
fn large() -> &'static Block {
    static LARGE: OnceLock<Block> = OnceLock::new();
    LARGE.get_or_init(|| {
        let data = noise(7, BATCH_LEN * 4 / 7);
        Block { cid: cid_of(codec::RAW, &data), data }
    })
}

/// What a scan reads at a time. It is less where only fuzzing is done, since to hash half a mebibyte again and again takes all of the time.
const BATCH_LEN: usize = if cfg!(fuzzing) { 4 << 10 } else { 512 << 10 };

/// Bytes whose source may fail at some place, each time that it comes there.
struct Failing {
    bytes: Cursor<Vec<u8>>,
    fails_at: Option<u64>,
}

impl Failing {
    fn new(bytes: &[u8], fails_at: Option<usize>) -> Self {
        Self { bytes: Cursor::new(bytes.to_vec()), fails_at: fails_at.map(|at| at as u64) }
    }
}

impl Read for Failing {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let Some(end) = self.fails_at else { return self.bytes.read(buf) };
        match end.saturating_sub(self.bytes.position()) {
            0 if !buf.is_empty() => Err(io::ErrorKind::TimedOut.into()),
            rest => Read::by_ref(&mut self.bytes).take(rest).read(buf),
        }
    }
}
