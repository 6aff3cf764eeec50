//! What putting a file into a store costs, beside what it cannot do without: `store_speed FILE DIRECTORY ROUNDS`.
//!
//! Into a directory: SHA-256 on one core, and the same bytes written and made durable in files of the same size. With S3_STORE, and the usual variables of
//! AWS, into a service: the same bytes uploaded in parts by `object_store`. Each by itself, in turns, when the disk has what those before it have written; the best of the rounds is
//! told, as JSON.

#![expect(clippy::print_stdout, reason = "the times are the result")]

use std::error::Error;
use std::fs::{self, File};
use std::hint::black_box;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use carstone_store::{Blob, PackWriterOptions, Store, StoreUrl};
use object_store::aws::AmazonS3Builder;
use object_store::path::Path as Key;
use object_store::{ObjectStore, WriteMultipart};
use sha2::{Digest, Sha256};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Bytes of a pack.
const PACK: u64 = 133_169_152;
/// Bytes that are read and written at a time.
const PIECE: usize = 1 << 20;
/// Bytes of a part of an upload, and parts at the same time, as stores have them.
const PART: usize = 8 << 20;
const PARTS_AT_ONCE: usize = 4;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, directory, rounds] = &arguments[..] else {
        return Err("store_speed FILE DIRECTORY ROUNDS".into());
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(measure(Path::new(file), Path::new(directory), rounds.parse()?))
}

async fn measure(file: &Path, directory: &Path, rounds: usize) -> Outcome<()> {
    let service = std::env::var("S3_STORE").ok();
    let mut best: Vec<(&str, f64)> = Vec::new();
    let mut note = |what: &'static str, start: Instant| {
        let seconds = start.elapsed().as_secs_f64();
        match best.iter_mut().find(|(known, _)| *known == what) {
            Some((_, best)) => *best = best.min(seconds),
            None => best.push((what, seconds)),
        }
    };
    for round in 0..rounds {
        let start = Instant::now();
        hash(file)?;
        note("SHA-256 on one core", start);

        let folder = directory.join("bare");
        fs::create_dir_all(&folder)?;
        rustix::fs::sync();
        let start = Instant::now();
        write_durably(file, &folder)?;
        note("written and made durable", start);
        fs::remove_dir_all(&folder)?;

        let folder = directory.join("store");
        let store = Store::create_local(&folder).await?;
        rustix::fs::sync();
        let start = Instant::now();
        put(&store, file).await?;
        note("carstone, put into a directory", start);
        fs::remove_dir_all(&folder)?;

        if let Some(url) = &service {
            // Each round in a place of its own, since what is there is not sent again.
            let place = format!("{url}/{}-{round}", std::process::id());
            rustix::fs::sync();
            let start = Instant::now();
            upload(file, &place).await?;
            note("uploaded in parts by object_store", start);

            let endpoint = std::env::var("AWS_ENDPOINT_URL").ok();
            let store = Store::create_at(&StoreUrl::new(&place).endpoint(endpoint)).await?;
            rustix::fs::sync();
            let start = Instant::now();
            put(&store, file).await?;
            note("carstone, put into a service", start);
        }
    }
    let lines: Vec<_> =
        best.iter().map(|(what, seconds)| format!("\"{what}\": {seconds}")).collect();
    println!("{{{}}}", lines.join(", "));
    Ok(())
}

async fn put(store: &Store, file: &Path) -> Outcome<()> {
    let file = File::open(file)?;
    let len = file.metadata()?.len();
    let blob = Blob::reader(file).with_len(len);
    let written = store.put(blob, PackWriterOptions::default()).await?;
    assert_eq!(written.packs.len() as u64, len.div_ceil(PACK).max(1));
    Ok(())
}

fn hash(file: &Path) -> Outcome<()> {
    let (mut file, mut hasher, mut piece) = (File::open(file)?, Sha256::new(), vec![0; PIECE]);
    loop {
        match file.read(&mut piece)? {
            0 => break,
            n => hasher.update(&piece[..n]),
        }
    }
    black_box(hasher.finalize());
    Ok(())
}

fn write_durably(file: &Path, folder: &Path) -> Outcome<()> {
    let (mut file, mut piece) = (File::open(file)?, vec![0; PIECE]);
    for number in 0.. {
        let mut part = (&mut file).take(PACK);
        let mut out = File::create(folder.join(number.to_string()))?;
        let mut written = 0;
        loop {
            match part.read(&mut piece)? {
                0 => break,
                n => out.write_all(&piece[..n])?,
            }
            written += 1;
        }
        out.sync_all()?;
        if written == 0 {
            break;
        }
    }
    Ok(File::open(folder)?.sync_all()?)
}

async fn upload(file: &Path, place: &str) -> Outcome<()> {
    let (_, rest) = place.split_once("://").ok_or("no URL of S3")?;
    let (bucket, prefix) = rest.split_once('/').ok_or("no prefix")?;
    let builder = AmazonS3Builder::from_env().with_bucket_name(bucket).with_allow_http(true);
    let service: Arc<dyn ObjectStore> = Arc::new(builder.build()?);
    let mut file = File::open(file)?;
    let mut left = file.metadata()?.len();
    for number in 0.. {
        if left == 0 {
            break;
        }
        let key = Key::from(format!("{prefix}/bare/{number}"));
        let mut upload = WriteMultipart::new_with_chunk_size(
            service.put_multipart_opts(&key, Default::default()).await?,
            PART,
        );
        let mut of_this = left.min(PACK);
        left -= of_this;
        while of_this > 0 {
            let mut part = vec![0; PART.min(usize::try_from(of_this)?)];
            file.read_exact(&mut part)?;
            of_this -= part.len() as u64;
            upload.wait_for_capacity(PARTS_AT_ONCE).await?;
            upload.put(part.into());
        }
        upload.finish().await?;
    }
    Ok(())
}
