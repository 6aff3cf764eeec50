//! Writes records as `docs/format.md` has them, and as it does not.

use carstone::car::Cid;
use carstone::layer::PackId;

use crate::input::Input;

pub(crate) const DAG_CBOR: u64 = 0x71;

/// A value of a record.
#[derive(Clone)]
pub(crate) enum Value {
    Uint(u64),
    Negative(u64),
    Bytes(Vec<u8>),
    Link(Cid),
    Array(Vec<Value>),
    Map(Vec<(&'static str, Value)>),
}

impl Value {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Uint(value) => head(out, 0, *value),
            Self::Negative(value) => head(out, 1, *value),
            Self::Bytes(bytes) => string(out, 2, bytes),
            Self::Link(cid) => {
                head(out, 6, 42);
                string(out, 2, &[&[0][..], &cid.to_bytes()].concat());
            }
            Self::Array(items) => {
                head(out, 4, items.len() as u64);
                items.iter().for_each(|item| item.write(out));
            }
            Self::Map(fields) => {
                head(out, 5, fields.len() as u64);
                for (key, value) in fields {
                    string(out, 3, key.as_bytes());
                    value.write(out);
                }
            }
        }
    }
}

fn head(out: &mut Vec<u8>, major: u8, value: u64) {
    let major = major << 5;
    match value {
        0..24 => out.push(major | value as u8),
        24..0x100 => out.extend([major | 24, value as u8]),
        0x100..0x1_0000 => {
            out.push(major | 25);
            out.extend((value as u16).to_be_bytes());
        }
        0x1_0000..0x1_0000_0000 => {
            out.push(major | 26);
            out.extend((value as u32).to_be_bytes());
        }
        _ => {
            out.push(major | 27);
            out.extend(value.to_be_bytes());
        }
    }
}

fn string(out: &mut Vec<u8>, major: u8, bytes: &[u8]) {
    head(out, major, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// A record of this type. Now and then one of its fields is lost, or another is put in.
pub(crate) fn record(
    pack: PackId,
    kind: u64,
    mut fields: Vec<(&'static str, Value)>,
    input: &mut Input<'_>,
) -> Vec<u8> {
    fields.push(("#", Value::Bytes(pack.as_bytes().to_vec())));
    fields.push(("t", Value::Uint(kind)));
    fields.push(("v", Value::Uint(1)));
    if input.one_in(40) {
        odd(&mut fields, input);
    }
    fields.sort_by_key(|(key, _)| *key);
    let mut out = Vec::new();
    Value::Map(fields).write(&mut out);
    out
}

/// Loses a field, or adds one that may not be known.
pub(crate) fn odd(fields: &mut Vec<(&'static str, Value)>, input: &mut Input<'_>) {
    match input.flag() {
        true => drop(fields.remove(input.below(fields.len()))),
        false => {
            let key = input.pick(&["!", "a", "b", "c", "l", "q", "r", "z", "G"]);
            fields.push((key, Value::Uint(input.number())));
        }
    }
}
