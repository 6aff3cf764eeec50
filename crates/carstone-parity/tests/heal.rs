//! Whole streams, damaged and healed.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use carstone_parity::{
    ErrorKind, Healed, Layout, Memory, Options, Parity, ProtectionId, Share, Survey, heal, protect,
};

const THREADS: usize = 2;

fn stream(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let words = std::iter::from_fn(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        Some(state.wrapping_mul(0x2545_F491_4F6C_DD1D).to_le_bytes())
    });
    words.flatten().take(len).collect()
}

fn parity_of(stream: &[u8], share: u32) -> Vec<u8> {
    let target = Memory::new();
    let options = Options::default()
        .with_share(Share::new(share).unwrap())
        .with_id(ProtectionId::from_bytes([7; 16]))
        .with_threads(THREADS);
    let made = protect(stream, &target, &options, &|_| ()).unwrap();
    let parity = target.into_bytes();
    assert_eq!(parity.len() as u64, made.layout().parity_len());
    parity
}

#[track_caller]
fn healed(damaged: &[u8], parity: &[u8]) -> (Vec<u8>, Healed) {
    let parity = Parity::open(parity, THREADS).unwrap();
    let survey = Survey::of(damaged, &parity, THREADS, &|_| ()).unwrap();
    let target = Memory::new();
    let healed = heal(damaged, &parity, &survey, &target, THREADS, &|_| ()).unwrap();
    (target.into_bytes(), healed)
}

#[track_caller]
fn check_heals(stream: &[u8], damaged: &[u8], parity: &[u8]) {
    let (bytes, healed) = healed(damaged, parity);
    assert!(healed.whole, "{healed:?}");
    assert!(bytes == stream);
}

#[test]
fn streams_of_all_small_lengths_come_back_without_a_cell() {
    let lengths = [
        0, 1, 2, 63, 64, 65, 127, 128, 129, 1_000, 1_023, 1_024, 1_025, 5_000, 16_383, 16_384,
        70_000,
    ];
    for len in lengths {
        let whole = stream(len, 5);
        let parity = parity_of(&whole, 1_000);
        check_heals(&whole, &whole, &parity);
        let cell = Layout::new(len as u64, Share::default()).unwrap().cell_len() as usize;
        if len > cell {
            let mut damaged = whole.clone();
            damaged[cell..len.min(2 * cell)].iter_mut().for_each(|byte| *byte = !*byte);
            check_heals(&whole, &damaged, &parity);
        }
    }
}

#[test]
fn several_zones_share_a_burst() {
    let whole = stream(70 << 20, 3);
    let parity = parity_of(&whole, 500);
    let mut damaged = whole.clone();
    damaged[30 << 20..33 << 20].fill(0);
    check_heals(&whole, &damaged, &parity);
}

#[test]
fn a_zone_over_its_budget_takes_no_other_with_it() {
    let whole = stream(70 << 20, 3);
    let parity = parity_of(&whole, 500);
    let mut damaged = whole.clone();
    // The cells of two zones take turns: 500 of one are more than it can lose, 100 of the other are not.
    let cells = (0..500).map(|i| 2 * i).chain((0..100).map(|i| 2_001 + 2 * i));
    cells.for_each(|cell| damaged[cell * 4_096..(cell + 1) * 4_096].fill(0));
    let (bytes, healed) = healed(&damaged, &parity);
    assert!(!healed.whole);
    assert_eq!(healed.restored, 100);
    let all = Layout::new(whole.len() as u64, Share::new(500).unwrap()).unwrap().recovery();
    assert_eq!(healed.used(), 500.0 / f64::from(all));
    let lost: Vec<_> = (0..500).map(|i| 2 * i * 4_096..(2 * i + 1) * 4_096).collect();
    assert_eq!(healed.lost, lost);
    lost.iter().for_each(|range| damaged[range.start as usize..range.end as usize].fill(0));
    assert!(bytes[..2_000 * 4_096] == damaged[..2_000 * 4_096]);
    assert!(bytes[2_000 * 4_096..] == whole[2_000 * 4_096..]);
}

