"""Goes through a repository and finds everything that is not as it must be."""

from collections import defaultdict
from dataclasses import dataclass, field
import os
from pathlib import Path
import stat

from . import headers, hsb3, layout, packet, tai, texts
from .errors import Bad
from .packet import Blob, Packet, Plex, Seal

FOLDER = "folder"
LINK = "link"
FILE = "file"
OTHER = "other"


@dataclass(frozen=True)
class Finding:
    """Something that is wrong: a short stable name, the path in the repository, and more."""

    name: str
    path: str
    detail: str = ""


@dataclass
class Report:
    """What a walk has found. `notes` are no faults: packets that nothing in the index leads to."""

    findings: list[Finding] = field(default_factory=list)
    notes: list[Finding] = field(default_factory=list)
    packets: dict[str, Packet] = field(default_factory=dict)
    entries: int = 0
    tips: int = 0
    detached: list[str] = field(default_factory=list)

    def add(self, name: str, path: str, detail: str = "") -> None:
        """Add a finding."""
        self.findings.append(Finding(name, path, detail))


class Walk:
    """One walk through one repository."""

    def __init__(self, repo: Path) -> None:
        self.repo = os.fsencode(repo)
        self.report = Report()
        self.refs: dict[str, set[str]] = defaultdict(set)
        # Index entries below each directory `|`, and the coordinates they stand at.
        self.index: dict[str, list[str]] = {}
        self.indexed: set[str] = set()

    def run(self) -> Report:
        """Look at everything."""
        self._top()
        for kind in "BPS":
            self._hashes(kind)
        self._refs_of_blobs()
        self._refs_of_plexes()
        self._folder_of_index("index", [])
        self._stray_refs()
        self._detach()
        self._notes()
        return self.report

    # The file system

    def _list(self, folder: str) -> list[tuple[str, str]]:
        """Names in a directory and their kinds, sorted; what has no text for a name is told and left out."""
        found = []
        path = os.path.join(self.repo, folder.encode())
        if not os.path.isdir(path) or os.path.islink(path):
            return []
        for entry in os.scandir(path):
            try:
                name = entry.name.decode("utf-8")
            except UnicodeDecodeError:
                self.report.add("foreign", f"{folder}/{entry.name!r}", "no UTF-8")
                continue
            mode = entry.stat(follow_symlinks=False).st_mode
            kinds = {stat.S_IFDIR: FOLDER, stat.S_IFLNK: LINK, stat.S_IFREG: FILE}
            found.append((name, kinds.get(stat.S_IFMT(mode), OTHER)))
        return sorted(found, key=lambda item: item[0].encode())

    def _read(self, path: str) -> bytes:
        with open(os.path.join(self.repo, path.encode()), "rb") as file:
            return file.read()

    def _size(self, path: str) -> int:
        return os.lstat(os.path.join(self.repo, path.encode())).st_size

    def _folders(self, folder: str) -> list[str]:
        """Names of directories; anything else is foreign."""
        found = []
        for name, kind in self._list(folder):
            if kind == FOLDER:
                found.append(name)
            else:
                self.report.add("foreign", f"{folder}/{name}", kind)
        return found

    def _marks(self, folder: str, letters: str) -> list[str]:
        """Names of zero-byte files that are typed texts; anything else is foreign, and no entry is a fault too."""
        found = []
        for name, kind in self._list(folder):
            path = f"{folder}/{name}"
            if kind != FILE or not texts.is_typed(name, letters):
                self.report.add("foreign", path, kind)
                continue
            if self._size(path):
                self.report.add("not-empty", path, f"{self._size(path)} bytes")
            found.append(name)
        return found

    def _top(self) -> None:
        known = {path.split("/")[0] for path in layout.FOLDERS}
        for name, kind in self._list(""):
            if name not in known or kind != FOLDER:
                self.report.add("foreign", name, kind)
        for folder in ("hash", "ref"):
            inside = {path.split("/")[1] for path in layout.FOLDERS if path.startswith(f"{folder}/")}
            for name in self._folders(folder):
                if name not in inside:
                    self.report.add("foreign", f"{folder}/{name}")
        for path in layout.FOLDERS:
            if not os.path.isdir(os.path.join(self.repo, path.encode())):
                self.report.add("no-folder", path)
        for name, kind in self._list(".tmp"):
            if (name, kind) != ("lock", FILE):
                self.report.add("leftover", f".tmp/{name}")

    # Packets

    def _hashes(self, kind: str) -> None:
        for folder in self._folders(f"hash/{kind}"):
            at = f"hash/{kind}/{folder}"
            for name, what in self._list(at):
                text = layout.is_hash_name(name, kind, folder) if len(folder) == 2 else None
                if text is None or what != FILE:
                    self.report.add("foreign", f"{at}/{name}", what)
                    continue
                try:
                    found = self._packet(text, f"{at}/{name}")
                except Bad as bad:
                    self.report.add(bad.name, f"{at}/{name}", bad.detail)
                    continue
                self.report.packets[text] = found

    def _packet(self, text: str, path: str) -> Packet:
        """The packet of a file, put together and verified."""
        data = self._read(path)
        if text[0] == "B":
            blob = Blob(data)
            if len(data) > packet.MAX_DATA:
                raise Bad("too-large", f"{len(data)} bytes")
            if blob.hash != text:
                raise Bad("digest-blob", f"{len(data)} bytes have {blob.hash}")
            return blob
        lines, last = layout.thin(data, text)
        inner = self.report.packets.get(last)
        if inner is None:
            raise Bad("missing-inner", f"{last} is not there, or not right")
        # All rules are those of the whole packet.
        return packet.parse(packet.markline(text) + lines + inner.encode())

    # References

    def _ref_folders(self, kind: str) -> list[tuple[str, str]]:
        found = []
        for folder in self._folders(f"ref/{kind}"):
            at = f"ref/{kind}/{folder}"
            below = self._folders(at)
            self._not_empty_folder(at)
            for name in below:
                text = layout.is_hash_name(f"{name}.H3", kind, folder) if len(folder) == 2 else None
                if text is None:
                    self.report.add("foreign", f"{at}/{name}", FOLDER)
                    continue
                self._not_empty_folder(f"{at}/{name}")
                found.append((text, f"{at}/{name}"))
        return found

    def _not_empty_folder(self, path: str) -> None:
        if not self._list(path):
            self.report.add("empty-folder", path)

    def _refs_of_blobs(self) -> None:
        for blob, at in self._ref_folders("B"):
            for plex in self._marks(at, "P"):
                found = self.report.packets.get(plex)
                if not isinstance(found, Plex):
                    self.report.add("dangling-ref", f"{at}/{plex}", "no such Plex")
                elif found.blob.hash != blob:
                    self.report.add("wrong-ref", f"{at}/{plex}", f"its Blob is {found.blob.hash}")
                else:
                    self.refs[blob].add(plex)

    def _refs_of_plexes(self) -> None:
        for plex, at in self._ref_folders("P"):
            for seal in self._folders(at):
                if not texts.is_typed(seal, "S"):
                    self.report.add("foreign", f"{at}/{seal}", FOLDER)
                    continue
                self._not_empty_folder(f"{at}/{seal}")
                for vkey in self._marks(f"{at}/{seal}", "V"):
                    self._ref_of_plex(plex, seal, vkey, f"{at}/{seal}/{vkey}")

    def _ref_of_plex(self, plex: str, seal: str, vkey: str, at: str) -> None:
        found = self.report.packets.get(seal)
        if not isinstance(found, Seal):
            self.report.add("dangling-ref", at, "no such Seal")
        elif found.plex.hash != plex:
            self.report.add("wrong-ref", at, f"its Plex is {found.plex.hash}")
        elif found.vkey != vkey:
            self.report.add("wrong-ref", at, f"signed by {found.vkey}")
        else:
            self.refs[plex].add(seal)

    def _stray_refs(self) -> None:
        for outer, inner in sorted(self.refs.items()):
            for text in sorted(inner):
                found = self.report.packets[text]
                if isinstance(found, Seal):
                    needed = text in self.indexed
                    path = layout.ref_plex(outer, text, found.vkey)
                else:
                    needed = text in self.indexed or bool(self.refs.get(text))
                    path = layout.ref_blob(outer, text)
                if not needed:
                    self.report.add("stray-ref", path, "nothing in the index leads to it")

    # The index

    def _folder_of_index(self, at: str, names: list[str]) -> None:
        found = self._list(at)
        if names and not found:
            self.report.add("empty-folder", at)
        for name, kind in found:
            path = f"{at}/{name}"
            if kind != FOLDER:
                self.report.add("foreign", path, kind)
            elif name == "|" and len(names) >= 3:
                self._versions(path, names)
            elif self._is_name(name, len(names)):
                self._folder_of_index(path, [*names, name])
            else:
                self.report.add("foreign", path, "no part of a coordinate")

    @staticmethod
    def _is_name(name: str, depth: int) -> bool:
        try:
            headers.check_part(name)
            (headers.check_name if depth < 2 else headers.check_location)(name)
        except Bad:
            return False
        return True

    def _versions(self, at: str, names: list[str]) -> None:
        entries: list[str] = []
        links: list[str] = []
        if not self._list(at):
            self.report.add("empty-folder", at)
        for name, kind in self._list(at):
            if name == "tip":
                links.append(name)
            elif name == "plex" and kind == FOLDER:
                self._stamps(at, "plex", "P", entries, links)
            elif name == "seal" and kind == FOLDER:
                self._signers(at, entries, links)
            else:
                self.report.add("foreign", f"{at}/{name}", kind)
        self.report.entries += len(entries)
        sound = [entry for entry in entries if self._entry(at, names, entry)]
        self._tips(at, sound, links)

    def _signers(self, at: str, entries: list[str], links: list[str]) -> None:
        self._not_empty_folder(f"{at}/seal")
        for name, kind in self._list(f"{at}/seal"):
            if name == "tip":
                links.append("seal/tip")
            elif kind == FOLDER and texts.is_typed(name, "V"):
                self._stamps(at, f"seal/{name}", "S", entries, links)
            else:
                self.report.add("foreign", f"{at}/seal/{name}", kind)

    def _stamps(self, at: str, folder: str, letter: str, entries: list[str], links: list[str]) -> None:
        self._not_empty_folder(f"{at}/{folder}")
        for name, kind in self._list(f"{at}/{folder}"):
            path = f"{at}/{folder}/{name}"
            if name == "tip":
                links.append(f"{folder}/tip")
            elif kind == FOLDER and tai.is_tai(name):
                self._not_empty_folder(path)
                entries += [f"{folder}/{name}/{text}" for text in self._marks(path, letter)]
            else:
                self.report.add("foreign", path, kind)

    def _entry(self, at: str, names: list[str], entry: str) -> bool:
        """Whether an index entry is about a packet that is there, and right."""
        path = f"{at}/{entry}"
        text = entry.split("/")[-1]
        found = self.report.packets.get(text)
        if found is None or isinstance(found, Blob):
            self.report.add("dangling-entry", path, "no such packet")
            return False
        plex = found.plex if isinstance(found, Seal) else found
        if layout.versions(plex) != at or layout.version(found) != entry:
            self.report.add("wrong-entry", path, f"belongs to {layout.versions(plex)}/{layout.version(found)}")
            return False
        self.indexed.add(text)
        if plex.hash not in self.refs.get(plex.blob.hash, ()):
            self.report.add("missing-ref", layout.ref_blob(plex.blob.hash, plex.hash), f"needed by {path}")
        if isinstance(found, Seal) and text not in self.refs.get(plex.hash, ()):
            self.report.add("missing-ref", layout.ref_plex(plex.hash, text, found.vkey), f"needed by {path}")
        return True

    def _tips(self, at: str, entries: list[str], links: list[str]) -> None:
        wanted = layout.tips(entries)
        for link in links:
            if link not in wanted:
                self.report.add("stray-tip", f"{at}/{link}", "there is no version")
        for link, target in wanted.items():
            found = self._target(f"{at}/{link}")
            if found is None:
                self.report.add("missing-tip", f"{at}/{link}", f"must be {target}")
            elif found != target:
                self.report.add("wrong-tip", f"{at}/{link}", f"{found}, must be {target}")
            else:
                self.report.tips += 1

    def _target(self, path: str) -> str | None:
        """What a tip says: a link, or a file with the same text and LF. None where it says nothing."""
        raw = os.path.join(self.repo, path.encode())
        if not os.path.lexists(raw):
            return None
        if os.path.islink(raw):
            return os.readlink(raw).decode("utf-8", "replace")
        if not os.path.isfile(raw):
            return "(neither link nor file)"
        data = self._read(path)
        if not data:
            return None
        return data.decode("utf-8", "replace").removesuffix("\n") if data.endswith(b"\n") else f"(no LF: {data!r})"

    # The list of what a collector takes

    def _detach(self) -> None:
        for blob in self._marks("detach", "B"):
            path = f"detach/{blob}"
            self.report.detached.append(blob)
            if blob == layout.EMPTY_BLOB:
                self.report.add("detached-empty", path, "the empty Blob is never detached")
            if self.refs.get(blob):
                self.report.add("detached-live", path, "something refers to it")
            if blob not in self.report.packets:
                self.report.add("detached-missing", path, "no such Blob")

    def _notes(self) -> None:
        for text, found in sorted(self.report.packets.items()):
            if isinstance(found, Blob):
                continue
            plex = found.plex if isinstance(found, Seal) else found
            if text not in self.indexed:
                self.report.notes.append(Finding("detached", layout.hash_path(text)))
            blob = plex.blob.hash
            unrecorded = blob not in self.report.detached and not self.refs.get(blob)
            if unrecorded and blob != layout.EMPTY_BLOB and isinstance(found, Plex):
                self.report.notes.append(Finding("unrecorded", layout.hash_path(blob), f"Blob of {text}"))


def walk(repo: Path) -> Report:
    """Look at every file of a repository."""
    return Walk(repo).run()
