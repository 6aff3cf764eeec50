//! The packets at a coordinate, and which of them is the latest: tips.

use std::cmp::Ordering;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::disk::{What, is_nothing};
use super::layout::{self, PLEX, SEAL, TIP};
use super::{Repository, Staging};
use crate::coordinate::Coordinate;
use crate::error::Result;
use crate::tai::Tai;
use crate::text::{PacketHash, PacketKind, VerifyingKey};

/// A packet at a coordinate, as the index has it. Later ones are greater: by time, and then by hash, so that a Seal is greater than its own Plex.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Version {
    /// Its time.
    pub tai: Tai,
    /// Its hash: of a Plex or of a Seal.
    pub hash: PacketHash,
    /// Whose Seal it is.
    pub key: Option<VerifyingKey>,
}

/// One of the links at a coordinate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Tip {
    /// `tip`: of all packets.
    All,
    /// `plex/tip`: of Plexes.
    Plex,
    /// `seal/tip`: of Seals.
    Seal,
    /// `seal/<vkey>/tip`: of Seals by this key.
    SealOf(VerifyingKey),
}

impl Version {
    pub(crate) fn plex(tai: Tai, hash: PacketHash) -> Self {
        Self { tai, hash, key: None }
    }

    pub(crate) fn seal(key: VerifyingKey, tai: Tai, hash: PacketHash) -> Self {
        Self { tai, hash, key: Some(key) }
    }

    /// Its file, below the marker of its coordinate.
    pub(crate) fn entry(&self) -> PathBuf {
        match &self.key {
            None => layout::plex_entry(self.tai, &self.hash),
            Some(key) => layout::seal_entry(key, self.tai, &self.hash),
        }
    }

    /// The version whose file has this path below a marker; `None` if no version has.
    pub(super) fn of_entry(path: &Path) -> Option<Self> {
        let parts: Option<Vec<&str>> = path.iter().map(|part| part.to_str()).collect();
        let hash = |kind, text: &str| {
            PacketHash::parse(text.as_bytes()).ok().filter(|hash| hash.kind() == kind)
        };
        match parts?[..] {
            [PLEX, tai, plex] => Some(Self::plex(tai.parse().ok()?, hash(PacketKind::Plex, plex)?)),
            [SEAL, key, tai, seal] => Some(Self::seal(
                key.parse().ok()?,
                tai.parse().ok()?,
                hash(PacketKind::Seal, seal)?,
            )),
            _ => None,
        }
    }

    /// The tips that it may be.
    pub(crate) fn tips(&self) -> Vec<Tip> {
        match self.key {
            None => vec![Tip::All, Tip::Plex],
            Some(key) => vec![Tip::All, Tip::Seal, Tip::SealOf(key)],
        }
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.tai, self.hash, self.key).cmp(&(other.tai, other.hash, other.key))
    }
}

impl Tip {
    /// The directory of the link, below a marker: its target is relative to that.
    fn directory(&self) -> PathBuf {
        match self {
            Self::All => PathBuf::new(),
            Self::Plex => PathBuf::from(PLEX),
            Self::Seal => PathBuf::from(SEAL),
            Self::SealOf(key) => Path::new(SEAL).join(key.to_string()),
        }
    }

    /// The link, below a marker.
    pub(crate) fn link(&self) -> PathBuf {
        self.directory().join(TIP)
    }

    /// What the link says of a version.
    pub(crate) fn target(&self, version: &Version) -> PathBuf {
        let entry = version.entry();
        entry.strip_prefix(self.directory()).map_or_else(|_| entry.clone(), Path::to_owned)
    }

    /// The version that a link names; `None` if it names none, or one that this is no tip of.
    pub(super) fn named(&self, target: &Path) -> Option<Version> {
        let version = Version::of_entry(&self.directory().join(target))?;
        version.tips().contains(self).then_some(version)
    }
}

