//! What is in the index: lists, and the tips below a prefix (HPPR 020).

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::Repository;
use super::disk::What;
use super::layout::{self, INDEX, MARKER, PLEX, SEAL};
use super::versions::{Tip, Version};
use crate::coordinate::{Coordinate, Name, check_segment};
use crate::error::Result;
use crate::header::{check_text, check_value};
use crate::limits::MAX_LOCATION;
use crate::tai::Tai;
use crate::text::{PacketKind, VerifyingKey};
use crate::urc::{ListPath, Listing, Selector, Urc};

/// What coordinates begin with. Its text is an address that ends with a slash; one without it is read too.
///
/// ```
/// use carstone_hppr::TipPrefix;
/// let prefix: TipPrefix = "//a-group/some-app".parse()?;
/// assert_eq!(prefix.to_string(), "//a-group/some-app/");
/// # Ok::<(), carstone_hppr::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a coordinate has three parts")]
pub enum TipPrefix {
    /// `//`: all of them.
    All,
    /// `//<group>/`: those of the group.
    Group(Name),
    /// `//<group>/<app>/`: those of the application.
    App(Name, Name),
    /// `//<group>/<app>/<location>/`: that one, and those below it.
    Location(Coordinate),
}

impl Version {
    /// What selects it at its coordinate.
    pub fn selector(&self) -> Selector {
        match self.key {
            None => Selector::Plex(self.tai, self.hash),
            Some(key) => Selector::Seal(key, self.tai, self.hash),
        }
    }

    /// Its address: the versioned coordinate.
    pub fn address(&self, coordinate: Coordinate) -> Urc {
        Urc::Coordinate { coordinate, selector: self.selector() }
    }
}

impl TipPrefix {
    /// Reads one.
    ///
    /// # Errors
    /// As [`ListPath::parse`]; it has a selector.
    pub fn parse(text: &[u8]) -> Result<Self> {
        let slash = if text.ends_with(b"/") { "" } else { "/" };
        let end = text.len() as u64;
        match ListPath::parse(&[text, slash.as_bytes()].concat())? {
            ListPath::Groups => Ok(Self::All),
            ListPath::Apps(group) => Ok(Self::Group(group)),
            ListPath::Segments(group, app) => Ok(Self::App(group, app)),
            ListPath::At(coordinate, Listing::Children) => Ok(Self::Location(coordinate)),
            ListPath::At(coordinate, _) => {
                let at = coordinate.to_string().len() as u64 + 1;
                Err(crate::Error::new(crate::ErrorKind::BadSelector).at(at.min(end)))
            }
        }
    }

    /// The names of its directories, below that of the index.
    pub(super) fn names(&self) -> Vec<String> {
        match self {
            Self::All => Vec::new(),
            Self::Group(group) => vec![group.to_string()],
            Self::App(group, app) => vec![group.to_string(), app.to_string()],
            Self::Location(coordinate) => {
                let (group, app) = (coordinate.group(), coordinate.app());
                [group, app].into_iter().chain(coordinate.segments()).map(str::to_owned).collect()
            }
        }
    }
}

impl fmt::Display for TipPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("//"),
            Self::Group(group) => write!(f, "//{group}/"),
            Self::App(group, app) => write!(f, "//{group}/{app}/"),
            Self::Location(coordinate) => write!(f, "{coordinate}/"),
        }
    }
}

impl FromStr for TipPrefix {
    type Err = crate::Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text.as_bytes())
    }
}

impl Repository {
    /// What is below a path, sorted by bytes. Names that can be descended into end with a slash: a location with a packet and with further ones below it is there with and without
    /// it. What has no packets below it is left out, and so is what has no name of its kind; a path without anything lists nothing.
    ///
    /// # Errors
    /// A directory cannot be read.
    pub fn list(&self, path: &ListPath) -> Result<Vec<String>> {
        let mut found = match path {
            ListPath::Groups => self.trees(Path::new(INDEX), 0)?,
            ListPath::Apps(group) => self.trees(&Path::new(INDEX).join(group.as_str()), 1)?,
            ListPath::Segments(group, app) => {
                let path = Path::new(INDEX).join(group.as_str()).join(app.as_str());
                self.children(&path, true)?
            }
            ListPath::At(coordinate, listing) => {
                let marker = layout::marker(coordinate);
                match listing {
                    Listing::Children => {
                        let mut found = self.children(&layout::location(coordinate), false)?;
                        if self.has_version(&marker)? {
                            found.push(format!("{MARKER}/"));
                        }
                        found
                    }
                    Listing::Types => self.types(&marker)?,
                    Listing::PlexTimes => self.times(&marker.join(PLEX), PacketKind::Plex)?,
                    Listing::PlexHashes(tai) => {
                        let path = marker.join(PLEX).join(tai.to_string());
                        texts(self.hashes_in(&path, PacketKind::Plex)?)
                    }
                    Listing::SealKeys => texts(self.keys(&marker)?),
                    Listing::SealTimes(key) => {
                        let path = marker.join(SEAL).join(key.to_string());
                        self.times(&path, PacketKind::Seal)?
                    }
                    Listing::SealHashes(key, tai) => {
                        let path = marker.join(SEAL).join(key.to_string()).join(tai.to_string());
                        texts(self.hashes_in(&path, PacketKind::Seal)?)
                    }
                }
            }
        };
        found.sort_unstable();
        Ok(found)
    }

