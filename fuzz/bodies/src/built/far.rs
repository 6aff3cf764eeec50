//! The far region: manifest, index, tail.

use carstone::car::cid_of;
use sha2::{Digest, Sha256};

use super::{Builder, Built, Entry, RAW};
use crate::records::{Value, odd};

impl Builder<'_, '_> {
    /// Manifest, index and tail.
    pub(super) fn far_region(mut self) -> Built {
        if self.input.flag() {
            self.entries.sort_by_key(|entry| sort_key(&entry.path));
        }
        let entries = std::mem::take(&mut self.entries);
        let per_page = 1 + self.input.below(6);
        let mut children = Vec::new();
        let mut pages = entries.chunks(per_page).collect::<Vec<_>>();
        if pages.is_empty() {
            pages.push(&[]);
        }
        for page in pages {
            let list = page.iter().map(|entry| self.listed(entry)).collect();
            let position = self.record(4, vec![("e", Value::Array(list)), ("l", Value::Uint(0))]);
            let first = page.first().map_or(Vec::new(), |entry| entry.path.clone());
            children.push(Value::Array(vec![Value::Bytes(first), Value::Uint(position)]));
            self.pages.push(position);
        }
        if children.len() > 1 || self.input.one_in(8) {
            let level = self.perhaps(1);
            let position = self.record(4, vec![("e", Value::Array(children)), ("l", level)]);
            self.pages.push(position);
        }
        let mut manifest = self.pages.last().copied().unwrap_or_default();
        // Pages that share their children.
        for level in 2..2 + if self.input.one_in(12) { self.input.below(20) as u64 } else { 0 } {
            let child = |first: &[u8]| {
                Value::Array(vec![Value::Bytes(first.to_vec()), Value::Uint(manifest)])
            };
            let list = vec![child(b""), child(b"d"), child(b"f")];
            manifest = self.record(4, vec![("e", Value::Array(list)), ("l", Value::Uint(level))]);
        }
        let index = self.index();
        let fields = vec![
            ("b", self.perhaps(self.blocks.len() as u64)),
            ("e", self.perhaps(entries.len() as u64)),
            ("m", self.perhaps(manifest)),
            ("r", Value::Array(vec![Value::Link(cid_of(RAW, b""))])),
            ("s", Value::Uint(0)),
            ("x", self.perhaps(index)),
            ("z", self.perhaps(entries.iter().map(|entry| entry.content.len() as u64).sum())),
        ];
        let tail = self.record(6, fields);
        if self.input.one_in(20) {
            self.junk();
        }
        Built { bytes: self.car.finish().expect("a Vec takes all"), tail }
    }

    fn listed(&mut self, entry: &Entry) -> Value {
        let mut fields = vec![
            ("b", self.perhaps(entry.batch)),
            ("i", self.perhaps(entry.id)),
            ("k", self.perhaps(entry.kind)),
            ("p", Value::Bytes(entry.path.clone())),
        ];
        if entry.kind == 0 {
            fields.push(("z", self.perhaps(entry.content.len() as u64)));
            if self.input.flag() {
                fields.push(("h", Value::Bytes(Sha256::digest(&entry.content).to_vec())));
            }
        }
        if let Some(target) = &entry.target {
            fields.push(("l", Value::Bytes(target.clone())));
        }
        if !entry.runs.is_empty() {
            let mut runs = Vec::new();
            for (offset, position) in &entry.runs {
                runs.extend([self.perhaps(*offset), self.perhaps(*position)]);
            }
            fields.push(("r", Value::Array(runs)));
        }
        if self.input.one_in(40) {
            odd(&mut fields, self.input);
        }
        fields.sort_by_key(|(key, _)| *key);
        Value::Map(fields)
    }

    fn index(&mut self) -> u64 {
        let (prefix, width) = (1 + self.input.below(3), 2);
        let mut entries: Vec<Vec<u8>> = self
            .blocks
            .iter()
            .map(|(cid, _, position)| {
                let digest = &cid.hash().digest()[..prefix];
                [digest, &position.to_le_bytes()[..width]].concat()
            })
            .collect();
        entries.sort();
        if self.input.one_in(30) {
            entries.push(self.input.text(9).to_vec());
        }
        let data = Value::Bytes(entries.concat());
        let (prefix, width) = (self.perhaps(prefix as u64), self.perhaps(width as u64));
        let fields = vec![("d", data), ("l", Value::Uint(0)), ("n", prefix), ("w", width)];
        let mut root = self.record(5, fields);
        for level in 1..1 + if self.input.one_in(12) { self.input.below(20) as u64 } else { 0 } {
            let child = |first| [&[first][..], &root.to_le_bytes()].concat();
            let data = Value::Bytes([child(0), child(1), child(200)].concat());
            let (level, one) = (Value::Uint(level), Value::Uint(1));
            root = self.record(5, vec![("d", data), ("l", level), ("n", one.clone()), ("w", one)]);
        }
        root
    }
}

/// What sorts paths as a manifest has them: component by component.
fn sort_key(path: &[u8]) -> Vec<u8> {
    path.iter().map(|byte| if *byte == b'/' { 0 } else { *byte }).collect()
}
