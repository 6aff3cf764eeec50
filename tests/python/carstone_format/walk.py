"""Reads the CAR stream front to back: which leaf belongs to which entry (format sections 7.1 to 7.4)."""

from dataclasses import dataclass, field
import hashlib
from typing import Any, Iterator

from . import dag, records, unixfs
from .car import Section
from .cid import RAW, SHA2_256, Cid
from .errors import require
from .records import BATCH, DIRECTORY, END, FILE, HARD_LINK, INDEX, MANIFEST, RESUME, SYMLINK, TAIL


@dataclass
class Entry:
    """An announced entry and what was found for it."""

    id: int
    batch_at: int
    fields: dict[str, Any]
    pieces: dict[int, tuple[unixfs.Link, bytes]] = field(default_factory=dict)
    next: int = 0
    since: int = 0
    idle_resume: bool = False
    end: dict[str, Any] | None = None
    link: unixfs.Link | None = None
    size: int = 0
    sha256: bytes | None = None

    @property
    def path(self) -> bytes:
        """The path."""
        return self.fields["p"]

    @property
    def kind(self) -> int:
        """The kind."""
        return self.fields["k"]

    @property
    def whole(self) -> bool:
        """Whether the entry is a file whose root stands in the batch."""
        return self.kind == FILE and "c" in self.fields

    @property
    def abandoned(self) -> bool:
        """Whether reading failed while it was packed."""
        return bool(self.end and self.end.get("f", 0) & records.ABANDONED)

    def content(self) -> Iterator[bytes]:
        """The bytes of a file, leaf by leaf."""
        return (self.pieces[at][1] for at in sorted(self.pieces))


