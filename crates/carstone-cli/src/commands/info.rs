//! `carstone info`: what a pack is made of.

use anyhow::{Context, bail};
use carstone::car::{IndexCodec, ReaderOptions, V2Header};
use carstone::layer::{LayerId, LayerSlot};
use carstone::raw::Container;
use carstone::stack::{self, Format, OpenOptions, Stored};
use serde_json::{Map, Value, json};

use crate::cli::InfoArgs;
use crate::exit::Exit;
use crate::input::{Pack, PlainCar, explained, is_damage, open_strict};
use crate::keys::Keys;
use crate::names::{hex, human};
use crate::output::Output;
use crate::source::{Bytes, Source};

/// Tells what is public, and with a key the rest.
pub(crate) fn run(args: InfoArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let keys = Keys::optional(&args.keys, &args.pack)?;
    let source = Source::open(&args.pack)?.spooled()?;
    let name = source.name.clone();
    let Bytes::File(file) = source.bytes else { return Ok(Exit::Failed) };
    let mut facts = Facts::default();
    if source.format == Format::Car {
        let stored = file.metadata().ok().map(|metadata| metadata.len());
        let car = PlainCar::open(file, ReaderOptions::default()).with_context(|| name.clone())?;
        facts.car(&car, stored).with_context(|| name.clone())?;
        facts.print(output)?;
        car.tell_faults(&name, output)?;
        return Ok(Exit::found(output.problems() > 0));
    }
    if source.format == Format::Unknown {
        bail!(
            "{name}: no container header stands at byte 0, but frames of a pack are there: `carstone repair` may make it whole"
        );
    }
    let again = file.try_clone().context("cannot open it again")?;
    let stored = stack::inspect(file, &OpenOptions::default()).map_err(explained);
    let stored = stored.with_context(|| name.clone())?;
    facts.container(&stored.container, stored.stored_len);
    facts.recipients(&stored).with_context(|| name.clone())?;
    let locked = stored.encryption.as_ref().is_some_and(|layer| !keys.may_open(&layer.envelope));
    if !locked {
        match open_strict(again, &keys, None) {
            Ok(pack) => facts.pack(&pack, stored.stored_len),
            Err(error) => {
                // What is public needs no key, and is sound.
                if !is_damage(&error) {
                    facts.print(output)?;
                }
                return Err(explained(error)).with_context(|| name);
            }
        }
    }
    facts.print(output)?;
    if locked {
        output.note("The rest is encrypted, and needs a key: -i FILE or -p.");
    }
    Ok(Exit::Intact)
}

/// What is told, as lines for people and as fields for programs.
#[derive(Default)]
struct Facts {
    lines: Vec<(&'static str, String)>,
    fields: Map<String, Value>,
}

impl Facts {
    fn container(&mut self, container: &Container, stored_len: u64) {
        let id = hex(container.pack_id.as_bytes());
        self.line("format", format!("carstone pack, version 1.{}", container.minor));
        self.line("pack id", id.clone());
        self.line("stored", bytes(stored_len));
        let mut layers = Vec::new();
        for (number, slot) in container.layers.slots().iter().enumerate() {
            let (text, value) = layer(slot);
            self.line(if number == 0 { "layers" } else { "" }, text);
            layers.push(value);
        }
        self.field("format", "pack".into());
        self.field("version", format!("1.{}", container.minor).into());
        self.field("pack_id", id.into());
        self.field("stored", stored_len.into());
        self.field("layers", layers.into());
    }

    fn recipients(&mut self, stored: &Stored) -> anyhow::Result<()> {
        self.field("encrypted", stored.encryption.is_some().into());
        if stored.encryption.is_none() {
            return Ok(());
        }
        let kinds: Vec<String> = stored.recipients()?.iter().map(ToString::to_string).collect();
        let text = match kinds.len() {
            0 => "none: the key is kept elsewhere".to_owned(),
            n => format!("{n}: {}", kinds.join(", ")),
        };
        self.line("recipients", text);
        self.field("recipients", kinds.into());
        Ok(())
    }

