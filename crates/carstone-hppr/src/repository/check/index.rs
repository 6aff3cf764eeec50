//! The index, and its tips.

use std::path::{Path, PathBuf};

use super::{Checker, Finding, there};
use crate::coordinate::{Coordinate, Name};
use crate::error::Result;
use crate::limits::MAX_LOCATION;
use crate::repository::disk::What;
use crate::repository::layout::{self, INDEX, MARKER, PLEX, SEAL, TIP};
use crate::repository::list::{DEEP, is_segment};
use crate::repository::versions::{MOST_TARGET, Tip, Version};
use crate::tai::Tai;
use crate::text::{PacketHash, PacketKind, VerifyingKey};

impl Checker<'_> {
    pub(super) fn index(&mut self) -> Result<()> {
        self.place(&mut Vec::new()).map(drop)
    }

    /// A directory of groups, applications or segments. No path is deeper than a location is long.
    fn place(&mut self, names: &mut Vec<String>) -> Result<()> {
        let directory = names.iter().fold(PathBuf::from(INDEX), |path, name| path.join(name));
        let before = self.checked.mended;
        let listed = self.repository.listed(&directory)?;
        let is_empty = listed.is_empty();
        let len: usize = names.iter().skip(DEEP - 1).map(|name| name.len() + 1).sum();
        for (name, what) in listed {
            let is_name = match names.len() {
                0 | 1 => Name::new(&name).is_ok(),
                _ => is_segment(&name, names.len() + 1 == DEEP) && len + name.len() <= MAX_LOCATION,
            };
            match name == MARKER && names.len() >= DEEP {
                _ if what != What::Directory => self.foreign(&directory, &name)?,
                true => match Coordinate::new(&names[0], &names[1], &names[2..].join("/")) {
                    Ok(coordinate) => self.coordinate(&coordinate)?,
                    Err(_) => self.foreign(&directory, &name)?,
                },
                false if is_name => {
                    names.push(name);
                    let done = self.place(names);
                    names.pop();
                    done?;
                }
                false => self.foreign(&directory, &name)?,
            }
        }
        match names.is_empty() {
            true => Ok(()),
            false => self.empty(&directory, is_empty, before),
        }
    }

    fn coordinate(&mut self, coordinate: &Coordinate) -> Result<()> {
        let (marker, before) = (layout::marker(coordinate), self.checked.mended);
        let (plexes, seals) = (marker.join(PLEX), marker.join(SEAL));
        let (mut versions, mut keys) = (Vec::new(), Vec::new());
        let listed = self.repository.listed(&marker)?;
        let mut directories = vec![(marker.clone(), listed.is_empty())];
        for (name, what) in listed {
            match (name.as_str(), what) {
                (PLEX, What::Directory) => {
                    let is_empty = self.times(coordinate, None, &plexes, &mut versions)?;
                    directories.push((plexes.clone(), is_empty));
                }
                (SEAL, What::Directory) => {
                    let listed = self.repository.listed(&seals)?;
                    directories.push((seals.clone(), listed.is_empty()));
                    for (name, what) in listed {
                        let path = seals.join(&name);
                        match (name.parse::<VerifyingKey>(), what) {
                            (Ok(key), What::Directory) => {
                                let is_empty =
                                    self.times(coordinate, Some(key), &path, &mut versions)?;
                                directories.push((path, is_empty));
                                keys.push(key);
                            }
                            _ if name == TIP => {}
                            _ => self.foreign(&seals, &name)?,
                        }
                    }
                }
                (TIP, _) => {}
                _ => self.foreign(&marker, &name)?,
            }
        }
        let tips =
            [Tip::All, Tip::Plex, Tip::Seal].into_iter().chain(keys.into_iter().map(Tip::SealOf));
        for tip in tips {
            let latest = versions.iter().filter(|version| version.tips().contains(&tip)).max();
            self.tip(coordinate, &tip, latest)?;
        }
        // Those below first.
        for (directory, is_empty) in directories.into_iter().rev() {
            self.empty(&directory, is_empty, before)?;
        }
        Ok(())
    }

    /// Entries in `<tai>/<hash>`, of Plexes, or of Seals by this key; and whether there is nothing at all.
    fn times(
        &mut self,
        coordinate: &Coordinate,
        key: Option<VerifyingKey>,
        directory: &Path,
        versions: &mut Vec<Version>,
    ) -> Result<bool> {
        let listed = self.repository.listed(directory)?;
        let is_empty = listed.is_empty();
        for (name, what) in listed {
            let tai = match (name.parse::<Tai>(), what) {
                (Ok(tai), What::Directory) => tai,
                _ if name == TIP => continue,
                _ => {
                    self.foreign(directory, &name)?;
                    continue;
                }
            };
            let (directory, before) = (directory.join(&name), self.checked.mended);
            let listed = self.repository.listed(&directory)?;
            let is_empty = listed.is_empty();
            for (name, what) in listed {
                let kind = key.map_or(PacketKind::Plex, |_| PacketKind::Seal);
                match (name.parse::<PacketHash>(), what) {
                    (Ok(hash), What::File(_)) if hash.kind() == kind => {
                        self.checked.entries += 1;
                        let version = Version { tai, hash, key };
                        versions.extend(self.entry(coordinate, version)?);
                    }
                    _ => self.foreign(&directory, &name)?,
                }
            }
            self.empty(&directory, is_empty, before)?;
        }
        Ok(is_empty)
    }

    /// An entry, and the versions that tips are to be of, as far as it tells.
    fn entry(&mut self, coordinate: &Coordinate, version: Version) -> Result<Vec<Version>> {
        let marker = layout::marker(coordinate);
        let mut plex = version.hash;
        let mut refs = Vec::new();
        if let Some(key) = version.key {
            match there(self.repository.seal_file(&version.hash)) {
                None => return self.dangling(coordinate, version),
                Some(Err(_)) => return Ok(vec![version]),
                Some(Ok(thin)) if thin.head.key != key => return self.wrong(coordinate, version),
                Some(Ok(thin)) => plex = thin.inner,
            }
            let path = layout::plex_ref(&plex, &version.hash).join(key.to_string());
            refs.push((version.hash, path));
        }
        match there(self.repository.plex_file(&plex)) {
            // Of a Seal that has been told.
            None if version.key.is_some() => return Ok(vec![version]),
            None => return self.dangling(coordinate, version),
            Some(Err(_)) => return Ok(vec![version]),
            Some(Ok(thin))
                if thin.head.coordinate != *coordinate || thin.head.tai != version.tai =>
            {
                return self.wrong(coordinate, version);
            }
            Some(Ok(thin)) => refs.push((plex, layout::blob_ref(&thin.inner, &plex))),
        }
        let of_plex = Version::plex(version.tai, plex);
        if let [(_, of_seal), (_, of_blob)] = &refs[..]
            && self.is_file(of_seal)?
            && !self.is_file(of_blob)?
            && !self.is_file(&marker.join(of_plex.entry()))?
        {
            // It was being stored with its Seal, or detached with it: one that is detached by itself keeps the reference.
            self.found(Finding::NotIndexed { hash: plex })?;
            return Ok(vec![version, of_plex]);
        }
        for (hash, path) in refs {
            if !self.is_file(&path)? {
                self.found(Finding::MissingRef { hash, path })?;
            }
        }
        Ok(vec![version])
    }

    /// One that speaks of nothing; a tip of it is none that is wrong, unless the entry has been removed.
    fn dangling(&mut self, coordinate: &Coordinate, version: Version) -> Result<Vec<Version>> {
        let entry = layout::marker(coordinate).join(version.entry());
        self.found(Finding::DanglingIndex { coordinate: coordinate.clone(), version })?;
        Ok(self.is_file(&entry)?.then_some(version).into_iter().collect())
    }

    fn wrong(&mut self, coordinate: &Coordinate, version: Version) -> Result<Vec<Version>> {
        self.found(Finding::WrongIndex { coordinate: coordinate.clone(), version })?;
        Ok(Vec::new())
    }

    fn tip(&mut self, coordinate: &Coordinate, tip: &Tip, latest: Option<&Version>) -> Result<()> {
        let path = layout::marker(coordinate).join(tip.link());
        let what = self.look(&path)?;
        if self.repository.linked(coordinate, tip)?.as_ref() == latest && latest.is_some() {
            return Ok(());
        }
        let on_disk = self.repository.path(&path);
        let coordinate = coordinate.clone();
        let target = match what {
            Some(What::Link) => self.repository.disk().target(&on_disk).ok(),
            Some(What::File(len)) if (1..=MOST_TARGET).contains(&len) => {
                self.repository.text(&on_disk, len)
            }
            _ => None,
        };
        let named = target.and_then(|target| tip.named(&target));
        self.found(match (what, latest, named) {
            (None, None, _) => return Ok(()),
            (None, Some(_), _) => Finding::MissingTip { coordinate, path },
            (Some(What::File(0)), ..) => Finding::CopiedTip { coordinate, path },
            (Some(What::Link), None, _) => Finding::DanglingTip { coordinate, path },
            (Some(What::Link | What::File(_)), _, Some(named)) => {
                let entry = layout::marker(&coordinate).join(named.entry());
                match self.is_file(&entry)? {
                    true => Finding::WrongTip { coordinate, path },
                    false => Finding::DanglingTip { coordinate, path },
                }
            }
            _ => Finding::WrongTip { coordinate, path },
        })
    }
}
