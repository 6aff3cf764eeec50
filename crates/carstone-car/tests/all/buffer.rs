//! Writing into memory of a fixed size.

use carstone_car::{
    Block, CarBufferWriter, CarSlice, Cid, ErrorKind, Header, cid_of, codec, estimated_header_len,
};
use proptest::prelude::*;

use crate::sources::car;

fn blocks() -> impl Strategy<Value = Vec<Block>> {
    let data = prop::collection::vec(any::<u8>(), 0..40);
    let block = data.prop_map(|data| Block { cid: cid_of(codec::RAW, &data), data });
    prop::collection::vec(block, 0..6)
}

fn roots() -> impl Strategy<Value = Vec<Cid>> {
    let root = any::<u32>().prop_map(|n| cid_of(codec::DAG_PB, &n.to_le_bytes()));
    // From 24 roots on their number takes another byte.
    prop::collection::vec(root, 0..30)
}

fn no_room(result: Result<(), carstone_car::Error>) -> bool {
    result.is_err_and(|error| matches!(error.kind(), ErrorKind::NoRoom { .. }))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_bytes_are_those_of_a_stream(
        roots in roots(), blocks in blocks(), early in any::<prop::sample::Index>(), room in 0..4000_usize,
    ) {
        let expected = car(&roots, &blocks);
        let early = early.index(roots.len() + 1);
        // Nothing more than the CAR fits.
        let mut buffer = vec![0xee; expected.len()];
        let mut writer = CarBufferWriter::new(&mut buffer, &roots[..early])?;
        for (number, block) in blocks.iter().enumerate() {
            writer.write_block(&block.cid, &block.data)?;
            if number == 0 {
                roots[early..].iter().try_for_each(|root| writer.add_root_resized(*root))?;
            }
        }
        if blocks.is_empty() {
            roots[early..].iter().try_for_each(|root| writer.add_root_resized(*root))?;
        }
        prop_assert_eq!(writer.len(), expected.len());
        prop_assert_eq!(writer.left(), 0);
        prop_assert_eq!(&*writer.finish()?, &expected[..]);

        // With any room for the header, which is enough or not.
        let mut buffer = vec![0xee; expected.len() + room];
        let mut writer = CarBufferWriter::with_header_room(&mut buffer, room)?;
        for block in &blocks {
            writer.write_block(&block.cid, &block.data)?;
        }
        let header = Header { roots: roots.clone() }.encoded_len();
        let all_added = roots.iter().try_for_each(|root| writer.add_root(*root));
        prop_assert_eq!(all_added.is_ok(), header <= room || roots.is_empty());
        for root in &roots[writer.roots().len()..] {
            writer.add_root_resized(*root)?;
        }
        prop_assert_eq!(&*writer.finish_resized()?, &expected[..]);
    }

    #[test]
    fn what_does_not_fit_changes_nothing(roots in roots(), blocks in blocks(), less in 1..400_usize) {
        let expected = car(&roots, &blocks);
        let mut buffer = vec![0; expected.len().saturating_sub(less)];
        let Ok(mut writer) = CarBufferWriter::new(&mut buffer, &[]) else { return Ok(()) };
        let (mut written, mut added) = (Vec::new(), Vec::new());
        for block in &blocks {
            let before = writer.len();
            match writer.write_block(&block.cid, &block.data) {
                Ok(_) => written.push(block.clone()),
                Err(error) => {
                    let is_no_room = matches!(error.kind(), ErrorKind::NoRoom { .. });
                    prop_assert!(is_no_room && writer.len() == before, "{}", error);
                }
            }
        }
        for root in &roots {
            match writer.add_root_resized(*root) {
                Ok(()) => added.push(*root),
                result => prop_assert!(no_room(result)),
            }
        }
        prop_assert!(written.len() < blocks.len() || added.len() < roots.len());
        prop_assert_eq!(&*writer.finish_resized()?, &car(&added, &written)[..]);
    }
}

#[test]
fn an_exact_fit_is_one() {
    let root = cid_of(codec::RAW, b"hello");
    let mut buffer = [0; 200];
    let mut writer = CarBufferWriter::with_header_room(&mut buffer, estimated_header_len(1))
        .expect("there is room");
    writer.write_block(&root, b"hello").expect("there is room");
    writer.add_root(root).expect("as much room as is needed");
    assert!(no_room(writer.add_root(root)));
    assert_eq!(writer.roots(), [root]);
    let car = writer.finish().expect("the header fills its room");
    assert_eq!(CarSlice::parse(car).expect("a CAR").roots(), [root]);
}

#[test]
fn a_header_shorter_than_its_room_is_not_left_so() {
    let mut buffer = [0; 200];
    let writer = CarBufferWriter::with_header_room(&mut buffer, 100).expect("there is room");
    let error = writer.finish().expect_err("there would be a hole");
    assert!(matches!(error.kind(), ErrorKind::HeaderLength { old: 100, new: 18, .. }), "{error}");
}

#[test]
fn blocks_are_verified() {
    let mut buffer = [0; 200];
    let mut writer = CarBufferWriter::new(&mut buffer, &[]).expect("there is room");
    let error = writer.write_block(&cid_of(codec::RAW, b"hello"), b"Hello").expect_err("not so");
    assert!(matches!(error.kind(), ErrorKind::Mismatch { .. }), "{error}");
    assert!(writer.is_empty());
}