impl Repository {
    /// All versions at a coordinate, in no order. What has no name of one is left out.
    ///
    /// # Errors
    /// A directory cannot be read.
    pub(crate) fn versions(&self, coordinate: &Coordinate) -> Result<Vec<Version>> {
        let marker = layout::marker(coordinate);
        let mut versions = Vec::new();
        for (tai, hash) in self.pairs(&marker.join(PLEX), PacketKind::Plex)? {
            versions.push(Version::plex(tai, hash));
        }
        for key in self.names::<VerifyingKey>(&marker.join(SEAL), What::Directory)? {
            let seals = marker.join(SEAL).join(key.to_string());
            for (tai, hash) in self.pairs(&seals, PacketKind::Seal)? {
                versions.push(Version::seal(key, tai, hash));
            }
        }
        Ok(versions)
    }

    /// Times, and hashes of packets of this kind, in `<tai>/<hash>`.
    pub(super) fn pairs(
        &self,
        directory: &Path,
        kind: PacketKind,
    ) -> Result<Vec<(Tai, PacketHash)>> {
        let mut pairs = Vec::new();
        for tai in self.names::<Tai>(directory, What::Directory)? {
            let at_time = directory.join(tai.to_string());
            // Whatever its length: it is its name that counts.
            let hashes = self.listed(&at_time)?.into_iter();
            let hashes = hashes.filter(|(_, what)| matches!(what, What::File(_)));
            let hashes = hashes.filter_map(|(name, _)| name.parse::<PacketHash>().ok());
            pairs.extend(hashes.filter(|hash| hash.kind() == kind).map(|hash| (tai, hash)));
        }
        Ok(pairs)
    }

    /// Names of a kind in a directory, of things of a kind. Without the directory there are none.
    pub(crate) fn names<T: std::str::FromStr>(&self, relative: &Path, of: What) -> Result<Vec<T>> {
        let listed = self.listed(relative)?.into_iter().filter(|(_, what)| *what == of);
        Ok(listed.filter_map(|(name, _)| name.parse().ok()).collect())
    }

    /// What is in a directory of the repository. Without the directory that is nothing.
    pub(crate) fn listed(&self, relative: &Path) -> Result<Vec<(String, What)>> {
        let path = self.path(relative);
        match self.disk().list(&path) {
            Err(error) if is_nothing(&error) => Ok(Vec::new()),
            listed => listed.map_err(self.failed(&path)),
        }
    }

    /// The version that a link names, if it is there and its entry is.
    ///
    /// # Errors
    /// It cannot be found out.
    pub(crate) fn linked(&self, coordinate: &Coordinate, tip: &Tip) -> Result<Option<Version>> {
        let marker = layout::marker(coordinate);
        let path = self.path(marker.join(tip.link()));
        let target = match self.disk().target(&path) {
            Ok(target) => Some(target),
            Err(error) if is_nothing(&error) => None,
            Err(_) => match self.disk().look(&path).map_err(self.failed(&path))? {
                // A tool that follows links, or knows none, may have copied it.
                Some(What::File(len)) if (1..=MOST_TARGET).contains(&len) => self.text(&path, len),
                _ => None,
            },
        };
        let Some(version) = target.and_then(|target| tip.named(&target)) else { return Ok(None) };
        let entry = self.path(marker.join(version.entry()));
        let what = self.disk().look(&entry).map_err(self.failed(&entry))?;
        Ok(Some(version).filter(|_| matches!(what, Some(What::File(_)))))
    }

    /// The line in a file that stands for a link.
    pub(super) fn text(&self, path: &Path, len: u64) -> Option<PathBuf> {
        let mut text = String::new();
        self.disk().open(path).ok()?.take(len).read_to_string(&mut text).ok()?;
        Some(PathBuf::from(text.strip_suffix('\n').unwrap_or(&text)))
    }

    /// The latest packet at a coordinate; `None` if there is none.
    ///
    /// # Errors
    /// The repository cannot be read.
    pub fn latest(&self, coordinate: &Coordinate) -> Result<Option<Version>> {
        self.tip(coordinate, &Tip::All)
    }

