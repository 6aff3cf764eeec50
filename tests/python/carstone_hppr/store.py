"""A repository that is written: packets are stored and detached. Without locks and `fsync`: nobody else is there."""

import os
from pathlib import Path

from . import hsb3, layout
from .packet import Packet, Plex, Seal


class Store:
    """A repository."""

    def __init__(self, repo: Path, links: bool = True, own: bool = True) -> None:
        """`links` is whether tips are links, `own` whether thin files start with their markline."""
        self.repo = repo
        self.links = links
        self.own = own
        for folder in layout.FOLDERS:
            (repo / folder).mkdir(parents=True, exist_ok=True)

    def _write(self, path: str, data: bytes = b"") -> None:
        target = self.repo / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)

    def _remove(self, path: str) -> None:
        """Remove a file, and directories that are then empty."""
        target = self.repo / path
        target.unlink(missing_ok=True)
        self._prune(target.parent)

    def _prune(self, folder: Path) -> None:
        """Remove empty directories upwards, but none that every repository has."""
        keep = {self.repo / name for name in layout.FOLDERS}
        while folder not in keep and not (folder.exists() and any(folder.iterdir())):
            if folder.exists():
                folder.rmdir()
            folder = folder.parent

    def store(self, found: Packet) -> None:
        """Store a packet and those in it."""
        self._write(layout.hash_path(found.hash), layout.file_bytes(found, self.own))
        if isinstance(found, Plex):
            self.store(found.blob)
            self._write(layout.ref_blob(found.blob.hash, found.hash))
            (self.repo / "detach" / found.blob.hash).unlink(missing_ok=True)
        elif isinstance(found, Seal):
            self.store(found.plex)
            self._write(layout.ref_plex(found.plex.hash, found.hash, found.vkey))
        if isinstance(found, (Plex, Seal)):
            versions = layout.versions(_plex(found))
            self._write(f"{versions}/{layout.version(found)}")
            self.tips(versions)

    def detach(self, found: Plex | Seal) -> None:
        """Take a packet out of the index."""
        plex = _plex(found)
        self._remove(f"{layout.versions(plex)}/{layout.version(found)}")
        if isinstance(found, Seal):
            self._remove(layout.ref_plex(plex.hash, found.hash, found.vkey))
            if not (self.repo / layout.ref_folder(plex.hash)).exists():
                self.detach(plex)
        elif not (self.repo / layout.ref_folder(plex.hash)).exists():
            self._remove(layout.ref_blob(plex.blob.hash, plex.hash))
            if not (self.repo / layout.ref_folder(plex.blob.hash)).exists():
                self.detach_blob(plex.blob.hash)
        self.tips(layout.versions(plex))

    def detach_blob(self, text: str) -> None:
        """Put a Blob on the list of the collector."""
        if text != layout.EMPTY_BLOB:
            self._write(f"detach/{text}")

    def entries(self, versions: str) -> list[str]:
        """Index entries below a directory `|`."""
        root = self.repo / versions
        if not root.is_dir():
            return []
        files = (path for path in root.rglob("*") if path.name != "tip" and not path.is_dir())
        return sorted(str(path.relative_to(root)) for path in files)

    def tips(self, versions: str) -> None:
        """Make all tips of a coordinate anew."""
        root = self.repo / versions
        if not root.is_dir():
            return
        # Not `rglob("tip")`, which passes over links that lead nowhere.
        for path in [path for path in root.rglob("*") if path.name == "tip"]:
            path.unlink()
        for folder in sorted((path for path in root.rglob("*") if path.is_dir()), reverse=True):
            if not any(folder.iterdir()):
                folder.rmdir()
        self._prune(root)
        for link, target in layout.tips(self.entries(versions)).items():
            if self.links:
                os.symlink(target, root / link)
            else:
                (root / link).write_text(target + "\n", encoding="utf-8")


def _plex(found: Plex | Seal) -> Plex:
    return found.plex if isinstance(found, Seal) else found


def keys() -> list[hsb3.Key]:
    """The keys that tests sign with."""
    return [hsb3.key_of_secret(f"signer {number}".encode()) for number in range(3)]
