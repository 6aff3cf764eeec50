//! Reading a selector from dag-json.

use std::borrow::Cow;

use super::{Part, Selector};
use crate::codec::DAG_JSON;
use crate::dag::error::{DagError, DagErrorKind, Result};
use crate::dag::node::{Event, scan};
use crate::dag::options::NodeLimits;

impl Selector {
    /// Reads a selector from its dag-json, without an envelope around it. An error says at which byte.
    pub fn parse(json: &[u8]) -> Result<Self> {
        let mut parser = Parser::default();
        parser.selector(&read(json)?, None)?;
        Ok(Selector { parts: parser.parts.into() })
    }
}

/// What is more than that is no selector that somebody has written.
const LIMITS: NodeLimits = NodeLimits { links: 1 << 10, values: 1 << 14, nesting: 1 << 8 };

type Field<'a> = (Cow<'a, [u8]>, Value<'a>);

/// A value of a selector, and where it stands.
struct Value<'a> {
    at: usize,
    kind: Kind<'a>,
}

enum Kind<'a> {
    Map(Vec<Field<'a>>),
    List(Vec<Value<'a>>),
    Int(i128),
    Other,
}

/// Reads the values, which are not nested deeper than the limit.
fn read(json: &[u8]) -> Result<Value<'_>> {
    let mut root = None;
    let mut open: Vec<Value<'_>> = Vec::new();
    let mut keys = Vec::new();
    scan(DAG_JSON, json, &LIMITS, &mut |event, at| {
        let value = match event {
            Event::Key(key) => {
                keys.push(key);
                return Ok(());
            }
            Event::Map => {
                open.push(Value { at, kind: Kind::Map(Vec::new()) });
                return Ok(());
            }
            Event::List => {
                open.push(Value { at, kind: Kind::List(Vec::new()) });
                return Ok(());
            }
            Event::End => open.pop(),
            Event::Int(value) => Some(Value { at, kind: Kind::Int(value) }),
            _ => Some(Value { at, kind: Kind::Other }),
        };
        match open.last_mut().map(|above| &mut above.kind) {
            Some(Kind::Map(map)) => map.extend(keys.pop().zip(value)),
            Some(Kind::List(list)) => list.extend(value),
            _ => root = value,
        }
        Ok(())
    })?;
    root.ok_or_else(|| bad("it is empty", 0))
}

#[derive(Default)]
struct Parser {
    parts: Vec<Part>,
}

/// The recursion around a part.
#[derive(Clone, Copy)]
struct Around {
    recursive: usize,
    /// Whether a step has been made since it started, so that its edge may stand here.
    stepped: bool,
}

impl Parser {
    /// Reads a part with all below it, and returns its number.
    fn selector(&mut self, value: &Value<'_>, around: Option<Around>) -> Result<usize> {
        let [(key, body)] = fields(value)? else {
            return Err(bad("a selector is not a map of one key", value.at));
        };
        let number = self.parts.len();
        self.parts.push(Part::Matcher); // Its place is taken before those of the parts below.
        let next = around.map(|around| Around { stepped: true, ..around });
        let part = match &key[..] {
            b"." => {
                Fields::of(body, &["label"], &["onlyIf", "subset"])?;
                Part::Matcher
            }
            b"a" => Part::All { next: self.next(&Fields::of(body, &[">"], &[])?, next)? },
            b"f" => self.fields(body, next)?,
            b"i" => {
                let fields = Fields::of(body, &["i", ">"], &[])?;
                Part::Index { index: fields.number("i")?, next: self.next(&fields, next)? }
            }
            b"r" => {
                let fields = Fields::of(body, &["^", "$", ">"], &[])?;
                let (start, end) = (fields.number("^")?, fields.number("$")?);
                if start >= end {
                    return Err(bad("a range ends before it starts", body.at));
                }
                Part::Range { start, end, next: self.next(&fields, next)? }
            }
            b"R" => self.recursive(number, body)?,
            b"@" => {
                Fields::of(body, &[], &[])?;
                match around {
                    Some(Around { recursive, stepped: true }) => Part::Edge { recursive },
                    Some(_) => return Err(bad("no step leads to an edge", value.at)),
                    None => return Err(bad("an edge stands outside of a recursion", value.at)),
                }
            }
            b"|" => {
                let Kind::List(list) = &body.kind else {
                    return Err(bad("a union is not a list", body.at));
                };
                let members = list.iter().map(|member| self.selector(member, around));
                Part::Union { members: members.collect::<Result<_>>()? }
            }
            b"&" => return Err(unsupported("conditions", value.at)),
            b"~" => return Err(unsupported("other interpretations of nodes", value.at)),
            _ => return Err(bad("a selector is of an unknown kind", value.at)),
        };
        self.put(number, part);
        Ok(number)
    }

