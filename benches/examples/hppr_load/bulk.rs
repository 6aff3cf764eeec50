//! Many packets, by one process.

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use carstone_hppr::{
    Coordinate, Packet, Repository, Selector, SigningKey, StoreOptions, Tai, TipPrefix, Urc,
};

use crate::{Figures, plex};

/// Packet NUMBER: coordinates are come to in no order.
fn packet(number: u64, coordinates: u64) -> Result<Packet, Box<dyn Error>> {
    let place = scattered(number) % coordinates;
    plex(&location(place), number, format!("data {number}"))
}

fn location(place: u64) -> String {
    format!("place-{}/item-{place}", place % 100)
}

fn scattered(number: u64) -> u64 {
    number.wrapping_mul(2_654_435_761)
}

pub(super) fn store(directory: &Path, packets: u64, coordinates: u64, batch: usize) -> Figures {
    let repository = Repository::init(directory)?;
    let started = Instant::now();
    if batch == 1 {
        for number in 0..packets {
            repository.store(&packet(number, coordinates)?, &StoreOptions::default())?;
        }
    } else {
        let mut all = repository.batch(&StoreOptions::default().batch(batch));
        for number in 0..packets {
            all.store(&packet(number, coordinates)?)?;
            if number % (packets / 10).max(1) == 0 {
                eprintln!("{number} after {:.1} s", started.elapsed().as_secs_f64());
            }
        }
        all.commit()?;
    }
    let seconds = started.elapsed().as_secs_f64();
    let rate = packets as f64 / seconds;
    Ok(format!(r#"{{"packets":{packets},"seconds":{seconds:.1},"rate":{rate:.0}}}"#))
}

/// Packets at many coordinates, and one that is signed: each address twice, of which the second time is told, so that what is asked for is in memory.
pub(super) fn get(directory: &Path, coordinates: u64, gets: u64) -> Figures {
    let repository = Repository::open(directory)?;
    let (at, time) =
        (Coordinate::new("bench", "load", "sealed")?, Tai::new(1, 0).ok_or("no time")?);
    let key = SigningKey::from_secret(b"bench")?;
    repository.add_sealed(at.clone(), time, Vec::new(), "signed", &key)?;
    let mut places = Vec::new();
    for number in 0..gets {
        let place = scattered(number) % coordinates;
        places.push(format!("//bench/load/{}", location(place)).parse::<Urc>()?);
    }
    let plexes = timed(&repository, &places)?;
    let sealed = vec![Urc::Coordinate { coordinate: at, selector: Selector::Tip }; places.len()];
    let seals = timed(&repository, &sealed)?;
    Ok(format!(r#"{{"gets":{gets},"plex_us":{plexes},"seal_us":{seals}}}"#))
}

fn timed(repository: &Repository, places: &[Urc]) -> Figures {
    let mut times = Vec::new();
    for _ in 0..2 {
        times.clear();
        for urc in places {
            let started = Instant::now();
            repository.get(urc)?;
            times.push(started.elapsed());
        }
    }
    times.sort_unstable();
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    let at = |share: f64| micros(times[(times.len() as f64 * share) as usize]);
    let mean = micros(times.iter().sum()) / times.len() as f64;
    Ok(format!(r#"{{"mean":{mean:.1},"median":{:.1},"p99":{:.1}}}"#, at(0.5), at(0.99)))
}

pub(super) fn tips(directory: &Path, prefix: &str) -> Figures {
    let repository = Repository::open(directory)?;
    let prefix = TipPrefix::parse(prefix.as_bytes())?;
    let started = Instant::now();
    let mut tips = 0_u64;
    for tip in repository.tips(&prefix) {
        tip?;
        tips += 1;
    }
    Ok(format!(r#"{{"tips":{tips},"seconds":{:.3}}}"#, started.elapsed().as_secs_f64()))
}
