//! Packets behind each other, and sources and sinks that fail.

use super::*;

#[test]
fn packets_behind_each_other_come_apart() {
    let packets = [
        seal(),
        plex(["g", "a", "l"], "0000000037:000000000", &[], b""),
        Blob::new("hello\n").expect("it fits").into(),
        Blob::new("").expect("it fits").into(),
        seal(),
    ];
    let bytes = packets.each_ref().map(Packet::encode).concat();
    let read: Result<Vec<_>> = PacketReader::new(&bytes[..]).collect();
    assert_eq!(read.expect("packets"), packets);

    // Heads alone, data being passed over.
    let mut reader = PacketReader::new(&bytes[..]);
    let (mut heads, mut offset) = (Vec::new(), 0);
    while let Some(packet) = reader.next_packet().expect("a packet") {
        assert_eq!(packet.head().offset(), offset);
        offset += packet.head().head_len() + packet.head().data_len() as u64;
        heads.push(packet.head().hash());
    }
    assert_eq!(heads, packets.each_ref().map(Packet::hash));
    assert_eq!(offset, bytes.len() as u64);
}

#[test]
fn behind_a_wrong_hash_the_next_packet_can_be_read() {
    let bad = SEAL.replace("signed", "Signed");
    let bytes = [&bad, SEAL].concat();
    let mut reader = PacketReader::new(bytes.as_bytes());
    let first = reader.next_packet().expect("a head").expect("a head");
    assert!(first.finish().is_err());
    let second = reader.next_packet().expect("a head").expect("a head");
    assert_eq!(second.into_packet(), Ok(seal()));
    assert!(reader.next_packet().expect("the end").is_none());
}

#[test]
fn faults_of_a_source_stay_and_those_of_a_sink_do_not() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let bytes = [SEAL, "x"].concat();
    let mut reader = PacketReader::new(bytes.as_bytes());
    let mut packet = reader.next_packet().expect("a head").expect("a head");
    let error = packet.copy_to(&mut Full).expect_err("it is full");
    assert_eq!(error.kind(), &ErrorKind::Io(io::ErrorKind::StorageFull));
    assert!(std::error::Error::source(&error).is_some());
    assert_eq!(packet.finish().expect("the packet is good").outer(), seal().hash());
    for _ in 0..2 {
        let error = reader.next_packet().expect_err("it is no packet");
        assert_eq!(error, Error::new(ErrorKind::NoMarkline).at(445));
    }
}

#[test]
fn a_packet_whose_data_is_taken_is_not_whole() {
    let mut reader = PacketReader::new(SEAL.as_bytes());
    let mut packet = reader.next_packet().expect("a head").expect("a head");
    packet.copy_to(&mut io::sink()).expect("it goes nowhere");
    assert_eq!(packet.into_packet().expect_err("it is taken").kind(), &ErrorKind::DataTaken);
}

#[test]
fn every_flipped_bit_is_seen() {
    for text in [SEAL, &plain_plex()] {
        for bit in 0..text.len() * 8 {
            let mut bytes = text.as_bytes().to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            for found in everyway(&bytes, by_name()).into_iter().take(3) {
                assert!(found.is_err(), "bit {bit}");
            }
            let streamed: Result<Vec<_>> = PacketReader::new(&bytes[..]).collect();
            assert!(streamed.is_err(), "bit {bit}");
        }
    }
}
