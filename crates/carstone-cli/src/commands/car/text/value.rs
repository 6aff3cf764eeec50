//! Data of a block as DAG-JSON, and back.

use carstone::car::dag::{NodeLimits, links};
use carstone::car::{Cid, codec};
use ipld_core::ipld::Ipld;
use serde::Serialize as _;

/// How a text gives a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As a value that its codec encodes.
    Value,
    /// As bytes.
    Data,
}

/// The data of a block as it stands in a text: as a value if exactly these bytes come out of it again.
pub(super) fn to_json(cid: &Cid, data: &[u8]) -> (Form, String) {
    let value = decode(cid, data).and_then(|value| {
        let json = pretty(&value)?;
        let back = from_json(json.as_bytes()).ok()?;
        (encode(cid.codec(), &back).ok()? == data).then_some(json)
    });
    match value {
        Some(json) => (Form::Value, json),
        None => (Form::Data, bytes_to_json(data)),
    }
}

/// The value that DAG-JSON says.
pub(super) fn from_json(json: &[u8]) -> anyhow::Result<Ipld> {
    Ok(serde_ipld_dagjson::from_slice(json)?)
}

/// The data of a block that has this value.
pub(super) fn encode(codec: u64, value: &Ipld) -> anyhow::Result<Vec<u8>> {
    Ok(match codec {
        codec::DAG_PB => ipld_dagpb::from_ipld(value)?,
        codec::DAG_CBOR => serde_ipld_dagcbor::to_vec(value)?,
        codec::DAG_JSON => serde_ipld_dagjson::to_vec(value)?,
        _ => anyhow::bail!("blocks of codec {codec:#x} have no values: give it as `data`"),
    })
}

/// The value in a block, where there is one.
fn decode(cid: &Cid, data: &[u8]) -> Option<Ipld> {
    // What has no sound structure or is nested too deeply ends here, and no other decoder sees it.
    let limits = NodeLimits::default().nesting(100);
    links(cid, data, &limits).ok()?;
    match cid.codec() {
        codec::DAG_PB => ipld_dagpb::to_ipld(data).ok(),
        codec::DAG_CBOR => serde_ipld_dagcbor::from_slice(data).ok(),
        codec::DAG_JSON => from_json(data).ok(),
        _ => None,
    }
}

fn bytes_to_json(data: &[u8]) -> String {
    let readable = |text: &&str| text.chars().all(|char| !char.is_control() || char == '\n');
    let text = std::str::from_utf8(data).ok().filter(readable).map(str::to_owned);
    let value = text.map_or_else(|| Ipld::Bytes(data.to_vec()), Ipld::String);
    pretty(&value).expect("text and bytes can be written")
}

fn pretty(value: &Ipld) -> Option<String> {
    let mut json = Vec::new();
    let mut serializer = serde_json::Serializer::pretty(&mut json);
    value.serialize(serde_ipld_dagjson::ser::Serializer::new(&mut serializer)).ok()?;
    String::from_utf8(json).ok()
}

#[cfg(test)]
mod tests {
    use carstone::car::cid_of;

    use super::*;

    fn told(codec: u64, data: &[u8]) -> (Form, String) {
        to_json(&cid_of(codec, data), data)
    }

    #[test]
    fn a_block_is_a_value_only_if_its_bytes_come_back() {
        let (form, json) = told(codec::DAG_CBOR, b"\xa1\x61a\x82\x01\x41\x02");
        assert_eq!(form, Form::Value);
        let value = from_json(json.as_bytes()).expect("DAG-JSON");
        let data = encode(codec::DAG_CBOR, &value).expect("a value");
        assert_eq!(data, b"\xa1\x61a\x82\x01\x41\x02");
        // Keys out of order, a number in more bytes than it needs, damage, and what is nested too deeply.
        assert_eq!(told(codec::DAG_CBOR, b"\xa2\x61b\x01\x61a\x02").0, Form::Data);
        assert_eq!(told(codec::DAG_CBOR, b"\x18\x01").0, Form::Data);
        assert_eq!(told(codec::DAG_PB, b"\x0a\xff").0, Form::Data);
        let deep: Vec<u8> = [vec![0x81; 5000], vec![0x01]].concat();
        assert_eq!(told(codec::DAG_CBOR, &deep).0, Form::Data);
    }

    #[test]
    fn raw_data_is_text_where_it_can_be_read() {
        assert_eq!(told(codec::RAW, b"hello\n"), (Form::Data, "\"hello\\n\"".to_owned()));
        let (form, json) = told(codec::RAW, b"\0\x01");
        assert_eq!(form, Form::Data);
        assert_eq!(from_json(json.as_bytes()).expect("DAG-JSON"), Ipld::Bytes(vec![0, 1]));
    }
}
