//! Many packets that become durable together.

use super::{Repository, StoreOptions};
use crate::error::Result;
use crate::packet::Packet;

/// Packets that are stored together: each step for all of them, and the disk is waited for three times and not many times for each.
///
/// Packets are collected in memory and stored when there are [`StoreOptions::batch`] of them, or [`BATCH_BYTES`] bytes, and at the end. Nothing is known to be stored before
/// [`commit`](Self::commit) says so; a batch that is dropped without has stored some of its packets, each of them whole. Others can write between two parts of it.
#[derive(Debug)]
#[must_use = "what is collected is stored by `commit`"]
pub struct Batch<'a> {
    repository: &'a Repository,
    options: StoreOptions,
    collected: Vec<Packet>,
    bytes: usize,
    stored: u64,
}

impl Repository {
    /// Begins a batch.
    pub fn batch(&self, options: &StoreOptions) -> Batch<'_> {
        Batch { repository: self, options: *options, collected: Vec::new(), bytes: 0, stored: 0 }
    }
}

impl Batch<'_> {
    /// Adds a packet.
    ///
    /// # Errors
    /// As [`Repository::store`]. Packets that could not be stored are kept, and tried again.
    pub fn store(&mut self, packet: &Packet) -> Result<()> {
        self.options.check(packet)?;
        self.bytes += size(packet);
        self.collected.push(packet.clone());
        match self.collected.len() >= self.options.batch || self.bytes >= BATCH_BYTES {
            true => self.flush(),
            false => Ok(()),
        }
    }

    /// Stores what is left, and tells how many packets all were. They are durable then.
    ///
    /// # Errors
    /// As [`Repository::store`].
    pub fn commit(mut self) -> Result<u64> {
        self.flush()?;
        Ok(self.stored)
    }

    fn flush(&mut self) -> Result<()> {
        if !self.collected.is_empty() {
            self.repository.store_all(&self.collected, self.options.verify, true)?;
            self.stored += self.collected.len() as u64;
            self.collected.clear();
            self.bytes = 0;
        }
        Ok(())
    }
}

/// Bytes of memory that a packet takes, about.
fn size(packet: &Packet) -> usize {
    let extras = packet.plex().map_or(&[][..], |plex| plex.extras());
    packet.data().len() + extras.iter().map(|extra| extra.line().len()).sum::<usize>()
}

/// Bytes of packets that a batch collects.
pub const BATCH_BYTES: usize = 32 << 20;
