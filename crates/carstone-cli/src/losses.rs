//! What damage costs, as lines for people and for programs. Places of damage have numbers from 1, by which entries refer to them.

use std::ops::Range;

use carstone::layer::{Cause, Correction, Gap};
use carstone::repair::{Damage, Hit, State};
use serde_json::{Map, Value, json};

use crate::input::damage as place_of;
use crate::names;

/// A place of damage, for people.
pub(crate) fn place_text(number: u64, damage: &Damage) -> String {
    let what = match damage {
        Damage::Gap(gap) => gap_text(gap),
        Damage::Fault { at, message } => format!("{message} (byte {at} of the CAR stream)"),
        other => format!("{other:?}"),
    };
    format!("damage {number}: {what}")
}

fn gap_text(gap: &Gap) -> String {
    let lost = match gap.len {
        Some(0) => String::new(),
        Some(len) => format!("; {len} bytes of the CAR stream are lost, from byte {} on", gap.at),
        None => format!("; the CAR stream is lost from byte {} on", gap.at),
    };
    format!("{}{lost}", place_of(gap))
}

/// A place of damage, for programs: the type of the line, and its fields.
pub(crate) fn place_fields(number: u64, damage: &Damage) -> (&'static str, Map<String, Value>) {
    let (kind, value) = match damage {
        Damage::Gap(gap) => {
            let mut fields = gap_fields(gap);
            fields.insert("number".to_owned(), number.into());
            return ("gap", fields);
        }
        Damage::Fault { at, message } => {
            let fields =
                json!({ "number": number, "layer": "pack", "offset": at, "message": message });
            ("finding", fields)
        }
        other => ("finding", json!({ "number": number, "message": format!("{other:?}") })),
    };
    (kind, object(value))
}

/// What is known of a gap.
pub(crate) fn gap_fields(gap: &Gap) -> Map<String, Value> {
    let mut lowest = gap;
    while let Cause::Below(below) = &lowest.cause {
        lowest = below;
    }
    object(json!({
        "layer": lowest.layer.to_string(),
        "cause": lowest.cause.to_string(),
        "stored": lowest.stored.as_ref().map(|stored| [stored.start, stored.end]),
        "offset": gap.at,
        "length": gap.len,
    }))
}

/// Bytes that are missing.
pub(crate) fn ranges(missing: &[Range<u64>]) -> Value {
    missing.iter().map(|range| json!([range.start, range.end])).collect()
}

/// An entry that is not whole, for people; `kept_as` is the name under which what is left of it is kept.
pub(crate) fn hit_text(hit: &Hit, kept_as: Option<&[u8]>) -> String {
    let what = match (&hit.state, hit.size) {
        (State::Incomplete { missing, .. }, Some(size)) if !missing.is_empty() => {
            let lost: u64 = missing.iter().map(|range| range.end - range.start).sum();
            format!("{lost} of its {size} bytes are missing")
        }
        (State::Incomplete { missing, .. }, None) if !missing.is_empty() => {
            format!("{}, and its end", hit.state)
        }
        (state, _) => state.to_string(),
    };
    let numbers: Vec<String> = hit.damage.iter().map(|n| (n + 1).to_string()).collect();
    let place = match numbers.is_empty() {
        true => String::new(),
        false => format!(" (damage {})", numbers.join(", ")),
    };
    let kept = kept_as.map(|name| format!("; kept as {}", names::escaped(name)));
    format!("{}: {what}{place}{}", names::escaped(&hit.path), kept.unwrap_or_default())
}

/// The same for programs.
pub(crate) fn hit_fields(hit: &Hit, kept_as: Option<&[u8]>) -> Map<String, Value> {
    let mut fields = Map::new();
    names::put(&mut fields, "path", &hit.path);
    fields.insert("kind".to_owned(), hit.kind.to_string().into());
    fields.insert("size".to_owned(), hit.size.into());
    let state = match &hit.state {
        State::Incomplete { missing, .. } => {
            fields.insert("missing".to_owned(), ranges(missing));
            fields.insert("end_lost".to_owned(), hit.size.is_none().into());
            "incomplete"
        }
        State::Empty => {
            let ranges = hit.size.map(|size| vec![json!([0, size])]);
            fields.insert("missing".to_owned(), ranges.unwrap_or_default().into());
            "empty"
        }
        State::OriginalLost { .. } => "original_lost",
        State::Clash => "clash",
        State::Contradicted => "contradicted",
        _ => "damaged",
    };
    fields.insert("state".to_owned(), state.into());
    let numbers: Vec<u64> = hit.damage.iter().map(|number| number + 1).collect();
    fields.insert("damage".to_owned(), numbers.into());
    if let Some(name) = kept_as {
        names::put(&mut fields, "kept_as", name);
    }
    fields
}

/// What is lost of the outermost layer, for people.
pub(crate) fn lost_text(number: u64, gap: &Gap) -> String {
    let lost = match gap.len {
        Some(len) => format!("{len} bytes"),
        None => "everything behind it".to_owned(),
    };
    format!("damage {number}: {}; {lost} of the {} layer lost", place_of(gap), gap.layer)
}

/// What is lost of the outermost layer, for programs.
pub(crate) fn lost_fields(gap: &Gap) -> Map<String, Value> {
    object(json!({
        "layer": gap.layer.to_string(),
        "offset": gap.at,
        "length": gap.len,
        "stored": gap.stored.as_ref().map(|stored| [stored.start, stored.end]),
        "message": gap.to_string(),
    }))
}

/// Bits that were put right, for programs.
pub(crate) fn correction_fields(found: &Correction) -> Map<String, Value> {
    let (layer, offset, bits) = (found.layer.to_string(), found.at, found.bits);
    object(json!({ "layer": layer, "offset": offset, "bits": bits }))
}

/// Blocks that belong to no entry, for people.
pub(crate) fn nameless_text(blocks: u64, bytes: u64) -> String {
    format!("{blocks} blocks with {bytes} bytes belong to no entry that is left")
}

/// The fields of an object.
pub(crate) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}
