"""Writes packs for the test vectors: entries, content, far region, and the layers around them."""

from dataclasses import dataclass, field
import hashlib
from typing import Any

from . import compression, dagcbor, encryption, records, unixfs
from .car import HEADER, encode_section
from .cid import RAW, Cid
from .container import Container, Layer, compression_layer, encode_trailer, encryption_layer, position_layer
from .position import encode_footer
from .records import BATCH, DIRECTORY, END, FILE, HARD_LINK, INDEX, MANIFEST, RESUME, SYMLINK, TAIL

MANIFEST_KEYS = ("k", "l", "m", "n", "p", "s", "z")


@dataclass
class Source:
    """An entry to be packed: the keys of its map, and for files the content."""

    fields: dict[str, Any]
    content: bytes = b""

    @property
    def path(self) -> bytes:
        """The path."""
        return self.fields["p"]

    @property
    def kind(self) -> int:
        """The kind."""
        return self.fields["k"]


@dataclass
class Packed:
    """What the manifest needs to know of an entry."""

    id: int
    batch_at: int
    source: Source
    link: unixfs.Link | None = None
    runs: list[int] = field(default_factory=list)
    sha256: bytes = b""
    dropped: bool = False


@dataclass
class LongFile:
    """A file without `c` that is being written."""

    packed: Packed
    offset: int = 0
    since: int = 0
    leaves: list[unixfs.Link] = field(default_factory=list)
    references: list[list[Any]] = field(default_factory=list)
    after: int | None = None
    digest: Any = field(default_factory=hashlib.sha256)


