//! Commands that keep a store in order.

use std::hash::{BuildHasher, RandomState};

use carstone::car::Cid;
use carstone_store::Share;
use clap::Args;

use crate::cli::KeyArgs;
use crate::cli::parity::share;

/// `carstone store index rebuild`.
#[derive(Debug, Args)]
pub(crate) struct StoreRebuildArgs {
    /// Read only part I of N of the packs, counted from 1, so that several machines can share the work. The old index stays until `--finish`.
    #[arg(long, value_name = "I/N", value_parser = part)]
    pub shard: Option<(u64, u64)>,
    /// Put what all shards have made in place of the old index. Packs that no shard has read are read now.
    #[arg(long, conflicts_with = "shard")]
    pub finish: bool,
    /// Note all roots that packs name and that have no record, when records were lost. Roots that were removed, and that `gc` has not taken yet, come back
    /// with them.
    #[arg(long, conflicts_with_all = ["shard", "finish"])]
    pub roots: bool,
    /// What opens encrypted packs. Of those that it does not open, the old index is believed.
    #[command(flatten)]
    pub keys: KeyArgs,
}

/// `carstone store check`.
#[derive(Debug, Args)]
pub(crate) struct StoreCheckArgs {
    /// Read and verify every pack and its parity, and compare it with the index. Else only the lengths of packs are looked at. Of a damaged pack it is told whether its parity restores
    /// it.
    #[arg(long)]
    pub read_data: bool,
    /// Only part I of N of the packs, counted from 1, so that several machines can share the work.
    #[arg(long, value_name = "I/N", value_parser = part)]
    pub shard: Option<(u64, u64)>,
    /// Read only a part of the packs: I/N, or P% of them, others each time.
    #[arg(long, value_name = "I/N|P%", value_parser = some, conflicts_with = "read_data")]
    pub read_data_subset: Option<(u64, u64)>,
    /// What opens encrypted packs.
    #[command(flatten)]
    pub keys: KeyArgs,
}

/// `carstone store heal`.
#[derive(Debug, Args)]
pub(crate) struct StoreHealArgs {
    /// A store that has the same packs or blobs, for what the store itself does not have elsewhere; can be given again.
    #[arg(long, value_name = "STORE")]
    pub from: Vec<String>,
    /// Only part I of N of the packs, counted from 1, so that several machines can share the work.
    #[arg(long, value_name = "I/N", value_parser = part)]
    pub shard: Option<(u64, u64)>,
    /// What opens encrypted packs, of which blobs are taken then. Packs that can be had whole need none.
    #[command(flatten)]
    pub keys: KeyArgs,
}

/// `carstone store protect`.
#[derive(Debug, Args)]
pub(crate) struct StoreProtectArgs {
    /// Percent of a pack that its parity may take, 1 to 100.
    #[arg(long, value_name = "P", default_value = "10%", value_parser = share)]
    pub parity: Share,
    /// Only part I of N of the packs, counted from 1, so that several machines can share the work.
    #[arg(long, value_name = "I/N", value_parser = part)]
    pub shard: Option<(u64, u64)>,
}

/// `carstone store copy`.
#[derive(Debug, Args)]
pub(crate) struct StoreCopyArgs {
    /// The other store.
    #[arg(value_name = "STORE")]
    pub to: String,
    /// Only part I of N of the packs, counted from 1, and neither the index nor roots: so several machines can share the work, and one
    /// copies without this at the end.
    #[arg(long, value_name = "I/N", value_parser = part)]
    pub shard: Option<(u64, u64)>,
}

/// `carstone store rm`.
#[derive(Debug, Args)]
pub(crate) struct StoreRmArgs {
    /// The root.
    #[arg(value_name = "CID")]
    pub cid: Cid,
}

/// `carstone store gc`.
#[derive(Debug, Args)]
pub(crate) struct StoreGcArgs {
    /// Hours for which packs that no root needs are kept: writers may be about to note a root.
    #[arg(long, value_name = "HOURS", default_value_t = 24)]
    pub grace: u64,
    /// Only part I of N of the packs, counted from 1, so that several machines can share the work, and without touching the index: one without this at the
    /// end takes out of it what is gone.
    #[arg(long, value_name = "I/N", value_parser = part)]
    pub shard: Option<(u64, u64)>,
    /// Remove nothing, and print what would go.
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Go on where no root is noted at all, so that every pack goes. Else that is an error, since records of roots may be lost.
    #[arg(long)]
    pub no_roots: bool,
}

/// I of N, or so many of a hundred: one of as many parts, whichever.
fn some(text: &str) -> Result<(u64, u64), String> {
    let Some(percent) = text.strip_suffix('%') else { return Ok(part(text)?) };
    let percent: f64 = percent.parse().map_err(|_| "a share is P%, from 0 to 100".to_owned())?;
    if !(percent > 0.0 && percent <= 100.0) {
        return Err("a share is P%, above 0 and up to 100".to_owned());
    }
    let of = (100.0 / percent).round().clamp(1.0, 1e9) as u64;
    // Its keys are random.
    let random = RandomState::new().hash_one(of);
    Ok((random % of, of))
}

/// I of N, counted from 1.
fn part(text: &str) -> Result<(u64, u64), &'static str> {
    let bad = "a shard is I/N, from 1/N to N/N";
    let (part, of) = text.split_once('/').ok_or(bad)?;
    match (part.parse::<u64>(), of.parse::<u64>()) {
        (Ok(part), Ok(of)) if (1..=of).contains(&part) => Ok((part - 1, of)),
        _ => Err(bad),
    }
}
