//! Laws of all packets.

use super::*;

proptest! {
    #[test]
    fn packets_come_back(packet in packets()) {
        let bytes = packet.encode();
        let mut written = Vec::new();
        prop_assert_eq!(packet.write_to(&mut written).expect("memory"), bytes.len() as u64);
        prop_assert_eq!(&written, &bytes);
        for found in everyway(&bytes, strict()) {
            prop_assert_eq!(found, Ok(packet.hash()));
        }
        prop_assert_eq!(Packet::parse(&bytes, &strict()), Ok(packet));
    }

    #[test]
    fn any_split_of_reads_gives_the_same(
        packets in prop::collection::vec(packets(), 1..4),
        steps in prop::collection::vec(0..200_usize, 1..9),
        damage in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
    ) {
        prop_assume!(steps.iter().any(|step| *step > 0));
        let mut bytes: Vec<u8> = packets.iter().flat_map(Packet::encode).collect();
        if let Some((at, byte)) = damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let whole: Vec<_> = PacketReader::new(&bytes[..]).collect();
        let split: Vec<_> = PacketReader::new(Stutter(&bytes, steps, 0)).collect();
        prop_assert_eq!(&whole, &split);
        if damage.is_none() {
            prop_assert_eq!(whole, packets.into_iter().map(Ok).collect::<Vec<_>>());
        }
    }

    #[test]
    fn what_is_taken_is_what_would_be_written(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mark = [MARK, &bytes].concat();
        for bytes in [&bytes, &mark] {
            if let Ok(packet) = Packet::parse(bytes, &by_name()) {
                prop_assert_eq!(&packet.encode(), bytes);
            }
        }
    }
}