class CarWriter:
    """The CAR stream of a pack."""

    def __init__(self, pack_id: bytes, manifest_page: int = 65_536, index_page: int = 65_536) -> None:
        self.pack_id = pack_id
        self.chunk, self.profile = unixfs.CHUNK, unixfs.V1_2025
        self.manifest_page, self.index_page = manifest_page, index_page
        self.out = bytearray(HEADER)
        self.boundaries: list[int] = []
        self.blocks: dict[Cid, int] = {}
        self.content: list[tuple[bytes, int]] = []
        self.entries: list[Packed] = []
        self.next_id = 0
        self.current: LongFile | None = None
        self.leaf_count = 0
        self.far_at = 0
        self.mark = 0

    def _section(self, cid: Cid, data: bytes) -> int:
        at = len(self.out)
        self.boundaries.append(at)
        self.out += encode_section(cid, data)
        return at

    def record(self, record_type: int, fields: dict[str, Any]) -> int:
        """Write a record; returns its position."""
        return self._section(*records.encode(self.pack_id, record_type, fields))

    def block(self, cid: Cid, data: bytes) -> int:
        """Write a content block unless it stands earlier; returns its position."""
        if cid not in self.blocks:
            self.blocks[cid] = self._section(cid, data)
            self.content.append((cid.digest, self.blocks[cid]))
            self.leaf_count += cid.codec == RAW
        return self.blocks[cid]

    def batch(self, sources: list[Source]) -> None:
        """Write a batch of directories, links and whole files, and the blocks behind it."""
        for source in sources:
            if source.kind == FILE:
                source.fields |= {"c": unixfs.leaf(source.content).cid, "z": len(source.content)}
            if source.kind == HARD_LINK:
                source.fields["j"] = self._find(source.fields["l"], sources)
        added = self._announce(sources)
        for packed in added:
            self._write_small(packed)

    def _find(self, path: bytes, sources: list[Source]) -> int:
        """The id of an entry that is packed or in the batch being made."""
        for packed in self.entries:
            if packed.source.path == path:
                return packed.id
        return self.next_id + [source.path for source in sources].index(path)

    def _announce(self, sources: list[Source]) -> list[Packed]:
        first = self.next_id
        self.next_id += len(sources)
        at = self.record(BATCH, {"i": first, "e": [source.fields for source in sources]})
        added = [Packed(first + n, at, source) for n, source in enumerate(sources)]
        self.entries += added
        self.current = None
        return added

    def _write_small(self, packed: Packed) -> None:
        source = packed.source
        if source.kind == FILE:
            packed.link = unixfs.leaf(source.content)
            packed.runs = [0, self.block(packed.link.cid, source.content)]
            packed.sha256 = hashlib.sha256(source.content).digest()
        elif source.kind == SYMLINK:
            packed.link, node = unixfs.symlink(source.fields["l"])
            packed.runs = [0, self.block(node.cid, node.data)]
        elif source.kind == HARD_LINK:
            packed.link = next(entry.link for entry in self.entries if entry.id == source.fields["j"])

    def open_long(self, source: Source) -> LongFile:
        """Announce a file whose root is not yet known."""
        self.current = LongFile(self._announce([source])[0])
        return self.current

    def write_long(self, file: LongFile, content: bytes) -> None:
        """Write the next chunks of a file, resume records and references where they are due."""
        for at in range(0, len(content), self.chunk):
            self._chunk(file, content[at : at + self.chunk])

    def _chunk(self, file: LongFile, chunk: bytes) -> None:
        leaf = unixfs.leaf(chunk)
        file.digest.update(chunk)
        file.leaves.append(leaf)
        if leaf.cid in self.blocks:
            file.references.append([leaf.cid, leaf.size])
            file.packed.runs += [file.offset, self.blocks[leaf.cid]]
            file.after = None
        else:
            self._resume_if_due(file)
            position = self.block(leaf.cid, chunk)
            file.since += leaf.size
            if file.after != self.leaf_count - 1:
                file.packed.runs += [file.offset, position]
            file.after = self.leaf_count
        file.offset += leaf.size
        if len(file.references) == records.MAX_REFERENCES:
            self._resume_if_due(file)

    def _resume_if_due(self, file: LongFile) -> None:
        if self.current is file and file.since < records.RESUME_BYTES and not file.references:
            return
        behind = sum(length for _, length in file.references)
        fields: dict[str, Any] = {"i": file.packed.id, "o": file.offset - behind}
        if file.references:
            fields["r"] = file.references
        self.record(RESUME, fields)
        self.current, file.since, file.references = file, 0, []

    def end_long(self, file: LongFile, flags: int | None = None) -> None:
        """Write inner nodes and end record."""
        if not file.leaves:
            self._chunk(file, b"")
        if file.references:
            self._resume_if_due(file)
        packed = file.packed
        fields: dict[str, Any] = {"i": packed.id, "p": packed.source.path, "z": file.offset}
        if flags is not None:
            fields["f"] = flags
        packed.dropped = bool((flags or 0) & records.ABANDONED)
        if not packed.dropped:
            built = unixfs.build_file(file.leaves, self.profile)
            for node in built.nodes:
                self.block(node.cid, node.data)
            packed.link, packed.sha256 = built.root, file.digest.digest()
            fields |= {"c": built.root.cid, "h": packed.sha256}
            packed.source.fields["z"] = file.offset
        self.record(END, fields)
        self.current = None

    def long(self, source: Source) -> None:
        """A whole file without `c`, not interleaved."""
        file = self.open_long(source)
        self.write_long(file, source.content)
        self.end_long(file)

    def finish(self) -> bytes:
        """Write the far region; returns the stream."""
        kept = [packed for packed in self.entries if not packed.dropped]
        files = {packed.source.path: packed.link for packed in kept if packed.link is not None}
        directories = {packed.source.path for packed in kept if packed.source.kind == DIRECTORY}
        tree = unixfs.build_tree(files, directories, self.profile)
        self.far_at = len(self.out)
        for node in tree.nodes:
            self.block(node.cid, node.data)
        manifest = self._manifest(kept, tree)
        index = self._index()
        self.mark = len(self.out)
        total = sum(packed.source.fields["z"] for packed in kept if packed.source.kind == FILE)
        self.record(TAIL, {"b": len(self.content), "e": len(kept), "m": manifest, "r": [tree.root.cid], "s": 0,
                           "x": index, "z": total})
        return bytes(self.out)

    def _manifest(self, kept: list[Packed], tree: unixfs.Tree) -> int:
        entries = {packed.source.path: self._manifest_entry(packed, tree) for packed in kept}
        implied = {b""} | set(tree.directories)
        for path in list(entries):
            while path:
                path = unixfs.parent_of(path)
                implied.add(path)
        for path in implied - set(entries):
            entries[path] = {"k": DIRECTORY, "p": path} | self._node_run(path, tree)
        ordered = [entries[path] for path in sorted(entries, key=unixfs.components)]
        level, page = 0, ordered
        while True:
            heads = [[group[0]["p"] if level == 0 else group[0][0], self.record(MANIFEST, {"l": level, "e": group})]
                     for group in _groups(page, self.manifest_page)]
            if len(heads) == 1:
                return heads[0][1]
            level, page = level + 1, heads

    def _node_run(self, path: bytes, tree: unixfs.Tree) -> dict[str, Any]:
        link = tree.directories.get(path)
        return {"r": [0, self.blocks[link.cid]]} if link else {}

    def _manifest_entry(self, packed: Packed, tree: unixfs.Tree) -> dict[str, Any]:
        source = packed.source
        entry = {key: source.fields[key] for key in MANIFEST_KEYS if key in source.fields}
        entry |= {"b": packed.batch_at, "i": packed.id}
        if source.kind == DIRECTORY:
            return entry | self._node_run(source.path, tree)
        if packed.link and source.kind == FILE:
            linked = packed.link.cid.codec == RAW and unixfs.is_text(source.path)
            if not linked:
                entry["h"] = packed.sha256
        return entry | {"r": packed.runs}

    def _index(self) -> int:
        prefix = prefix_len(len(self.content))
        width = byte_len(max(at for _, at in self.content))
        rows = sorted((digest[:prefix].ljust(prefix, b"\0"), at) for digest, at in self.content)
        level, size = 0, width
        while True:
            per_page = max(2, self.index_page // (prefix + size))
            heads = []
            for at in range(0, len(rows), per_page):
                group = rows[at : at + per_page]
                data = b"".join(key + position.to_bytes(size, "little") for key, position in group)
                heads.append((group[0][0], self.record(INDEX, {"l": level, "n": prefix, "w": width, "d": data})))
            if len(heads) == 1:
                return heads[0][1]
            level, rows, size = level + 1, heads, 8


def prefix_len(count: int) -> int:
    """P: the fewest bytes with 256^P >= 256 * count, at most 8."""
    return next((p for p in range(1, 8) if 256**p >= 256 * count), 8)


def byte_len(value: int) -> int:
    """The fewest bytes that hold a value, at least 1."""
    return max(1, (value.bit_length() + 7) // 8)


def _groups(items: list[Any], page: int) -> list[list[Any]]:
    groups: list[list[Any]] = [[]]
    size = 0
    for item in items:
        length = len(dagcbor.encode(item))
        if groups[-1] and size + length > page and len(groups[-1]) > 1:
            groups.append([])
            size = 0
        groups[-1].append(item)
        size += length
    return groups


@dataclass(frozen=True)
class Stack:
    """The layers around a CAR stream."""

    plan: compression.Plan | None = None
    content_key: bytes | None = None
    envelope: bytes = b""

    def layers(self) -> tuple[Layer, ...]:
        """The slots, outermost first."""
        outer = (encryption_layer(),) if self.content_key else ()
        middle = (compression_layer(self.plan.block),) if self.plan else ()
        return (*outer, *middle, position_layer())

    def wrap(self, writer: CarWriter, car: bytes) -> bytes:
        """The stored bytes of the pack."""
        container = Container(writer.pack_id, self.layers())
        header = container.encode()
        stream = car + encode_footer(len(car), writer.mark, writer.pack_id)
        boundaries: list[int] | None = writer.boundaries
        if self.plan:
            plan = compression.Plan(self.plan.codec, self.plan.level, self.plan.block, writer.far_at)
            anchor = None if self.content_key else header
            stream = compression.compress(stream, writer.pack_id, plan, header=anchor, boundaries=boundaries)
            boundaries = None
        if self.content_key:
            keys = encryption.derive(self.content_key, writer.pack_id, container.layer_list())
            stream = encryption.encrypt(stream, keys, writer.pack_id, envelope=self.envelope, header=header,
                                        boundaries=boundaries)
        return header + stream + encode_trailer(header, len(header) + len(stream) + 304)
