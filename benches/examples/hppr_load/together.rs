//! Several processes with one repository.

use std::collections::HashMap;
use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use carstone_hppr::{
    ErrorKind, Packet, PacketKind, Repository, Seal, Selector, SigningKey, StoreOptions, Tai, Urc,
};

use crate::{Figures, plex};

/// Coordinates that all of them use.
const PLACES: u64 = 64;
/// Writers have times of their own, so that the time of a packet tells what it is.
const WRITERS: u64 = 16;
/// One of so many packets is sealed.
const SEALED: u64 = 8;
/// Packets of a batch; as many as that are stored one by one behind it.
const BATCH: u64 = 20;

/// Readers leave processors to those who store.
const PAUSE: Duration = Duration::from_millis(1);

fn location(number: u64) -> String {
    format!("item-{}", number.wrapping_mul(2_654_435_761) % PLACES)
}

fn data(who: u64, number: u64) -> String {
    format!("data {number} by {who}").repeat(number as usize % 50 + 1)
}

fn key(who: u64) -> Result<SigningKey, Box<dyn Error>> {
    Ok(SigningKey::from_secret(format!("writer {who}").as_bytes())?)
}

fn packet(who: u64, number: u64, key: &SigningKey) -> Result<Packet, Box<dyn Error>> {
    let packet = plex(&location(number), number * WRITERS + who, data(who, number))?;
    match packet {
        Packet::Plex(plex) if number.is_multiple_of(SEALED) => {
            // The same packet each time.
            let signature = key.sign_with(plex.hash().digest(), plex.hash().digest())?;
            Ok(Seal::new(plex, key.verifying_key(), signature)?.into())
        }
        packet => Ok(packet),
    }
}

/// Stores for so many seconds: in batches, and one by one. Tells how many are acknowledged.
pub(super) fn write(directory: &Path, who: u64, seconds: u64) -> Figures {
    let (repository, key) = (Repository::open(directory)?, key(who)?);
    let end = Instant::now() + Duration::from_secs(seconds);
    let options = StoreOptions::default().batch(BATCH as usize);
    let mut stored = 0;
    while Instant::now() < end {
        let mut batch = repository.batch(&options);
        for number in stored..stored + BATCH {
            batch.store(&packet(who, number, &key)?)?;
        }
        batch.commit()?;
        stored += BATCH;
        for number in stored..stored + BATCH {
            repository.store(&packet(who, number, &key)?, &StoreOptions::default())?;
        }
        stored += BATCH;
    }
    Ok(format!(r#"{{"stored":{stored}}}"#))
}

/// Reads for so many seconds: the latest packet of a coordinate never becomes an earlier one, is what was stored, and can be got by its time and by its hash.
pub(super) fn read(directory: &Path, seed: u64, seconds: u64) -> Figures {
    let repository = Repository::open(directory)?;
    let end = Instant::now() + Duration::from_secs(seconds);
    let (mut latest, mut random, mut read, mut wrong) = (HashMap::new(), seed, 0_u64, 0_u64);
    while Instant::now() < end {
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let location = location(random >> 33);
        let urc: Urc = format!("//bench/load/{location}").parse()?;
        let packet = match repository.get(&urc) {
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound)
                    && !latest.contains_key(&location) =>
            {
                continue;
            }
            Err(error) => {
                eprintln!("{urc}: {error}");
                wrong += 1;
                continue;
            }
            Ok(packet) => packet,
        };
        let tai = packet.plex().map(|plex| plex.tai());
        let before = latest.insert(location.clone(), tai).flatten();
        let address = packet.plex().map(|plex| {
            let (coordinate, tai) = (plex.coordinate().clone(), plex.tai());
            let selector = match packet.seal() {
                Some(seal) => Selector::Seal(seal.key(), tai, seal.hash()),
                None => Selector::Plex(tai, plex.hash()),
            };
            Urc::Coordinate { coordinate, selector }
        });
        let holds = [
            ("is as it was stored", is_as_stored(&packet, &location)),
            ("is none before another", tai >= before),
            (
                "is at its address",
                address.is_some_and(|at| repository.get(&at).is_ok_and(|same| same == packet)),
            ),
            (
                "is what its hash names",
                repository.get_hash(&packet.hash()).is_ok_and(|same| same == packet),
            ),
        ];
        for (law, _) in holds.iter().filter(|(_, holds)| !holds) {
            eprintln!("{} at {urc}: not so: {law}", packet.hash());
            wrong += 1;
        }
        read += 1;
        std::thread::sleep(PAUSE);
    }
    Ok(format!(r#"{{"read":{read},"wrong":{wrong}}}"#))
}

/// Whether these are the bytes that were stored there at that time.
fn is_as_stored(packet: &Packet, at: &str) -> bool {
    let Some(plex) = packet.plex() else { return false };
    let (number, who) = (plex.tai().seconds() / WRITERS, plex.tai().seconds() % WRITERS);
    location(number) == at
        && plex.coordinate().location() == at
        && packet.data()[..] == *data(who, number).as_bytes()
}

/// Counts what is missing of the packets that one has stored, by their coordinates and times.
pub(super) fn wrote(directory: &Path, who: u64, count: u64) -> Figures {
    let (repository, key) = (Repository::open(directory)?, key(who)?);
    let mut lost = 0_u64;
    for number in 0..count {
        let packet = packet(who, number, &key)?;
        let Some(plex) = packet.plex() else { continue };
        let (tai, coordinate) =
            (Tai::new(number * WRITERS + who, 0).ok_or("no time")?, plex.coordinate().clone());
        let selector = match packet.hash().kind() {
            PacketKind::Seal => Selector::Seal(key.verifying_key(), tai, packet.hash()),
            _ => Selector::Plex(tai, packet.hash()),
        };
        let got = repository.get(&Urc::Coordinate { coordinate, selector });
        lost += u64::from(got.ok().as_ref() != Some(&packet));
    }
    Ok(format!(r#"{{"lost":{lost}}}"#))
}