#[test]
fn a_zone_whose_wrong_cells_are_not_told_takes_no_other_with_it() {
    let whole = stream(70 << 20, 3);
    let parity = without_table(&parity_of(&whole, 500), 4_096);
    let mut damaged = whole.clone();
    // The cells of two zones take turns.
    let cells = (0..500).map(|i| 2 * i).chain((0..300).map(|i| 2_001 + 2 * i));
    cells.for_each(|cell| damaged[cell * 4_096..(cell + 1) * 4_096].fill(0));
    let (bytes, healed) = healed(&damaged, &parity);
    assert!(!healed.whole && healed.lost.is_empty());
    assert_eq!(healed.restored, 300);
    assert!(bytes[..2_000 * 4_096] == damaged[..2_000 * 4_096]);
    assert!(bytes[2_000 * 4_096..] == whole[2_000 * 4_096..]);
}

#[test]
fn what_lost_more_than_parity_may_restore_is_not_told_from_another_stream() {
    let whole = stream(300_000, 1);
    let parity = parity_of(&whole, 1_000);
    let parity = Parity::open(&parity[..], 1).unwrap();
    let mut damaged = whole.clone();
    damaged[..40_000].fill(0);
    let error = Survey::of(&damaged, &parity, 1, &|_| ()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Foreign { .. }), "{error}");
}

#[test]
fn parity_of_another_stream_is_refused() {
    let parity = parity_of(&stream(300_000, 1), 1_000);
    let parity = Parity::open(&parity[..], 1).unwrap();
    let error = Survey::of(&stream(300_000, 2), &parity, 1, &|_| ()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Foreign { found: 0, .. }), "{error}");
}

#[test]
fn damage_to_parity_lowers_the_budget_and_nothing_else() {
    let whole = stream(3 << 20, 9);
    let parity = parity_of(&whole, 1_000);
    let mut damaged = whole.clone();
    damaged[100_000..250_000].fill(0xAA);
    for hit in (0..parity.len()).step_by(parity.len() / 13) {
        let mut parity = parity.clone();
        let end = parity.len().min(hit + parity.len() / 4);
        parity[hit..end].fill(0);
        check_heals(&whole, &damaged, &parity);
        parity.drain(hit..end);
        check_heals(&whole, &damaged, &parity);
    }
}

#[test]
fn without_its_table_a_stream_may_be_healed_but_not_surely() {
    let whole = stream(300_000, 4);
    let parity = parity_of(&whole, 1_000);
    let answers = |damaged: &[u8], parity: &[u8]| {
        let parity = Parity::open(parity, 1).unwrap();
        let survey = Survey::of(damaged, &parity, 1, &|_| ()).unwrap();
        (survey.can_heal(), survey.can_surely_heal(), survey.counts().assumed)
    };
    assert_eq!(answers(&whole, &parity), (true, true, 0));
    assert_eq!(answers(&whole[..295_000], &parity), (true, true, 0));
    assert_eq!(answers(&whole[..275_000], &parity), (false, false, 0));
    assert_eq!(answers(&whole, &without_table(&parity, 1_024)), (true, false, 293));
}

/// Parity of which only the shards of the table that `keep` says are left.
fn with_shards(parity: &[u8], cell: usize, keep: &[usize]) -> Vec<u8> {
    let mut parity = parity.to_vec();
    let lost = tables(&parity).into_iter().enumerate().filter(|(number, _)| !keep.contains(number));
    lost.for_each(|(_, at)| parity[at..at + 48 + cell].fill(0));
    parity
}

#[test]
fn a_burst_under_the_part_of_the_table_that_is_left_is_healed_as_without_it() {
    let whole = stream(524_289, 6);
    let sound = parity_of(&whole, 5_000);
    assert_eq!(tables(&sound).len(), 4);
    let mut damaged = whole.clone();
    damaged[185 * 2_048..245 * 2_048].copy_from_slice(&stream(60 * 2_048, 7));
    // The second shard tells 86 of 257 cells, of which 60 are lost.
    for keep in [&[][..], &[1], &[0], &[0, 1, 2, 3]] {
        check_heals(&whole, &damaged, &with_shards(&sound, 2_048, keep));
    }
}

