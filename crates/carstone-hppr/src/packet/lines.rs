//! The header lines of Plexes and Seals, one by one.

use super::head::{PlexHead, SealHead};
use super::parse::ExtrasOrder;
use crate::coordinate::{Coordinate, Name, check_location};
use crate::error::{Error, ErrorKind, Result};
use crate::header::{self, Header, SEPARATOR};
use crate::limits::MAX_EXTRAS_READ;
use crate::tai::Tai;
use crate::text::{Signature, VerifyingKey};

/// The lines of a Plex that have been there.
#[derive(Debug, Default)]
pub(crate) struct PlexLines {
    order: ExtrasOrder,
    group: Option<Name>,
    app: Option<Name>,
    location: Option<Box<str>>,
    tai: Option<Tai>,
    extras: Vec<Header>,
}

impl PlexLines {
    pub(crate) fn new(order: ExtrasOrder) -> Self {
        Self { order, ..Self::default() }
    }

    /// Takes the next, which is at this byte.
    pub(crate) fn line(&mut self, line: &[u8], at: u64) -> Result<()> {
        let had = self.had();
        if had == PLEX_HEADERS.len() {
            return self.extra(line, at);
        }
        let missing = ErrorKind::MissingHeader { expected: PLEX_HEADERS[had] };
        let value = expect(&PLEX_HEADERS, had, line, at, missing)?;
        let behind = at + (line.len() - value.len()) as u64;
        let in_place = |error: Error| error.behind(behind);
        match had {
            0 => self.group = Some(Name::of_value(value).map_err(in_place)?),
            1 => self.app = Some(Name::of_value(value).map_err(in_place)?),
            2 => {
                check_location(value).map_err(in_place)?;
                self.location = Some(value.into());
            }
            _ => self.tai = Some(Tai::parse(value.as_bytes()).map_err(in_place)?),
        }
        Ok(())
    }

    fn extra(&mut self, line: &[u8], at: u64) -> Result<()> {
        let extra = Header::parse(line).map_err(|error| error.behind(at))?;
        let fault = |kind| Err(Error::new(kind).at(at));
        if is_reserved(extra.name()) {
            return fault(ErrorKind::ReservedName);
        }
        if self.extras.len() == MAX_EXTRAS_READ {
            return fault(ErrorKind::TooManyExtras);
        }
        let descends = self.extras.last().is_some_and(|last| match self.order {
            ExtrasOrder::Strict => *last > extra,
            ExtrasOrder::ByName => last.name() > extra.name(),
        });
        if descends {
            return fault(ErrorKind::ExtrasOutOfOrder);
        }
        self.extras.push(extra);
        Ok(())
    }

    fn had(&self) -> usize {
        let had =
            [self.group.is_some(), self.app.is_some(), self.location.is_some(), self.tai.is_some()];
        had.into_iter().take_while(|had| *had).count()
    }

    /// All of them, as something else is at this byte.
    pub(crate) fn finish(self, at: u64) -> Result<PlexHead> {
        let had = self.had();
        match (self.group, self.app, self.location, self.tai) {
            (Some(group), Some(app), Some(location), Some(tai)) => {
                let coordinate = Coordinate::of_parts(group, app, location);
                Ok(PlexHead { coordinate, tai, extras: self.extras })
            }
            _ => Err(missing(&PLEX_HEADERS, had, at)),
        }
    }
}

/// The lines of a Seal that have been there.
#[derive(Debug, Default)]
pub(crate) struct SealLines {
    key: Option<(VerifyingKey, u64)>,
    signature: Option<(Signature, u64)>,
}

impl SealLines {
    /// Takes the next, which is at this byte.
    pub(crate) fn line(&mut self, line: &[u8], at: u64) -> Result<()> {
        let had = self.had();
        let value = expect(&SEAL_HEADERS, had, line, at, ErrorKind::UnknownHeader)?;
        let behind = at + (line.len() - value.len()) as u64;
        let in_place = |error: Error| error.behind(behind);
        match had {
            0 => {
                let key = VerifyingKey::parse(value.as_bytes()).map_err(in_place)?;
                self.key = Some((key, behind));
            }
            _ => {
                let signature = Signature::parse(value.as_bytes()).map_err(in_place)?;
                self.signature = Some((signature, behind));
            }
        }
        Ok(())
    }

    fn had(&self) -> usize {
        usize::from(self.key.is_some()) + usize::from(self.signature.is_some())
    }

    /// All of them, as something else is at this byte.
    pub(crate) fn finish(self, at: u64) -> Result<SealHead> {
        match (self.key, self.signature) {
            (Some((key, key_at)), Some((signature, signature_at))) => {
                Ok(SealHead { key, key_at, signature, signature_at })
            }
            _ => Err(missing(&SEAL_HEADERS, self.had(), at)),
        }
    }
}

/// The value of a line, if it is the next of these headers.
pub(crate) fn expect<'l>(
    headers: &[&'static str],
    had: usize,
    line: &'l [u8],
    at: u64,
    otherwise: ErrorKind,
) -> Result<&'l str> {
    let (text, colon) = header::split(line).map_err(|error| error.behind(at))?;
    let name = &text[..colon];
    let kind = match headers.iter().position(|header| *header == name) {
        Some(place) if place == had => return Ok(&text[colon + SEPARATOR..]),
        Some(place) if place < had => ErrorKind::RepeatedHeader,
        Some(_) => ErrorKind::HeaderOutOfOrder { expected: headers[had] },
        None => otherwise,
    };
    Err(Error::new(kind).at(at))
}

fn missing(headers: &[&'static str], had: usize, at: u64) -> Error {
    let expected = headers.get(had).copied().unwrap_or_default();
    Error::new(ErrorKind::MissingHeader { expected }).at(at)
}

/// Whether no extra header may have this name.
pub(crate) fn is_reserved(name: &str) -> bool {
    RESERVED_HEADERS.contains(&name)
}

const PLEX_HEADERS: [&str; 4] = ["Group", "App", "Location", "TAI"];
const SEAL_HEADERS: [&str; 2] = ["Seal-By", "Seal-Sig"];
/// The one header of a Blob.
pub(crate) const BLOB_HEADERS: [&str; 1] = ["Data-Length"];
/// Names that no extra header may have: all that the grammar uses.
pub const RESERVED_HEADERS: [&str; 8] =
    ["Group", "App", "Location", "TAI", "Data-Length", "Seal-By", "Seal-Sig", "\u{1f5a7}"];
