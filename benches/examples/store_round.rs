//! A file into a store and out again, all of it and some ranges: `store_round URL FILE`. Its root is printed.

#![expect(clippy::print_stdout, reason = "the root is the result")]

use std::error::Error;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use carstone::unixfs::{Node, decode};
use carstone_store::{Blob, PackWriterOptions, Store, StoreUrl, StreamOptions};
use futures::TryStreamExt;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, file] = &arguments[..] else { return Err("store_round URL FILE".into()) };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run(url, Path::new(file)))
}

async fn run(url: &str, path: &Path) -> Result<(), Box<dyn Error>> {
    let url = StoreUrl::new(url).endpoint(std::env::var("AWS_ENDPOINT_URL").ok());
    let store = Store::create_at(&url).await?;
    let file = File::open(path)?;
    let len = file.metadata()?.len();
    let blob = Blob::reader(file).with_len(len);
    let written = store.put(blob, PackWriterOptions::default()).await?;

    let (mut file, mut due, mut so_far) = (File::open(path)?, Vec::new(), 0);
    let mut blocks = store.stream(written.root, StreamOptions::default().unique(false));
    while let Some((cid, block)) = blocks.try_next().await? {
        let content = match decode(&cid, &block)? {
            Node::Raw(data) => data,
            Node::File(file) => file.data,
            _ => return Err("no part of a file".into()),
        };
        due.resize(content.len(), 0);
        file.read_exact(&mut due)?;
        if due != content {
            return Err(format!("other bytes behind byte {so_far}").into());
        }
        so_far += content.len() as u64;
    }
    if so_far != len {
        return Err(format!("{so_far} bytes of {len}").into());
    }
    // A block of each pack, where the index says.
    for pack in &written.packs {
        let blob = &pack.blobs[pack.blobs.len() / 2];
        let bytes = store.packs().read(&pack.name, blob.offset..blob.offset + blob.len).await?;
        carstone::car::verify(&blob.cid, &bytes)?;
    }
    println!("{}", written.root);
    Ok(())
}