#[test]
fn cells_that_have_equals_say_nothing_of_where_others_are() {
    let whole = vec![0; 524_287];
    let sound = parity_of(&whole, 1_000);
    let all = Layout::new(whole.len() as u64, Share::default()).unwrap();
    assert_eq!((all.recovery(), tables(&sound).len()), (36, 12));
    for seed in 0..40_u64 {
        let order = stream(200, seed + 1);
        // Five of twelve shards are left, and half as many cells are wrong as could be restored.
        let mut shards: Vec<usize> = (0..12).collect();
        shards.sort_by_key(|shard| order[*shard]);
        let mut cells: Vec<usize> = (0..511).collect();
        cells.sort_by_key(|cell| order[12 + cell % 181].wrapping_mul((cell % 83 + 1) as u8));
        let mut damaged = whole.clone();
        cells[..18].iter().for_each(|cell| damaged[cell * 1_024 + cell] ^= 1 << (cell % 8));
        check_heals(&whole, &damaged, &with_shards(&sound, 1_024, &shards[..5]));
    }
}

#[test]
fn parity_of_another_stream_is_refused_whatever_is_left_of_its_table() {
    let other = stream(524_288, 8);
    let check = |damaged: &[u8], parity: &[u8], numbers: (u64, u64, u64)| {
        let parity = Parity::open(parity, 1).unwrap();
        let error = Survey::of(damaged, &parity, 1, &|_| ()).unwrap_err();
        let told = match *error.kind() {
            ErrorKind::Foreign { found, known, wanted } => (found, known, wanted),
            _ => panic!("{error}"),
        };
        assert_eq!(told, numbers);
    };
    let sound = parity_of(&stream(524_288, 6), 5_000);
    check(&other, &sound, (0, 256, 128));
    check(&other, &with_shards(&sound, 2_048, &[1]), (0, 85, 11));
    // 170 cells are told, and 128 of all may lack.
    check(&other, &with_shards(&sound, 2_048, &[0]), (0, 170, 42));
    // Where some cells are alike, they are few.
    let mut alike = other.clone();
    let from = 200 * 2_048..210 * 2_048;
    alike[from.clone()].copy_from_slice(&stream(524_288, 6)[from]);
    check(&alike, &with_shards(&sound, 2_048, &[1]), (10, 85, 11));
}

#[test]
fn without_its_table_what_is_wrong_is_found_and_restored() {
    for (len, share) in [(300_000, 1_000), (3 << 20, 1_000), (60_000, 10_000), (70 << 20, 300)] {
        let whole = stream(len, 4);
        let parity = parity_of(&whole, share);
        let layout = Layout::new(len as u64, Share::new(share).unwrap()).unwrap();
        let cell = layout.cell_len() as usize;
        let parity = without_table(&parity, cell);
        check_heals(&whole, &whole, &parity);
        let mut damaged = whole.clone();
        // All that can be told, in the middle.
        let most = (layout.recovery() as usize - 3).min(len / cell - 1) * layout.zones() as usize;
        let first = (len / cell - most) / 2;
        damaged[first * cell..][..most * cell].copy_from_slice(&stream(most * cell, 9));
        check_heals(&whole, &damaged, &parity);
        // What is cut off is lost, and known to be.
        let mut damaged = whole[..len - 2 * cell].to_vec();
        damaged[first * cell..][..(most - 4) * cell].fill(0);
        check_heals(&whole, &damaged, &parity);
        let mut damaged = whole.clone();
        damaged[..(layout.recovery() as usize + 1) * layout.zones() as usize * cell].fill(0);
        let (_, healed) = healed(&damaged, &parity);
        assert!(!healed.whole && healed.restored == 0);
    }
}

