//! What may be lost of a file system in memory with its power.

use std::sync::Arc;

use crate::sim::{Names, State, Thing};

/// Which of the changes that were not made durable are there afterwards.
#[derive(Clone, Copy, Debug)]
pub enum Lost {
    /// None of them.
    All,
    /// All of them.
    Nothing,
    /// Names are, and files are empty.
    Contents,
    /// Names are, and the first half of each file.
    Torn,
    /// Names are, and files have their lengths, with zeros in them.
    Zeroed,
    /// The first of the changes of names, in their order, and all contents: in a thousand parts of them.
    Prefix(usize),
    /// Each name, and each content, is or is not, as this seed has it, in no order.
    Some(u64),
}

impl State {
    /// A thing as it is with power again, and durable.
    pub(crate) fn after(&self, number: u64, lost: Lost) -> Thing {
        match self.things.get(&number).expect("it was made") {
            Thing::Link(target) => Thing::Link(target.clone()),
            Thing::File { bytes, is_durable } => Thing::File {
                bytes: match is_durable {
                    true => Arc::clone(bytes),
                    false => left_of(bytes, number, lost),
                },
                is_durable: true,
            },
            Thing::Directory { now, durable } => {
                let names = match lost {
                    Lost::All => durable.clone(),
                    Lost::Some(seed) => some_of(now, durable, number, seed),
                    Lost::Prefix(parts) => {
                        self.first_of(durable, number, self.changes.len() * parts / 1000)
                    }
                    _ => now.clone(),
                };
                Thing::Directory { now: names.clone(), durable: names }
            }
        }
    }

    /// The names of a directory when so many of the changes are there.
    fn first_of(&self, durable: &Names, directory: u64, count: usize) -> Names {
        let mut names = durable.clone();
        let changes = self.changes.iter().take(count).flatten();
        for change in changes.filter(|change| change.directory == directory) {
            match change.is {
                Some(number) => names.insert(change.name.clone(), number),
                None => names.remove(&change.name),
            };
        }
        names
    }
}

fn left_of(bytes: &Arc<Vec<u8>>, number: u64, lost: Lost) -> Arc<Vec<u8>> {
    let zeroed = || vec![0; bytes.len()];
    Arc::new(match lost {
        Lost::Nothing | Lost::Prefix(_) => return Arc::clone(bytes),
        Lost::All | Lost::Contents => Vec::new(),
        Lost::Torn => bytes[..bytes.len() / 2].to_vec(),
        Lost::Zeroed => zeroed(),
        Lost::Some(seed) => match mixed(seed, number) % 4 {
            0 => Vec::new(),
            1 => return Arc::clone(bytes),
            2 => bytes[..mixed(seed, !number) as usize % (bytes.len() + 1)].to_vec(),
            _ => zeroed(),
        },
    })
}

/// Each name as it was or as it is.
fn some_of(now: &Names, durable: &Names, directory: u64, seed: u64) -> Names {
    let mut names = Names::new();
    for (count, name) in now.keys().chain(durable.keys()).enumerate() {
        let at = directory << 16 | count as u64;
        let chosen = match mixed(seed, at) % 2 {
            _ if names.contains_key(name) => continue,
            0 => now.get(name),
            _ => durable.get(name),
        };
        names.extend(chosen.map(|number| (name.clone(), *number)));
    }
    names
}

/// A number that follows from both, and looks like chance.
fn mixed(seed: u64, number: u64) -> u64 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number.wrapping_add(0x1234_5678);
    for shift in [30, 27, 31] {
        state = (state ^ (state >> shift)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    }
    state ^ (state >> 29)
}
