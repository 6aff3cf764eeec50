"""The index over many CARs (format section 10)."""

from dataclasses import dataclass
import struct
from typing import Iterable

from .car import decode_section_head
from .checks import b3
from .cid import decode_varint
from .errors import require

PAGE, BODY, TOP = 4096, 4064, 256
MAGIC = bytes.fromhex("894353546D0D0A1A")
LEAF, INNER, FILES, FOOTER = 1, 2, 3, 4
PRAGMA = bytes.fromhex("0aa16776657273696f6e02")
IDENTITY = 0


@dataclass(frozen=True)
class File:
    """A CAR under its name."""

    name: bytes
    data: bytes

    @property
    def version(self) -> int:
        """1 or 2."""
        return 2 if self.data.startswith(PRAGMA) else 1

    @property
    def payload(self) -> tuple[int, int]:
        """Where the payload starts, and its length."""
        return struct.unpack_from("<QQ", self.data, 27) if self.version == 2 else (0, len(self.data))

    def record(self) -> bytes:
        """The file as its page has it."""
        start, length = self.payload
        header, at = decode_varint(self.data, start)
        front = self.data[:51] if self.version == 2 else b""
        digest = b3(front + self.data[start : at + header])
        numbers = struct.pack(">QQQBB", len(self.data), start, length, self.version, 0)
        return numbers + digest + struct.pack(">H", len(self.name)) + self.name

    def entries(self, number: int) -> Iterable[bytes]:
        """The record of each section that is no identity CID."""
        start, length = self.payload
        header, at = decode_varint(self.data, start)
        at += header
        while at < start + length:
            cid, end = decode_section_head(self.data, at)
            if cid.hash != IDENTITY:
                key = struct.pack(">QB", cid.hash, len(cid.digest)) + cid.digest
                yield key + struct.pack(">IQI", number, at - start, end - at)
            at = end


def encode(files: list[File]) -> bytes:
    """The bytes of the index over these files."""
    records = [file.record() for file in files]
    index = _Index(b3(b"".join(records)))
    entries = sorted({entry for number, file in enumerate(files) for entry in file.entries(number)})
    separators, levels = index.leaves(entries), []
    levels.append(len(separators))
    while levels[-1] > TOP:
        separators = index.inner(len(levels), separators)
        levels.append(len(separators))
    require(len(levels) <= 4, "limit", "10", f"{len(levels)} levels")
    pages = index.files(records)
    body = MAGIC + struct.pack(">H6x16sQII", 1, index.id, len(entries), len(files), pages)
    index.add(FOOTER, 0, 0, body + struct.pack(">4Q", *levels, *[0] * (4 - len(levels))))
    return bytes(index.out)


class _Index:
    """Pages that are put one behind the other."""

    def __init__(self, identifier: bytes) -> None:
        self.id = identifier
        head = (MAGIC + struct.pack(">H2xI", 1, PAGE) + identifier).ljust(PAGE - 16, b"\0")
        self.out = bytearray(head + b3(head))

    def add(self, kind: int, level: int, count: int, body: bytes) -> None:
        """Seal a page and add it."""
        require(len(body) <= BODY, "limit", "10", f"body of {len(body)} bytes")
        head = struct.pack(">BBHIQ", kind, level, count, len(body), len(self.out) // PAGE)
        content = (head + body).ljust(PAGE - 16, b"\0")
        self.out += content + b3(self.id + content)

    def leaves(self, entries: list[bytes]) -> list[bytes]:
        """Pages of entries; what separates them."""
        separators, page, size = [], [], 0
        for number, entry in enumerate(entries):
            head = 0 if page and page[-1][:9] == entry[:9] else 11
            if size + head + len(entry) - 9 > BODY:
                self._leaf(page)
                page, size, head = [], 0, 11
            if not page:
                separators.append(_separator(entries[number - 1], entry) if number else b"")
            page.append(entry)
            size += head + len(entry) - 9
        if page:
            self._leaf(page)
        return separators

    def _leaf(self, entries: list[bytes]) -> None:
        groups: dict[bytes, list[bytes]] = {}
        for entry in entries:
            groups.setdefault(entry[:9], []).append(entry[9:])
        body = b"".join(head + struct.pack(">H", len(rest)) + b"".join(rest) for head, rest in groups.items())
        self.add(LEAF, 0, len(entries), body)

    def inner(self, level: int, below: list[bytes]) -> list[bytes]:
        """Pages of separators; what separates them."""
        separators, first = [], 0
        while first < len(below):
            body, end = struct.pack(">Q", first), first
            while end < len(below) and len(body) + 1 + len(below[end]) <= BODY:
                body += bytes([len(below[end])]) + below[end]
                end += 1
            self.add(INNER, level, end - first, body)
            separators.append(below[first])
            first = end
        return separators

    def files(self, records: list[bytes]) -> int:
        """Pages of files; how many there are."""
        pages, first = 0, 0
        while first < len(records):
            body, end = struct.pack(">I", first), first
            while end < len(records) and len(body) + len(records[end]) <= BODY:
                body += records[end]
                end += 1
            self.add(FILES, 0, end - first, body)
            pages, first = pages + 1, end
        return pages


def _separator(before: bytes, entry: bytes) -> bytes:
    """The shortest start of an entry that is larger than the one before."""
    return next(entry[:length] for length in range(1, len(entry) + 1) if entry[:length] > before)