/// Parity whose table and check shards are overwritten.
fn without_table(parity: &[u8], cell: usize) -> Vec<u8> {
    let mut parity = parity.to_vec();
    tables(&parity).iter().for_each(|at| parity[*at..*at + 48 + cell].fill(0));
    parity
}

/// Where frames of table and check shards begin, in order.
fn tables(parity: &[u8]) -> Vec<usize> {
    let is_table = |at: &usize| parity[*at..].starts_with(b"\xF5CSP\x01\x02");
    (0..parity.len()).filter(is_table).collect()
}

#[test]
fn healing_tells_what_it_took_of_the_budget() {
    let whole = stream(3 << 20, 4);
    let sound = parity_of(&whole, 1_000);
    let all = Layout::new(whole.len() as u64, Share::default()).unwrap().recovery();
    let used = |cells: usize, parity: &[u8]| {
        let mut damaged = whole.clone();
        damaged[9 * 2_048..][..cells * 2_048].copy_from_slice(&stream(cells * 2_048, 9));
        let (bytes, healed) = healed(&damaged, parity);
        assert!(healed.whole && bytes == whole);
        assert_eq!(healed.restored, cells as u64);
        healed.used() * f64::from(all)
    };
    assert_eq!(used(0, &sound), 0.0);
    assert_eq!(used(70, &sound).round(), 70.0);
    // Cells that only the code tells count, and so do recovery cells that are lost.
    let torn = without_table(&sound, 2_048);
    assert_eq!(used(70, &torn).round(), 70.0);
    let lost = (0..torn.len()).filter(|at| torn[*at..].starts_with(b"\xF5CSP\x01\x03"));
    let lost: Vec<usize> = lost.step_by(10).collect();
    let mut fewer = torn.clone();
    lost.iter().for_each(|at| fewer[*at..*at + 48].fill(0));
    assert_eq!(used(70, &fewer).round(), 70.0 + lost.len() as f64);
}

#[test]
fn what_moved_and_what_flipped_costs_no_more_than_the_cells_that_it_hit() {
    let whole = stream(8 << 20, 11);
    let parity = parity_of(&whole, 1_000);
    let mut flipped = whole.clone();
    for place in 0..400_u64 {
        let bit = place.wrapping_mul(0x9E37_79B9_7F4A_7C15) % (64 << 20);
        flipped[(bit / 8) as usize] ^= 1 << (bit % 8);
    }
    check_heals(&whole, &flipped, &parity);
    check_heals(&whole, &whole[754_974..], &parity);
    check_heals(&whole, &whole[..whole.len() - 754_974], &parity);
    let mut inserted = whole.clone();
    inserted.splice(3_000_000..3_000_000, stream(4_321, 5));
    check_heals(&whole, &inserted, &parity);
    let mut swapped = whole[4_000_001..].to_vec();
    swapped.extend_from_slice(&whole[..4_000_001]);
    check_heals(&whole, &swapped, &parity);
}

#[test]
fn lost_cells_that_were_zeros_make_the_stream_no_less_whole() {
    let mut whole = stream(4_900, 13);
    whole[256..512].fill(0);
    whole[4_864..].fill(0);
    let parity = parity_of(&whole, 1_000);
    let mut damaged = whole[..4_864].to_vec();
    damaged[256..512].fill(9);
    // Of the two that are lost, one could be restored.
    let opened = Parity::open(&parity[..], 1).unwrap();
    let survey = Survey::of(&damaged, &opened, 1, &|_| ()).unwrap();
    assert_eq!((survey.can_heal(), survey.counts().missing), (false, 2));
    let (bytes, made) = healed(&damaged, &parity);
    assert!(made.whole && made.lost.is_empty() && made.restored == 0);
    assert!(bytes == whole);
}

