//! What comes out of stores, and what is wrong with them.

use carstone_car::{Cid, codec};
use carstone_store::{CheckOptions, Finding, Result, Store, StreamOptions, check};
use futures::TryStreamExt;

/// The number of blocks under a root, all of which can be read.
pub async fn read(store: &Store, root: Cid) -> Result<usize> {
    let blocks: Vec<_> = store.stream(root, StreamOptions::default()).try_collect().await?;
    Ok(blocks.len())
}

/// The content of a file with raw leaves.
pub async fn content(store: &Store, root: Cid) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    let mut blocks = store.stream(root, StreamOptions::default().unique(false));
    while let Some((cid, block)) = blocks.try_next().await? {
        if cid.codec() == codec::RAW {
            content.extend_from_slice(&block);
        }
    }
    Ok(content)
}

/// What a check finds that reads all data.
pub async fn findings(store: &Store) -> Vec<Finding> {
    let mut findings = Vec::new();
    let options = CheckOptions::default().read_data(true);
    let checked = check(store, options, |finding| {
        findings.push(finding);
        Ok(())
    });
    checked.await.expect("checked");
    findings
}