    fn pack(&mut self, pack: &Pack, stored_len: u64) {
        let tail = pack.reader.tail();
        self.roots(&tail.roots.iter().map(ToString::to_string).collect::<Vec<_>>());
        self.line("entries", tail.entries.to_string());
        self.line("blocks", tail.blocks.to_string());
        self.line("content", bytes(tail.size));
        self.line("car stream", bytes(pack.layers.len()));
        let ratio = tail.size as f64 / stored_len.max(1) as f64;
        self.line("ratio", format!("{ratio:.2} (content to stored)"));
        self.field("entries", tail.entries.into());
        self.field("blocks", tail.blocks.into());
        self.field("content", tail.size.into());
        self.field("car_stream", pack.layers.len().into());
        self.field("ratio", ratio.into());
    }

    fn car(&mut self, car: &PlainCar, stored: Option<u64>) -> anyhow::Result<()> {
        let version = car.version().map(|version| version.to_string());
        let blocks = car.count()?;
        let told = version.as_deref().unwrap_or("unknown");
        self.line("format", format!("plain CAR, version {told}"));
        self.roots(&car.stored_roots().iter().map(ToString::to_string).collect::<Vec<_>>());
        self.line("blocks", blocks.to_string());
        self.field("format", "car".into());
        self.field("version", version.into());
        self.field("blocks", blocks.into());
        if let Some(v2) = car.v2() {
            self.car_v2(car, v2);
        }
        if let Some(len) = stored {
            self.line("stored", bytes(len));
            self.field("stored", len.into());
        }
        Ok(())
    }

    fn car_v2(&mut self, car: &PlainCar, v2: &V2Header) {
        let bits = v2.characteristics;
        let text = match (bits.is_fully_indexed(), bits.has_unknown()) {
            (false, false) => "none".to_owned(),
            (true, false) => "fully indexed".to_owned(),
            _ => hex(&bits.0),
        };
        self.line("characteristics", text);
        self.line("data", format!("{} from byte {} on", bytes(v2.data_size), v2.data_offset));
        self.field("characteristics", hex(&bits.0).into());
        self.field("fully_indexed", bits.is_fully_indexed().into());
        self.field("data_offset", v2.data_offset.into());
        self.field("data_size", v2.data_size.into());
        self.field("index_offset", v2.index_offset.into());
        let (text, value) = match (v2.index_offset, car.index()) {
            (None, _) => ("none".to_owned(), Value::Null),
            (Some(at), None) => (format!("at byte {at}, not readable"), json!({"readable": false})),
            (Some(at), Some(index)) => {
                let (code, name) = match index.codec() {
                    IndexCodec::MultihashSorted => (0x0401, "by hash function and digest"),
                    _ => (0x0400, "by digest"),
                };
                let entries = index.len();
                let text = format!("{code:#06x}, {name}, {entries} entries, from byte {at} on");
                (text, json!({"readable": true, "codec": code, "entries": entries}))
            }
        };
        self.line("index", text);
        self.field("index", value);
    }

    fn roots(&mut self, roots: &[String]) {
        if roots.is_empty() {
            self.line("root", "none".to_owned());
        }
        for (number, root) in roots.iter().enumerate() {
            self.line(if number == 0 { "root" } else { "" }, root.clone());
        }
        self.field("roots", roots.into());
    }

    fn line(&mut self, name: &'static str, text: String) {
        self.lines.push((name, text));
    }

    fn field(&mut self, name: &str, value: Value) {
        self.fields.insert(name.to_owned(), value);
    }

    fn print(&mut self, output: &mut Output) -> anyhow::Result<()> {
        if output.is_json() {
            return output.object("info", std::mem::take(&mut self.fields));
        }
        let width = self.lines.iter().map(|(name, _)| name.len()).max().unwrap_or(0).max(11);
        for (name, text) in &self.lines {
            output.line(format!("{name:<width$} {text}").as_bytes())?;
        }
        Ok(())
    }
}

fn layer(slot: &LayerSlot) -> (String, Value) {
    match slot.id {
        LayerId::ENCRYPTION => (
            format!("encryption: AES-256-GCM, frames of {}", human(slot.unit.into())),
            json!({"layer": "encryption", "algorithm": "AES-256-GCM", "frame": slot.unit}),
        ),
        LayerId::COMPRESSION => (
            format!("compression: blocks of {}", human(slot.unit.into())),
            json!({"layer": "compression", "block": slot.unit}),
        ),
        LayerId::POSITION => ("position".to_owned(), json!({"layer": "position"})),
        other => (other.to_string(), json!({"layer": other.to_string()})),
    }
}

fn bytes(count: u64) -> String {
    match count {
        0..1024 => format!("{count} bytes"),
        _ => format!("{count} bytes ({})", human(count)),
    }
}