class Walk:
    """The state of a reader that goes through the sections in order."""

    def __init__(self, pack_id: bytes, found: list[Section]) -> None:
        self.pack_id = pack_id
        self.sections = found
        self.blocks: dict[Cid, Section] = {}
        self.content: list[Section] = []
        self.entries: dict[int, Entry] = {}
        self.pages: dict[int, list[Section]] = {MANIFEST: [], INDEX: []}
        self.page_fields: dict[int, dict[str, Any]] = {}
        self.tail: tuple[Section, dict[str, Any]] | None = None
        self.inner: set[Cid] = set()
        self.current: Entry | None = None
        self.batch: list[Entry] = []
        self.phase = BATCH
        for section in found:
            self._section(section)
        self._close_batch()
        self._finish()

    def _section(self, section: Section) -> None:
        require(self.tail is None, "order", "7.6", f"section at {section.position} behind the tail record")
        if not records.is_record(section, self.pack_id):
            self._content(section)
            return
        fields = records.decode(section)
        kind = fields["t"]
        if kind not in (BATCH, RESUME, END, MANIFEST, INDEX, TAIL):
            return
        order = {BATCH: BATCH, RESUME: BATCH, END: BATCH}.get(kind, kind)
        require(order >= self.phase, "order", "7.6", f"record of type {kind} at {section.position}")
        self.phase = order
        handlers = {BATCH: self._batch, RESUME: self._resume, END: self._end}
        if kind in handlers:
            handlers[kind](section, fields)
        elif kind == TAIL:
            self.tail = (section, fields)
        else:
            require(len(section.data) <= records.MAX_PAGE, "limit", "7.6", f"page at {section.position}")
            self.pages[kind].append(section)
            self.page_fields[section.position] = fields

    def _content(self, section: Section) -> None:
        require(self.phase == BATCH, "order", "7.6", f"content at {section.position} behind a manifest page")
        self.content.append(section)
        self.blocks.setdefault(section.cid, section)
        if section.cid.codec != RAW:
            return
        where = f"leaf at {section.position}"
        if self.current is None:
            wanted = any(entry.whole and entry.fields["c"] == section.cid for entry in self.batch)
            require(wanted, "stray", "7.2", f"{where} belongs to no entry")
            return
        entry = self.current
        due = entry.since >= records.RESUME_BYTES
        require(not due, "resume", "7.3", f"{where}: no resume record after {entry.since} bytes of entry {entry.id}")
        self._piece(entry, unixfs.Link(section.cid, len(section.data), len(section.data)), section.data, where)
        entry.since += len(section.data)

    def _piece(self, entry: Entry, link: unixfs.Link, data: bytes, where: str) -> None:
        require(entry.next not in entry.pieces or not data, "overlap", "7.3", f"{where}: offset {entry.next} twice")
        entry.pieces[entry.next] = (link, data)
        entry.next += len(data)
        entry.idle_resume = False

    def _batch(self, section: Section, fields: dict[str, Any]) -> None:
        where = f"batch at {section.position}"
        self._close_batch()
        listed, first = fields.get("e"), fields.get("i")
        require(isinstance(listed, list) and 1 <= len(listed) <= records.MAX_ENTRIES, "entries", "7.2", where)
        fresh = records.is_uint(first) and not any(first + n in self.entries for n in range(len(listed)))
        require(fresh, "entry-id", "7.2", f"{where}: first id {first}")
        self.batch = []
        for n, entry in enumerate(listed):
            records.check_entry(entry, f"{where}, entry {n}")
            self.batch.append(Entry(first + n, section.position, entry))
        self.entries |= {entry.id: entry for entry in self.batch}
        whole = [entry for entry in self.batch if entry.whole]
        for entry in whole:
            root = entry.fields["c"]
            leaf = (root.version, root.codec, root.hash) == (1, RAW, SHA2_256)
            require(leaf, "entry", "7.2", f"{where}: c of entry {entry.id} is not a raw leaf")
        total = sum(entry.fields["z"] for entry in whole)
        require(total <= records.MAX_CONTENT, "limit", "7.2", f"{where}: {total} bytes of whole files")
        long = [entry for entry in self.batch if entry.kind == FILE and not entry.whole]
        require(not long or len(self.batch) == 1, "entries", "7.2", f"{where}: a file without c is not alone")
        self.current = long[0] if long else None
        for entry in self.batch:
            self._check_hard_link(entry)

    def _check_hard_link(self, entry: Entry) -> None:
        if entry.kind != HARD_LINK:
            return
        target = self.entries.get(entry.fields["j"])
        earlier = target is not None and (target.batch_at < entry.batch_at or target.id < entry.id)
        require(earlier, "hard-link", "7.2", f"entry {entry.id} links to no earlier entry")
        right = target.path == entry.fields["l"] and target.kind in (FILE, SYMLINK)
        require(right, "hard-link", "7.2", f"entry {entry.id}: path or kind of its target")

    def _close_batch(self) -> None:
        """At the next batch or the end: the blocks of the batch must have come."""
        for entry in self.batch:
            if entry.whole:
                section = self.blocks.get(entry.fields["c"])
                require(section is not None, "missing", "7.2", f"leaf of entry {entry.id} ({entry.path!r})")
                size = len(section.data)
                require(size == entry.fields["z"], "size", "7.2", f"entry {entry.id}: {size} bytes")
                entry.link, entry.size = unixfs.leaf(section.data), size
                entry.sha256 = entry.link.cid.digest
                entry.pieces = {0: (entry.link, section.data)}
            elif entry.kind == SYMLINK:
                entry.link, node = unixfs.symlink(entry.fields["l"])
                self.inner.add(node.cid)
                require(node.cid in self.blocks, "missing", "7.2", f"node of symlink {entry.id} ({entry.path!r})")
        self.batch = []

    def _open_entry(self, fields: dict[str, Any], section: str, where: str) -> Entry:
        entry = self.entries.get(fields.get("i", -1))
        is_open = entry is not None and entry.kind == FILE and not entry.whole and entry.end is None
        require(is_open, "entry-id", section, f"{where}: entry {fields.get('i')} is not open")
        return entry

    def _resume(self, section: Section, fields: dict[str, Any]) -> None:
        where = f"resume record at {section.position}"
        entry = self._open_entry(fields, "7.3", where)
        self._close_batch()
        require(records.is_uint(fields.get("o")), "resume", "7.3", f"{where}: offset")
        require(not entry.idle_resume, "resume", "7.3", f"{where}: nothing stood behind the one before")
        entry.next, entry.since, entry.idle_resume = fields["o"], 0, True
        references = fields.get("r", [])
        require(isinstance(references, list), "resume", "7.3", f"{where}: r")
        require(len(references) <= records.MAX_REFERENCES, "limit", "7.3", f"{where}: {len(references)} references")
        for reference in references:
            self._reference(entry, reference, where)
        self.current = entry

    def _reference(self, entry: Entry, reference: Any, where: str) -> None:
        shaped = isinstance(reference, list) and len(reference) == 2 and isinstance(reference[0], Cid)
        require(shaped, "resume", "7.3", f"{where}: reference")
        section = self.blocks.get(reference[0])
        earlier = section is not None and section.cid.codec == RAW
        require(earlier, "missing", "7.3", f"{where}: {reference[0]} is no earlier leaf")
        require(len(section.data) == reference[1], "size", "7.3", f"{where}: length of {reference[0]}")
        self._piece(entry, unixfs.leaf(section.data), section.data, where)

    def _end(self, section: Section, fields: dict[str, Any]) -> None:
        where = f"end record at {section.position}"
        entry = self._open_entry(fields, "7.4", where)
        entry.end = fields
        require(fields.get("p") == entry.path, "path", "7.4", f"{where}: path of entry {entry.id}")
        require(not entry.idle_resume, "resume", "7.3", f"{where}: a resume record stands where the file ends")
        offset = 0
        for at in sorted(entry.pieces):
            require(at == offset, "gap", "7.3", f"{where}: no leaf for offset {offset} of entry {entry.id}")
            offset += entry.pieces[at][0].size
        require(fields.get("z") == offset, "size", "7.4", f"{where}: {offset} bytes came")
        flags = fields.get("f", 0)
        require(records.is_uint(flags) and flags < 4, "flags", "7.4", where)
        entry.size = offset
        if entry.abandoned:
            require("c" not in fields and "h" not in fields, "abandoned", "7.4", f"{where}: has c or h")
        else:
            self._check_root(entry, fields, where)
        if self.current is entry:
            self.current = None
        self._close_batch()

    def _check_root(self, entry: Entry, fields: dict[str, Any], where: str) -> None:
        leaves = [entry.pieces[at][0] for at in sorted(entry.pieces)]
        require(bool(leaves), "chunks", "7.5", f"{where}: no leaf")
        full = all(leaf.size > 0 for leaf in leaves) or len(leaves) == 1
        require(full, "chunks", "7.5", f"{where}: an empty leaf")
        root = fields.get("c")
        require(isinstance(root, Cid), "root", "7.4", f"{where}: no root CID")
        before = {cid: section.data for cid, section in self.blocks.items()}
        link, found, nodes = dag.read_file(root, before, {leaf.cid: leaf.size for leaf in leaves})
        require(found == [leaf.cid for leaf in leaves], "root", "7.4", f"{where}: the root has other leaves")
        self.inner |= set(nodes)
        digest = hashlib.sha256()
        for piece in entry.content():
            digest.update(piece)
        entry.sha256 = digest.digest()
        require(fields.get("h") == entry.sha256, "sha256", "7.4", f"{where}: SHA-256 of entry {entry.id}")
        hint = entry.fields.get("z", entry.size)
        changed = fields.get("f", 0) & records.CHANGED
        require(hint == entry.size or changed, "size", "7.2", f"{where}: the batch says {hint} bytes")
        entry.link = link

    def _finish(self) -> None:
        for entry in self.entries.values():
            if entry.kind == FILE and not entry.whole:
                require(entry.end is not None, "missing", "7.4", f"end record of entry {entry.id} ({entry.path!r})")
        for entry in self.kept():
            if entry.kind == HARD_LINK:
                target = self.entries[entry.fields["j"]]
                require(not target.abandoned, "hard-link", "7.2", f"entry {entry.id} links to an abandoned entry")
                entry.link, entry.size, entry.sha256 = target.link, target.size, target.sha256
                entry.pieces = target.pieces
        paths = [entry.path for entry in self.kept()]
        require(len(paths) == len(set(paths)), "path", "7.2", "a path is announced twice")
        kinds = {entry.path: entry.kind for entry in self.kept()}
        for path in paths:
            while path:
                path = unixfs.parent_of(path)
                require(kinds.get(path, DIRECTORY) == DIRECTORY, "path", "7.2", f"{path!r} has children")

    def kept(self) -> list[Entry]:
        """All entries but the abandoned ones."""
        return [entry for entry in self.entries.values() if not entry.abandoned]

    def stray_nodes(self, directory_nodes: set[Cid]) -> list[Section]:
        """Content blocks that are neither leaves nor nodes of the tree."""
        known = self.inner | directory_nodes
        return [section for section in self.content if section.cid.codec != RAW and section.cid not in known]
