//! Measures whether comparisons of secrets take a time that depends on where the bytes differ, in the way of *dudect* (Reparaz,
//! Balasch, Verbauwhede: "Dude, is my code constant time?", 2017): inputs of two classes in random order, and Welch's t of their times.
//!
//! A measurement says nothing on a busy machine, so these tests run only when they are asked for:
//! `cargo test -p carstone-encrypt --features aws-lc constant_time -- --ignored --nocapture --test-threads 1`

use std::hint::black_box;
use std::time::Instant;

use carstone_layer::{FrameHeader, LayerId, LayerList, PackId};

use crate::aead::{Aead, Backend};
use crate::format::{TAG_LEN, slot};
use crate::keys::Keys;

/// Where the bytes that are compared differ first.
#[derive(Clone, Copy)]
enum Differs {
    AtTheFront,
    AtTheEnd,
}

#[test]
#[ignore = "a measurement, for a quiet machine"]
fn the_measurement_finds_a_comparison_that_stops_early() {
    let secret = black_box([7; 32]);
    let mut given = secret;
    let t = t_value(|differs| {
        given = flipped(secret, differs);
        timed(|| secret.iter().zip(&given).all(|(a, b)| black_box(a) == black_box(b)))
    });
    eprintln!("stops early: t = {t:.1}");
    assert!(t > LIMIT, "t = {t:.1}: the measurement sees nothing");
}

#[test]
#[ignore = "a measurement, for a quiet machine"]
fn the_time_to_compare_commitments_does_not_depend_on_the_bytes() {
    let list = LayerList::single(slot());
    let keys = Keys::derive(&[7; 32], PackId::from_bytes([1; 16]), &list);
    let mut given = keys.commitment;
    check("commitment", |differs| {
        given = flipped(keys.commitment, differs);
        timed(|| keys.commits_to(black_box(&given)))
    });
}

#[test]
#[ignore = "a measurement, for a quiet machine"]
fn the_time_to_compare_tags_does_not_depend_on_the_bytes() {
    let mut backends = vec![Backend::AesGcm];
    #[cfg(feature = "aws-lc")]
    backends.push(Backend::AwsLc);
    for backend in backends {
        let aead = Aead::new(&[7; 32], backend);
        let header = FrameHeader::data(LayerId::ENCRYPTION, PackId::from_bytes([1; 16]), 3, 0)
            .with_lengths(16, 32);
        let mut sealed = [0; 32];
        aead.seal(&header, &mut sealed);
        let (text, tag) = sealed.split_last_chunk::<TAG_LEN>().expect("a tag");
        let mut given = sealed;
        check(&format!("tag, {backend:?}"), |differs| {
            let wrong = flipped(*tag, differs);
            timed(|| {
                given[..16].copy_from_slice(text);
                given[16..].copy_from_slice(&wrong);
                aead.open(&header, black_box(&mut given)).is_ok()
            })
        });
    }
}

#[track_caller]
fn check(what: &str, mut measure: impl FnMut(Differs) -> f64) {
    // Noise is not there each time, a leak is.
    let t = (0..3).map(|_| t_value(&mut measure)).fold(f64::INFINITY, f64::min);
    eprintln!("{what}: t = {t:.1}");
    assert!(t < LIMIT, "{what}: t = {t:.1}");
}

fn flipped<const N: usize>(mut bytes: [u8; N], differs: Differs) -> [u8; N] {
    bytes[match differs {
        Differs::AtTheFront => 0,
        Differs::AtTheEnd => N - 1,
    }] ^= 1;
    bytes
}

/// Nanoseconds that `compare`, whose answer is no, takes many times over.
fn timed(mut compare: impl FnMut() -> bool) -> f64 {
    let begun = Instant::now();
    for _ in 0..REPEATED {
        assert!(!black_box(compare()));
    }
    begun.elapsed().as_nanos() as f64
}

/// The absolute value of Welch's t of the times of both classes, without the slowest tenth, which is what else went on.
fn t_value(mut measure: impl FnMut(Differs) -> f64) -> f64 {
    let mut times = [Vec::new(), Vec::new()];
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    for _ in 0..SAMPLES {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let class = ((state >> 32) & 1) as usize;
        times[class].push(measure([Differs::AtTheFront, Differs::AtTheEnd][class]));
    }
    let mut all = times.concat();
    all.sort_by(f64::total_cmp);
    let slowest = all[all.len() * 9 / 10];
    let [front, end] = times.map(|times| {
        let times: Vec<_> = times.into_iter().filter(|&time| time <= slowest).collect();
        let count = times.len() as f64;
        let mean = times.iter().sum::<f64>() / count;
        let spread = times.iter().map(|time| (time - mean).powi(2)).sum::<f64>() / (count - 1.0);
        (mean, spread / count)
    });
    (front.0 - end.0).abs() / (front.1 + end.1).sqrt()
}

const SAMPLES: usize = 100_000;
const REPEATED: usize = 32;

/// From here on, the authors of *dudect* take it that the time depends on the class.
const LIMIT: f64 = 10.0;
