//! Addresses (HPPR 020): of packets by their hashes, of coordinates and what is there, and of lists.

use std::fmt;
use std::str::FromStr;

use crate::coordinate::{Coordinate, Name};
use crate::error::{Error, ErrorKind, Result};
use crate::header::utf8;
use crate::tai::Tai;
use crate::text::{PacketHash, PacketKind, TYPED, VerifyingKey};

/// The address of a packet.
///
/// ```
/// use carstone_hppr::{Selector, Urc};
/// let urc: Urc = "//a-group/some-app/our-collection/item/|/plex/".parse()?;
/// let Urc::Coordinate { coordinate, selector } = &urc else { panic!() };
/// assert_eq!((coordinate.location(), selector), ("our-collection/item", &Selector::PlexTip));
/// assert_eq!(urc.to_string(), "//a-group/some-app/our-collection/item/|/plex");
/// # Ok::<(), carstone_hppr::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the grammar has two")]
pub enum Urc {
    /// `////<hash>`: that packet.
    Hash(PacketHash),
    /// `//<group>/<app>/<location>`, with or without a selector: one of the packets there.
    Coordinate {
        /// Where.
        coordinate: Coordinate,
        /// Which of them.
        selector: Selector,
    },
}

/// Which of the packets at a coordinate. A tip is the one of the latest time, and of those the one with the highest hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the grammar has these")]
pub enum Selector {
    /// Nothing, or `/|`: the tip.
    Tip,
    /// `/|/plex`: the tip of Plexes.
    PlexTip,
    /// `/|/plex/<tai>`: the tip of Plexes of this time.
    PlexTipAt(Tai),
    /// `/|/plex/<tai>/<hash>`: that Plex.
    Plex(Tai, PacketHash),
    /// `/|/seal`: the tip of Seals.
    SealTip,
    /// `/|/seal/<vkey>`: the tip of Seals by this key.
    SealTipOf(VerifyingKey),
    /// `/|/seal/<vkey>/<tai>`: the tip of Seals by this key of this time.
    SealTipAt(VerifyingKey, Tai),
    /// `/|/seal/<vkey>/<tai>/<hash>`: that Seal.
    Seal(VerifyingKey, Tai, PacketHash),
}

/// What is listed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the grammar has these")]
pub enum ListPath {
    /// `//`: groups.
    Groups,
    /// `//<group>/`: applications.
    Apps(Name),
    /// `//<group>/<app>/`: first segments of locations.
    Segments(Name, Name),
    /// Something at a coordinate.
    At(Coordinate, Listing),
}

/// What is listed at a coordinate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the grammar has these")]
pub enum Listing {
    /// `/`: next segments of locations, and `|/` if packets are there.
    Children,
    /// `/|/`: `plex/` and `seal/`, as they are there.
    Types,
    /// `/|/plex/`: times of Plexes.
    PlexTimes,
    /// `/|/plex/<tai>/`: hashes of Plexes of this time.
    PlexHashes(Tai),
    /// `/|/seal/`: keys.
    SealKeys,
    /// `/|/seal/<vkey>/`: times of Seals by this key.
    SealTimes(VerifyingKey),
    /// `/|/seal/<vkey>/<tai>/`: hashes of Seals by this key of this time.
    SealHashes(VerifyingKey, Tai),
}

impl Urc {
    /// Reads one. One slash at the end, behind a location or selector, is passed over.
    ///
    /// # Errors
    /// At the byte where it is none: [`ErrorKind::NoAddress`], [`ErrorKind::ViewSuffix`], [`ErrorKind::MissingPart`], [`ErrorKind::BadSelector`], or that of the hash, key, time
    /// or part of the coordinate that is wrong.
    pub fn parse(text: &[u8]) -> Result<Self> {
        let text = address(text)?;
        if let Some(hash) = text.strip_prefix(BY_HASH) {
            let hash = PacketHash::parse(hash.as_bytes());
            return hash.map(Self::Hash).map_err(|error| error.behind(BY_HASH.len() as u64));
        }
        let parts = Parts::of(text);
        let Parts { group, app: Some(app), path: Some(path) } = parts else {
            return Err(Error::new(ErrorKind::MissingPart).at(text.len() as u64));
        };
        let path_at = text.len() - path.len();
        let (location, selector) = versions(path);
        let location = match selector {
            Some(_) => location,
            None => location.strip_suffix('/').unwrap_or(location),
        };
        let coordinate = Coordinate::new(group, app, location)?;
        let selector = match selector {
            None => Selector::Tip,
            Some(at) => Selector::parse(&path[at..], path_at + at)?,
        };
        Ok(Self::Coordinate { coordinate, selector })
    }
}