#[test]
fn bytes_with_the_same_crc_are_found_when_the_whole_is_doubted() {
    let (whole, damaged) = with_records();
    let parity = parity_of(&whole, 1_000);
    let parity = Parity::open(&parity[..], THREADS).unwrap();
    let mut survey = Survey::of(&damaged, &parity, THREADS, &|_| ()).unwrap();
    assert!(survey.is_sound(), "a record and its CRC have the same CRC as another one");
    assert!(survey.doubt(&damaged).unwrap());
    assert_eq!(survey.counts().missing, 1);
    let target = Memory::new();
    assert!(heal(&damaged, &parity, &survey, &target, THREADS, &|_| ()).unwrap().whole);
    assert!(target.into_bytes() == whole);
}

#[test]
fn what_was_healed_and_is_not_whole_is_doubted_and_healed_again() {
    let (whole, mut damaged) = with_records();
    let sound = parity_of(&whole, 1_000);
    let torn = without_front_of_table(&sound, 1_024);
    damaged[50_000..53_000].fill(0);
    for (parity, assumed) in [(sound, 0), (torn, 86)] {
        let parity = Parity::open(&parity[..], THREADS).unwrap();
        let mut survey = Survey::of(&damaged, &parity, THREADS, &|_| ()).unwrap();
        assert_eq!(survey.counts().assumed, assumed);
        let healed = |survey: &Survey| {
            let target = Memory::new();
            let healed = heal(&damaged, &parity, survey, &target, THREADS, &|_| ()).unwrap();
            healed.whole.then(|| target.into_bytes() == whole)
        };
        assert_eq!(healed(&survey), None);
        assert!(survey.doubt(&damaged).unwrap() && !survey.doubt(&damaged).unwrap());
        assert_eq!(healed(&survey), Some(true));
    }
}

/// Parity without the first shard of its table, and without check shards.
fn without_front_of_table(parity: &[u8], cell: usize) -> Vec<u8> {
    let mut parity = parity.to_vec();
    let tables = tables(&parity);
    let is_lost = |number: usize| number == 0 || number >= tables.len() / 2;
    let lost = tables.iter().enumerate().filter(|(number, _)| is_lost(*number));
    lost.for_each(|(_, at)| parity[*at..*at + 48 + cell].fill(0));
    parity
}

/// A stream, and one with other bytes that have the same CRC.
fn with_records() -> (Vec<u8>, Vec<u8>) {
    let put = |byte: u8| {
        let mut record = vec![byte; 40];
        record.extend(carstone_layer::crc64(&[&record]).to_le_bytes());
        let mut stream = stream(300_000, 3);
        stream[100_000..100_048].copy_from_slice(&record);
        stream
    };
    (put(1), put(2))
}

#[test]
fn a_burst_within_the_budget_need_not_be_looked_for_elsewhere() {
    let whole = stream(8 << 20, 1);
    let parity = Parity::open(parity_of(&whole, 1_000), THREADS).unwrap();
    let burst = 1_000_000..1_700_000;
    let heal_enough = |damaged: &Vec<u8>| {
        let survey = Survey::enough(damaged, &parity, THREADS, &|_| ()).unwrap();
        let target = Memory::new();
        let healed = heal(damaged, &parity, &survey, &target, THREADS, &|_| ()).unwrap();
        (survey, healed.whole && target.into_bytes() == whole)
    };
    let mut damaged = whole.clone();
    damaged[burst.clone()].fill(7);
    let (survey, is_whole) = heal_enough(&damaged);
    assert!(is_whole && !survey.is_thorough());
    assert_eq!(survey.counts().missing, 172);
    // What stands elsewhere counts as lost, until there is too much of it.
    damaged = whole.clone();
    damaged.copy_within(3_000_320..3_700_320, burst.start);
    damaged[3_000_320..3_700_320].copy_from_slice(&whole[burst]);
    let (survey, is_whole) = heal_enough(&damaged);
    assert!(is_whole && survey.is_thorough());
    assert!(survey.counts().moved > 300);
    // So do single flipped bits, which are put right.
    damaged = whole.clone();
    (0..100).for_each(|cell| damaged[cell * 80_000] ^= 1);
    let (survey, is_whole) = heal_enough(&damaged);
    assert!(is_whole && survey.is_thorough());
    assert_eq!(survey.counts().bits, 100);
}
