//! Files of other implementations, and the worked example, read by every reader of this crate.

use std::collections::BTreeMap;
use std::fs;
use std::io::Cursor;
use std::path::Path;

use carstone_car::{
    CarReader, CarSlice, CarWriter, Cid, ErrorKind, Part, ReaderOptions, Section, cid_of, codec,
    hash_code, verify,
};

fn fixture(name: &str) -> Option<Vec<u8>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/fixtures/car");
    match fs::read(Path::new(folder).join(name)) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            eprintln!("skipped: {name}: {error}");
            None
        }
    }
}

/// Reads in four ways, which must agree, up to the end or the first error.
#[track_caller]
fn scan(bytes: &[u8], options: ReaderOptions) -> (Vec<Section>, Option<carstone_car::Error>) {
    let open = || CarReader::with_options(Cursor::new(bytes), options);
    let mut found = Vec::new();
    let mut reader = open().expect("header");
    let mut data = Vec::new();
    let end = loop {
        match reader.read_block(&mut data) {
            Ok(Some(section)) => {
                assert!(verify(&section.cid, &data).is_ok());
                let stored = &bytes[section.data_offset as usize..][..section.data_len];
                assert_eq!(data, stored);
                found.push(section);
                assert_eq!(reader.position(), section.end());
            }
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    let stop = end.as_ref().map(|error| (error.to_string(), error.offset()));

    let slice = CarSlice::with_options(bytes, options).expect("header");
    assert_eq!(slice.header(), reader.header());
    let mut sections = Vec::new();
    let mut slice_stop = None;
    for item in &slice {
        match item {
            Ok((section, block)) => {
                let at = slice.block_at(section.offset).expect("verified before");
                assert_eq!(at, Some((section, block)));
                sections.push(section);
            }
            Err(error) => slice_stop = Some((error.to_string(), error.offset())),
        }
    }
    assert_eq!((&sections, &slice_stop), (&found, &stop));

    for skip in [false, true] {
        let mut reader = open().expect("header");
        let mut sections = Vec::new();
        let end = loop {
            let next = match skip {
                true => reader.skip_section(),
                false => reader.next_section(),
            };
            match next {
                Ok(Some(section)) => sections.push(section),
                Ok(None) => break None,
                Err(error) => break Some((error.to_string(), error.offset())),
            }
        };
        assert_eq!((&sections, &end), (&found, &stop));
    }
    (found, end)
}

fn default() -> ReaderOptions {
    ReaderOptions::default()
}

#[test]
fn the_specification_file_is_read_as_it_says() {
    let (Some(car), Some(json)) = (fixture("carv1-basic.car"), fixture("carv1-basic.json")) else {
        return;
    };
    let json: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
    let (sections, end) = scan(&car, default());
    assert!(end.is_none());
    let number = |value: &serde_json::Value, key: &str| value[key].as_u64().expect("number");
    let expected = json["blocks"].as_array().expect("array");
    assert_eq!((sections.len(), expected.len()), (8, 8));
    for (section, expected) in sections.iter().zip(expected) {
        assert_eq!(section.cid.to_string(), expected["cid"]["/"]);
        assert_eq!(section.offset, number(expected, "offset"));
        assert_eq!(section.len(), number(expected, "length"));
        assert_eq!(section.data_offset, number(expected, "blockOffset"));
        assert_eq!(section.data_len as u64, number(expected, "blockLength"));
    }
    let reader = CarReader::open(&car[..]).expect("header");
    let roots: Vec<_> = reader.roots().iter().map(Cid::to_string).collect();
    let expected = json["header"]["roots"].as_array().expect("array");
    let expected: Vec<_> = expected.iter().map(|root| &root["/"]).collect();
    assert_eq!(expected, roots.iter().collect::<Vec<_>>());

    let mut writer = CarWriter::new(Vec::new(), reader.roots()).expect("header");
    for block in reader {
        let block = block.expect("block");
        writer.write_block(&block.cid, &block.data).expect("block");
    }
    assert_eq!(writer.finish().expect("finish"), car);
}

#[test]
fn a_file_of_blake2b_and_identity_blocks_is_verified() {
    let Some(car) = fixture("sample-v1.car") else {
        return;
    };
    let (sections, end) = scan(&car, default());
    assert!(end.is_none());
    let mut counts = BTreeMap::new();
    for section in &sections {
        let key = (section.cid.codec(), section.cid.hash().code());
        *counts.entry(key).or_insert(0) += 1;
    }
    let expected =
        [((codec::RAW, hash_code::IDENTITY), 6), ((codec::DAG_CBOR, hash_code::BLAKE2B_256), 1043)];
    assert_eq!(counts, BTreeMap::from(expected));
}

#[test]
fn a_file_of_version_zero_cids_is_verified() {
    let Some(car) = fixture("simple-unixfs.car") else {
        return;
    };
    let (sections, end) = scan(&car, default());
    assert!(end.is_none());
    assert_eq!(sections.len(), 22);
}

#[test]
fn zero_padding_is_an_error_unless_it_is_asked_for() {
    let Some(car) = fixture("sample-v1-with-zero-len-section.car") else {
        return;
    };
    let (sections, end) = scan(&car, default());
    assert_eq!(sections.len(), 1049);
    let end = end.expect("an error");
    assert!(matches!(end.kind(), ErrorKind::EmptySection));
    assert_eq!(end.offset(), Some(479_907));
    assert_eq!(end.to_string(), "section of length zero at byte 479907");

    let (sections, end) = scan(&car, default().zero_section_is_end(true));
    assert_eq!(sections.len(), 1049);
    assert!(end.is_none());
}

#[test]
fn a_last_section_that_is_cut_short_is_noticed() {
    let Some(car) = fixture("sample-v1-tailing-corrupt-section.car") else {
        return;
    };
    let (sections, end) = scan(&car, default());
    assert_eq!(sections.len(), 1048);
    let end = end.expect("an error");
    assert!(matches!(end.kind(), ErrorKind::Truncated(Part::Data)));
    assert_eq!(end.offset(), Some(car.len() as u64));
}

#[test]
fn broken_headers_are_refused() {
    let refused = |name: &str, stream: &str, whole: &str| {
        let Some(car) = fixture(name) else { return };
        let error = CarReader::open(&car[..]).expect_err(name);
        assert_eq!(error.to_string(), stream);
        let error = CarSlice::parse(&car).expect_err(name);
        assert_eq!(error.to_string(), whole);
        let error = CarReader::open_seekable(Cursor::new(&car), default()).expect_err(name);
        assert_eq!(error.to_string(), whole);
    };
    let cut = "the CAR stops inside the header at byte 16";
    refused("sample-corrupt-pragma.car", cut, cut);
    let past = "invalid CARv2 header: its data goes past the end of the file at byte 11";
    refused("sample-v2-corrupt-data-and-index.car", past, past);
}

#[test]
fn a_reader_of_version_1_refuses_version_2() {
    let options = default().only_v1(true);
    for name in ["carv2-basic.car", "sample-wrapped-v2.car", "sample-v2-indexless.car"] {
        let Some(car) = fixture(name) else { return };
        let expected = "CARv2, where CARv1 is expected at byte 0";
        let error = CarReader::with_options(&car[..], options).expect_err(name);
        assert_eq!(error.to_string(), expected);
        let error = CarSlice::with_options(&car, options).expect_err(name);
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn the_worked_example_comes_out_byte_for_byte() {
    let cid = cid_of(codec::RAW, b"hello");
    let mut writer = CarWriter::new(Vec::new(), &[cid]).expect("header");
    let first = writer.write_block(&cid, b"hello").expect("block");
    let second = writer.write_data(codec::RAW, b"car").expect("block");
    let car = writer.finish().expect("finish");
    assert_eq!(cid.to_string(), "bafkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq");
    assert_eq!(
        second.cid.to_string(),
        "bafkreiblffq2imnshsiap37coda5p23zygoudewxzuwzeqlw5mfrtz6sue"
    );
    assert_eq!((first.offset, second.offset, car.len()), (59, 101, 141));
    let digest = cid_of(codec::RAW, &car);
    let hex: String = digest.hash().digest().iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(hex, "6c93b98ff3a6c9da6ec55bbfb160d1fe0fc0abd1a9f41bdbcb40cd9183bb883b");
    let (sections, end) = scan(&car, default());
    assert_eq!(sections, [first, second]);
    assert!(end.is_none());
}