impl Selector {
    /// What follows `|`, which is at this byte of an address.
    fn parse(text: &str, at: usize) -> Result<Self> {
        let text = text.strip_suffix('/').unwrap_or(text);
        if text.is_empty() {
            return Ok(Self::Tip);
        }
        let end = at + text.len();
        let mut at = at + 1;
        let mut parts = text[1..].split('/').map(|part| {
            let place = at as u64;
            at += part.len() + 1;
            (part, place)
        });
        let selector = match parts.next() {
            Some(("plex", _)) => match (time(parts.next())?, parts.next()) {
                (None, _) => Self::PlexTip,
                (Some(tai), None) => Self::PlexTipAt(tai),
                (Some(tai), Some(part)) => Self::Plex(tai, hash(PacketKind::Plex, part)?),
            },
            Some(("seal", _)) => {
                let key = parts.next().map(|(part, at)| {
                    VerifyingKey::parse(part.as_bytes()).map_err(|error| error.behind(at))
                });
                match (key.transpose()?, time(parts.next())?, parts.next()) {
                    (None, ..) => Self::SealTip,
                    (Some(key), None, _) => Self::SealTipOf(key),
                    (Some(key), Some(tai), None) => Self::SealTipAt(key, tai),
                    (Some(key), Some(tai), Some(part)) => {
                        Self::Seal(key, tai, hash(PacketKind::Seal, part)?)
                    }
                }
            }
            other => {
                let at = other.map_or(end as u64, |(_, at)| at);
                return Err(Error::new(ErrorKind::BadSelector).at(at));
            }
        };
        match parts.next() {
            None => Ok(selector),
            Some((_, at)) => Err(Error::new(ErrorKind::BadSelector).at(at)),
        }
    }

    /// Of which kind the packet is, if it says so.
    pub fn kind(&self) -> Option<PacketKind> {
        match self {
            Self::Tip => None,
            Self::PlexTip | Self::PlexTipAt(_) | Self::Plex(..) => Some(PacketKind::Plex),
            Self::SealTip | Self::SealTipOf(_) | Self::SealTipAt(..) | Self::Seal(..) => {
                Some(PacketKind::Seal)
            }
        }
    }

    /// Of which time, if it says so.
    pub fn tai(&self) -> Option<Tai> {
        match self {
            Self::PlexTipAt(tai)
            | Self::Plex(tai, _)
            | Self::SealTipAt(_, tai)
            | Self::Seal(_, tai, _) => Some(*tai),
            Self::Tip | Self::PlexTip | Self::SealTip | Self::SealTipOf(_) => None,
        }
    }

    /// Who has signed it, if it says so.
    pub fn key(&self) -> Option<VerifyingKey> {
        match self {
            Self::SealTipOf(key) | Self::SealTipAt(key, _) | Self::Seal(key, ..) => Some(*key),
            _ => None,
        }
    }

    /// The hash, if it says so.
    pub fn hash(&self) -> Option<PacketHash> {
        match self {
            Self::Plex(_, hash) | Self::Seal(.., hash) => Some(*hash),
            _ => None,
        }
    }
}

impl ListPath {
    /// Reads one, which ends with a slash.
    ///
    /// # Errors
    /// As [`Urc::parse`]; [`ErrorKind::NoList`] at the end.
    pub fn parse(text: &[u8]) -> Result<Self> {
        let text = address(text)?;
        if text == "//" {
            return Ok(Self::Groups);
        }
        let Some(listed) = text.strip_suffix('/') else {
            return Err(Error::new(ErrorKind::NoList).at(text.len() as u64));
        };
        let Parts { group, app, path } = Parts::of(listed);
        let (Some(app), Some(path)) = (app, path) else {
            let part =
                |part: &str, at: usize| Name::new(part).map_err(|error| error.behind(at as u64));
            let group_name = part(group, 2)?;
            return Ok(match app {
                None => Self::Apps(group_name),
                Some(app) => Self::Segments(group_name, part(app, 2 + group.len() + 1)?),
            });
        };
        let path_at = listed.len() - path.len();
        let (location, selector) = versions(path);
        let coordinate = Coordinate::new(group, app, location)?;
        let Some(selector_at) = selector else {
            return Ok(Self::At(coordinate, Listing::Children));
        };
        let selector = &path[selector_at..];
        let at = path_at + selector_at;
        if selector.ends_with('/') {
            return Err(Error::new(ErrorKind::BadSelector).at((at + selector.len()) as u64));
        }
        let listing = match Selector::parse(selector, at)? {
            Selector::Tip => Listing::Types,
            Selector::PlexTip => Listing::PlexTimes,
            Selector::PlexTipAt(tai) => Listing::PlexHashes(tai),
            Selector::SealTip => Listing::SealKeys,
            Selector::SealTipOf(key) => Listing::SealTimes(key),
            Selector::SealTipAt(key, tai) => Listing::SealHashes(key, tai),
            Selector::Plex(..) | Selector::Seal(..) => {
                let hash_at = listed.len() - TYPED;
                return Err(Error::new(ErrorKind::BadSelector).at(hash_at as u64));
            }
        };
        Ok(Self::At(coordinate, listing))
    }
}