    /// The latest packet at each coordinate below a prefix, sorted by the bytes of their addresses. All directories are listed once, and no more than one at each depth is in
    /// memory.
    pub fn tips(&self, prefix: &TipPrefix) -> Tips<'_> {
        Tips { coordinates: Coordinates::new(self, prefix) }
    }

    /// Groups or applications that have packets, with a slash.
    fn trees(&self, directory: &Path, depth: usize) -> Result<Vec<String>> {
        let mut found = Vec::new();
        for name in self.names::<Name>(directory, What::Directory)? {
            if self.has_packets(&directory.join(name.as_str()), depth + 1)? {
                found.push(format!("{name}/"));
            }
        }
        Ok(found)
    }

    /// Segments in a directory: with packets, with further ones, or both.
    fn children(&self, directory: &Path, is_first: bool) -> Result<Vec<String>> {
        let mut found = Vec::new();
        for name in self.segments(directory, is_first)? {
            let path = directory.join(&name);
            if self.has_version(&path.join(MARKER))? {
                found.push(name.clone());
            }
            for below in self.segments(&path, false)? {
                if self.has_packets(&path.join(below), DEEP)? {
                    found.push(name + "/");
                    break;
                }
            }
        }
        Ok(found)
    }

    /// Names of directories that are segments of a location, which is not too long with them.
    fn segments(&self, directory: &Path, is_first: bool) -> Result<Vec<String>> {
        let len = location_len(directory.iter().skip(1));
        let names = self.names::<String>(directory, What::Directory)?.into_iter();
        let fits = |name: &String| len + name.len() <= MAX_LOCATION;
        Ok(names.filter(|name| fits(name) && is_segment(name, is_first)).collect())
    }

    /// Whether a packet is at or below a directory of the index, which is so deep.
    fn has_packets(&self, directory: &Path, depth: usize) -> Result<bool> {
        let mut left = vec![(directory.to_owned(), depth)];
        while let Some((directory, depth)) = left.pop() {
            if depth >= DEEP && self.has_version(&directory.join(MARKER))? {
                return Ok(true);
            }
            let names = self.segments(&directory, depth < DEEP)?.into_iter();
            left.extend(names.map(|name| (directory.join(name), depth + 1)));
        }
        Ok(false)
    }

    /// Whether there is a packet at a coordinate.
    fn has_version(&self, marker: &Path) -> Result<bool> {
        Ok(self.has_pair(&marker.join(PLEX), PacketKind::Plex)? || self.has_key(marker)?)
    }

    fn has_key(&self, marker: &Path) -> Result<bool> {
        let seals = marker.join(SEAL);
        for key in self.names::<VerifyingKey>(&seals, What::Directory)? {
            if self.has_pair(&seals.join(key.to_string()), PacketKind::Seal)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether there is a packet in `<tai>/<hash>`.
    fn has_pair(&self, directory: &Path, kind: PacketKind) -> Result<bool> {
        for tai in self.names::<Tai>(directory, What::Directory)? {
            if !self.hashes_in(&directory.join(tai.to_string()), kind)?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn types(&self, marker: &Path) -> Result<Vec<String>> {
        let plex = self.has_pair(&marker.join(PLEX), PacketKind::Plex)?;
        let types = [(PLEX, plex), (SEAL, self.has_key(marker)?)];
        Ok(types.into_iter().filter(|(_, has)| *has).map(|(name, _)| format!("{name}/")).collect())
    }

    fn keys(&self, marker: &Path) -> Result<Vec<VerifyingKey>> {
        let seals = marker.join(SEAL);
        let mut keys = Vec::new();
        for key in self.names::<VerifyingKey>(&seals, What::Directory)? {
            if self.has_pair(&seals.join(key.to_string()), PacketKind::Seal)? {
                keys.push(key);
            }
        }
        Ok(keys)
    }

    fn times(&self, directory: &Path, kind: PacketKind) -> Result<Vec<String>> {
        let times: BTreeSet<Tai> =
            self.pairs(directory, kind)?.into_iter().map(|(tai, _)| tai).collect();
        Ok(texts(times))
    }
}

/// The latest packet at each coordinate; see [`Repository::tips`].
#[derive(Debug)]
pub struct Tips<'r> {
    coordinates: Coordinates<'r>,
}

impl Iterator for Tips<'_> {
    type Item = Result<(Coordinate, Version)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let coordinate = match self.coordinates.next()? {
                Ok(coordinate) => coordinate,
                Err(error) => return Some(Err(error)),
            };
            match self.coordinates.repository.tip(&coordinate, &Tip::All) {
                Ok(None) => {}
                Ok(Some(version)) => return Some(Ok((coordinate, version))),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// All coordinates that have a marker, sorted by the bytes of their addresses with a slash behind. Directories are listed when they are come to.
#[derive(Debug)]
pub(super) struct Coordinates<'r> {
    repository: &'r Repository,
    /// The names down to the directory that is listed.
    path: Vec<String>,
    /// Names in each directory that are yet to come, last first; the deepest is last.
    left: Vec<Vec<String>>,
    start: bool,
    /// Names of the prefix, at which `path` never ends before.
    base: usize,
}

impl<'r> Coordinates<'r> {
    pub(super) fn new(repository: &'r Repository, prefix: &TipPrefix) -> Self {
        let path = prefix.names();
        let base = path.len();
        Self { repository, path, left: Vec::new(), start: true, base }
    }

    fn descend(&mut self) -> Result<()> {
        let directory = self.path.iter().fold(PathBuf::from(INDEX), |path, name| path.join(name));
        let depth = self.path.len();
        let names = self.repository.names::<String>(&directory, What::Directory)?;
        let mut names: Vec<String> = names
            .into_iter()
            .filter(|name| match depth {
                0 | 1 => Name::new(name).is_ok(),
                2 => is_segment(name, true),
                _ => name == MARKER || is_segment(name, false),
            })
            .collect();
        // As addresses sort: a slash follows each.
        names.sort_unstable_by(|one, two| {
            let with_slash = |name: &str| [name.as_bytes(), b"/"].concat();
            with_slash(two).cmp(&with_slash(one))
        });
        self.left.push(names);
        Ok(())
    }

    fn coordinate(&self) -> Option<Coordinate> {
        let [group, app, location @ ..] = &self.path[..] else { return None };
        Coordinate::new(group, app, &location.join("/")).ok()
    }
}

impl Iterator for Coordinates<'_> {
    type Item = Result<Coordinate>;

    fn next(&mut self) -> Option<Self::Item> {
        if std::mem::take(&mut self.start)
            && let Err(error) = self.descend()
        {
            return Some(Err(error));
        }
        loop {
            let Some(name) = self.left.last_mut()?.pop() else {
                self.left.pop();
                if self.path.len() > self.base {
                    self.path.pop();
                }
                continue;
            };
            if name == MARKER {
                match self.coordinate() {
                    Some(coordinate) => return Some(Ok(coordinate)),
                    None => continue,
                }
            }
            self.path.push(name);
            // What is too deep to be a coordinate is none of ours.
            if location_len(&self.path) > MAX_LOCATION + 1 {
                self.path.pop();
                continue;
            }
            if let Err(error) = self.descend() {
                self.path.pop();
                return Some(Err(error));
            }
        }
    }
}

/// Whether a name of a directory is a segment. The first of a location cannot begin with a space, as the value of a header cannot.
pub(super) fn is_segment(name: &str, is_first: bool) -> bool {
    let text = if is_first { check_value(name) } else { check_text(name) };
    text.and_then(|()| check_segment(name)).is_ok()
}

/// Bytes of the location that names below the index end with, and of a slash behind.
pub(super) fn location_len(names: impl IntoIterator<Item = impl AsRef<OsStr>>) -> usize {
    names.into_iter().skip(DEEP - 1).map(|name| name.as_ref().len() + 1).sum()
}

fn texts<T: fmt::Display>(values: impl IntoIterator<Item = T>) -> Vec<String> {
    values.into_iter().map(|value| value.to_string()).collect()
}

/// Names down to the first segment of a location.
pub(super) const DEEP: usize = 3;
