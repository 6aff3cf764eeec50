//! How fast packets are parsed and verified, beside BLAKE3 alone, one thread.

use std::error::Error;
use std::hint::black_box;
use std::io;
use std::time::Instant;

use carstone_benches::noise;
use carstone_hppr::{
    Blob, Coordinate, Packet, PacketReader, ParseOptions, Plex, Seal, SigningKey, Tai, verify,
};

use crate::Figures;

const DATA: usize = 1 << 20;
/// Packets of a round, and rounds, of which the fastest counts.
const EACH: u32 = 64;
const ROUNDS: u32 = 7;

fn fastest(mut work: impl FnMut() -> Result<(), Box<dyn Error>>) -> Result<f64, Box<dyn Error>> {
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let started = Instant::now();
        for _ in 0..EACH {
            work()?;
        }
        best = best.min(started.elapsed().as_secs_f64());
    }
    Ok(best)
}

pub(super) fn run() -> Figures {
    let (data, options) = (noise(7, DATA), ParseOptions::default());
    let blob = Blob::new(data.clone())?;
    let coordinate = Coordinate::new("bench", "load", "large")?;
    let plex = Plex::new(
        coordinate,
        Tai::new(1_640_995_200, 0).ok_or("no time")?,
        Vec::new(),
        blob.clone(),
    )?;
    let key = SigningKey::from_secret(b"bench")?;
    let seal = Seal::new(plex.clone(), key.verifying_key(), key.sign(plex.hash().digest())?)?;
    let packets: [(&str, Packet); 3] =
        [("blob", blob.into()), ("plex", plex.into()), ("seal", seal.into())];
    let mut figures = Vec::new();
    for (kind, packet) in packets {
        let bytes = packet.encode();
        // Beside each other, since machines are not as fast at all times.
        let alone = fastest(|| {
            black_box(blake3::hash(&bytes));
            Ok(())
        })?;
        let verified = fastest(|| {
            black_box(verify(&bytes, &options)?);
            Ok(())
        })?;
        let parsed = fastest(|| {
            black_box(Packet::parse(&bytes, &options)?);
            Ok(())
        })?;
        let all = bytes.repeat(EACH as usize);
        let mut streamed = f64::INFINITY;
        for _ in 0..ROUNDS {
            let started = Instant::now();
            let mut reader = PacketReader::new(&all[..]);
            while let Some(mut stream) = reader.next_packet()? {
                stream.copy_to(&mut io::sink())?;
                black_box(stream.finish()?);
            }
            streamed = streamed.min(started.elapsed().as_secs_f64());
        }
        let mut taken = f64::INFINITY;
        for _ in 0..ROUNDS {
            let started = Instant::now();
            for packet in PacketReader::new(&all[..]) {
                black_box(packet?);
            }
            taken = taken.min(started.elapsed().as_secs_f64());
        }
        let rate = bytes.len() as f64 * f64::from(EACH) / alone / 1e6;
        figures.push(format!(
            r#""{kind}":{{"blake3_mb_s":{rate:.0},"verify":{:.2},"parse":{:.2},"stream":{:.2},"packets":{:.2}}}"#,
            alone / verified,
            alone / parsed,
            alone / streamed,
            alone / taken
        ));
    }
    Ok(format!("{{{}}}", figures.join(",")))
}