impl fmt::Display for Urc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hash(hash) => write!(f, "{BY_HASH}{hash}"),
            Self::Coordinate { coordinate, selector } => write!(f, "{coordinate}{selector}"),
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tip => Ok(()),
            Self::PlexTip => f.write_str("/|/plex"),
            Self::PlexTipAt(tai) => write!(f, "/|/plex/{tai}"),
            Self::Plex(tai, hash) => write!(f, "/|/plex/{tai}/{hash}"),
            Self::SealTip => f.write_str("/|/seal"),
            Self::SealTipOf(key) => write!(f, "/|/seal/{key}"),
            Self::SealTipAt(key, tai) => write!(f, "/|/seal/{key}/{tai}"),
            Self::Seal(key, tai, hash) => write!(f, "/|/seal/{key}/{tai}/{hash}"),
        }
    }
}

impl fmt::Display for ListPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Groups => f.write_str("//"),
            Self::Apps(group) => write!(f, "//{group}/"),
            Self::Segments(group, app) => write!(f, "//{group}/{app}/"),
            Self::At(coordinate, listing) => write!(f, "{coordinate}{listing}"),
        }
    }
}

impl fmt::Display for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Children => f.write_str("/"),
            Self::Types => f.write_str("/|/"),
            Self::PlexTimes => f.write_str("/|/plex/"),
            Self::PlexHashes(tai) => write!(f, "/|/plex/{tai}/"),
            Self::SealKeys => f.write_str("/|/seal/"),
            Self::SealTimes(key) => write!(f, "/|/seal/{key}/"),
            Self::SealHashes(key, tai) => write!(f, "/|/seal/{key}/{tai}/"),
        }
    }
}

impl FromStr for Urc {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text.as_bytes())
    }
}

impl FromStr for ListPath {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text.as_bytes())
    }
}

/// What an address has between its slashes, as far as it goes.
struct Parts<'t> {
    group: &'t str,
    app: Option<&'t str>,
    path: Option<&'t str>,
}

impl<'t> Parts<'t> {
    fn of(text: &'t str) -> Self {
        let mut parts = text[2..].splitn(3, '/');
        let group = parts.next().unwrap_or_default();
        Self { group, app: parts.next(), path: parts.next() }
    }
}

/// The text of what begins like an address and has no view.
fn address(text: &[u8]) -> Result<&str> {
    let text = utf8(text)?;
    if let Some(at) = text.strip_suffix('}').and_then(|text| text.rfind('{')) {
        return Err(Error::new(ErrorKind::ViewSuffix).at(at as u64));
    }
    let slashes = text.bytes().take(2).take_while(|byte| *byte == b'/').count();
    match slashes {
        2 => Ok(text),
        _ => Err(Error::new(ErrorKind::NoAddress).at(slashes as u64)),
    }
}

/// The location in a path, and where what follows the segment `|` begins, if there is one.
fn versions(path: &str) -> (&str, Option<usize>) {
    let mut at = 0;
    for segment in path.split('/') {
        if segment == "|" {
            return (path[..at].strip_suffix('/').unwrap_or_default(), Some(at + 1));
        }
        at += segment.len() + 1;
    }
    (path, None)
}

fn time(part: Option<(&str, u64)>) -> Result<Option<Tai>> {
    let time =
        |(part, at): (&str, u64)| Tai::parse(part.as_bytes()).map_err(|error| error.behind(at));
    part.map(time).transpose()
}

fn hash(kind: PacketKind, (part, at): (&str, u64)) -> Result<PacketHash> {
    let hash = PacketHash::parse(part.as_bytes()).map_err(|error| error.behind(at))?;
    match hash.kind() == kind {
        true => Ok(hash),
        false => Err(Error::new(ErrorKind::BadType).at(at)),
    }
}

const BY_HASH: &str = "////";
/// Bytes of the longest selector.
pub(crate) const MAX_SELECTOR: usize =
    "/|/seal/".len() + TYPED + "/".len() + TAI + "/".len() + TYPED;
/// Bytes of the text of a time.
const TAI: usize = 20;

#[cfg(test)]
mod tests;