    fn fields(&mut self, body: &Value<'_>, next: Option<Around>) -> Result<Part> {
        let wanted = Fields::of(body, &["f>"], &[])?;
        let mut fields = Vec::new();
        for (key, value) in self::fields(wanted.get("f>")?)? {
            fields.push((key.to_vec(), self.selector(value, next)?));
        }
        Ok(Part::Fields { fields })
    }

    fn recursive(&mut self, number: usize, body: &Value<'_>) -> Result<Part> {
        let fields = Fields::of(body, &["l", ":>"], &["!"])?;
        let limit = fields.get("l")?;
        let limit = match self::fields(limit)? {
            [(key, value)] if key[..] == *b"none" => {
                Fields::of(value, &[], &[])?;
                None
            }
            [(key, value)] if key[..] == *b"depth" => Some(count(value)?),
            _ => return Err(bad("a recursion has no limit, not even none", limit.at)),
        };
        let around = Around { recursive: number, stepped: false };
        let body = self.selector(fields.get(":>")?, Some(around))?;
        let edge = Part::Edge { recursive: number };
        match self.parts.contains(&edge) {
            true => Ok(Part::Recursive { limit, body }),
            false => Err(bad("a recursion has no edge", fields.at)),
        }
    }

    fn next(&mut self, fields: &Fields<'_, '_>, around: Option<Around>) -> Result<usize> {
        self.selector(fields.get(">")?, around)
    }

    fn put(&mut self, number: usize, part: Part) {
        if let Some(place) = self.parts.get_mut(number) {
            *place = part;
        }
    }
}

/// The fields of a part, all of which are known.
struct Fields<'v, 'a> {
    fields: &'v [Field<'a>],
    at: usize,
}

impl<'v, 'a> Fields<'v, 'a> {
    fn of(value: &'v Value<'a>, known: &[&str], refused: &[&'static str]) -> Result<Self> {
        let fields = fields(value)?;
        for (key, value) in fields {
            if let Some(name) = refused.iter().find(|name| name.as_bytes() == &key[..]) {
                return Err(unsupported(name, value.at));
            }
            if !known.iter().any(|name| name.as_bytes() == &key[..]) {
                return Err(bad("a part has an unknown field", value.at));
            }
        }
        Ok(Fields { fields, at: value.at })
    }

    fn get(&self, name: &str) -> Result<&'v Value<'a>> {
        let found = self.fields.iter().find(|(key, _)| &key[..] == name.as_bytes());
        let (_, value) = found.ok_or_else(|| bad("a part lacks a field", self.at))?;
        Ok(value)
    }

    fn number(&self, name: &str) -> Result<u64> {
        count(self.get(name)?)
    }
}

fn fields<'v, 'a>(value: &'v Value<'a>) -> Result<&'v [Field<'a>]> {
    match &value.kind {
        Kind::Map(fields) => Ok(fields),
        _ => Err(bad("this is not a map", value.at)),
    }
}

fn count(value: &Value<'_>) -> Result<u64> {
    let count = match value.kind {
        Kind::Int(count) => u64::try_from(count).ok(),
        _ => None,
    };
    count.ok_or_else(|| bad("this is not a count", value.at))
}

fn bad(what: &'static str, at: usize) -> DagError {
    DagError::new(DagErrorKind::BadSelector(what)).at(at)
}

fn unsupported(part: &'static str, at: usize) -> DagError {
    DagError::new(DagErrorKind::UnsupportedSelector(part)).at(at)
}