    /// The latest version of those that a tip is of. Where the link is missing, or names none, all versions are looked at, and the link is made again unless the
    /// repository is only read.
    ///
    /// # Errors
    /// Something cannot be read. That a link cannot be made again is none.
    pub(crate) fn tip(&self, coordinate: &Coordinate, tip: &Tip) -> Result<Option<Version>> {
        if let Some(version) = self.linked(coordinate, tip)? {
            return Ok(Some(version));
        }
        let latest = self.latest_of(coordinate, tip, &self.versions(coordinate)?);
        if latest.is_some()
            && !self.is_read_only()
            && let Ok(Some(staging)) = Staging::try_begin(self)
        {
            // Under the lock, where nobody changes them. A reader does not wait for it: who has it may be about to make them.
            let _ = self.make_tips(&staging, coordinate);
        }
        Ok(latest)
    }

    /// The latest of these that a tip is of, but for those whose files say that they belong elsewhere.
    pub(super) fn latest_of(
        &self,
        coordinate: &Coordinate,
        tip: &Tip,
        versions: &[Version],
    ) -> Option<Version> {
        let mut latest: Vec<Version> = versions.to_vec();
        latest.retain(|version| version.tips().contains(tip));
        latest.sort_unstable();
        latest.into_iter().rev().find(|version| !self.is_elsewhere(coordinate, version))
    }

    fn is_elsewhere(&self, coordinate: &Coordinate, version: &Version) -> bool {
        let (plex, key) = match version.key {
            None => (Ok(version.hash), None),
            Some(_) => match self.seal_file(&version.hash) {
                Err(error) => (Err(error), None),
                Ok(thin) => (Ok(thin.inner), Some(thin.head.key)),
            },
        };
        let thin = plex.and_then(|plex| self.plex_file(&plex));
        thin.is_ok_and(|thin| {
            thin.head.coordinate != *coordinate
                || thin.head.tai != version.tai
                || key != version.key
        })
    }

    /// Whether the index has a Seal of this Plex.
    pub(super) fn has_indexed_seal(&self, coordinate: &Coordinate, plex: &Version) -> Result<bool> {
        let seals = layout::marker(coordinate).join(SEAL);
        for key in self.names::<VerifyingKey>(&seals, What::Directory)? {
            let at = seals.join(key.to_string()).join(plex.tai.to_string());
            for (name, what) in self.listed(&at)? {
                let Ok(seal) = name.parse::<PacketHash>() else { continue };
                if matches!(what, What::File(_))
                    && self.seal_file(&seal).is_ok_and(|thin| thin.inner == plex.hash)
                {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Makes all links at a coordinate name what they are to, and removes those that have nothing to name.
    ///
    /// # Errors
    /// Something cannot be read or made.
    pub(crate) fn make_tips(&self, staging: &Staging<'_>, coordinate: &Coordinate) -> Result<()> {
        let (marker, versions) = (layout::marker(coordinate), self.versions(coordinate)?);
        let mut tips = vec![Tip::All, Tip::Plex, Tip::Seal];
        let keys = self.names::<VerifyingKey>(&marker.join(SEAL), What::Directory)?;
        tips.extend(keys.into_iter().map(Tip::SealOf));
        for tip in tips {
            let link = marker.join(tip.link());
            match self.latest_of(coordinate, &tip, &versions) {
                Some(latest) if self.linked(coordinate, &tip)? == Some(latest) => {}
                Some(latest) => staging.link(&link, &tip.target(&latest))?,
                None => {
                    let path = self.path(&link);
                    self.disk().remove(&path).map_err(self.failed(&path))?;
                }
            }
        }
        Ok(())
    }
}

/// Bytes of a file that may stand for a link: that of a Seal below a marker has fewer.
pub(super) const MOST_TARGET: u64 = 256;
