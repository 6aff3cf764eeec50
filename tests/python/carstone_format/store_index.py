"""The segment of a store's index (format section 11)."""

from dataclasses import dataclass
import struct

from blake3 import blake3

from .checks import b3, crc32c
from .errors import require

MAGIC = bytes.fromhex("89435354730D0A1A")
FRONT = 4096
BLOBS, ROOTS = 0, 2
PACK, FOREIGN = 0, 1


@dataclass(frozen=True)
class Location:
    """A pack by its multihash, or a URL or path, and its bytes."""

    kind: int
    name: bytes
    size: int

    def record(self) -> bytes:
        """The location as the segment has it."""
        return struct.pack(">BH", self.kind, len(self.name)) + self.name + struct.pack(">Q", self.size)


@dataclass(frozen=True)
class Entry:
    """A blob at its place, or a root at a location that has blobs under it."""

    kind: int
    code: int
    digest: bytes
    codec: int
    location: int
    offset: int = 0
    length: int = 0

    @property
    def group(self) -> tuple[int, int, int]:
        """What it shares with the entries of its group, in the order of groups."""
        return self.kind, self.code, len(self.digest)

    def record(self, codecs: list[int]) -> bytes:
        """The entry as the segment has it."""
        offset, length = self.offset.to_bytes(6, "big"), self.length.to_bytes(5, "big")
        return self.digest + struct.pack(">I", self.location) + offset + length + bytes([codecs.index(self.codec)])


@dataclass(frozen=True)
class Group:
    """Entries of one kind, hash function and length of digests, and where they stand in the file."""

    key: tuple[int, int, int]
    records: list[bytes]
    bits: int
    start: int

    @property
    def table_start(self) -> int:
        """Where the table begins: behind the entries."""
        return self.start + sum(map(len, self.records))

    @property
    def end(self) -> int:
        """Where the table ends."""
        return self.table_start + 12 * ((1 << self.bits) + 1)

    def head(self) -> bytes:
        """The group as the front has it."""
        kind, code, length = self.key
        return struct.pack(">BBBxQQQQ", kind, length, self.bits, code, len(self.records), self.table_start, self.start)

    def bucket(self, digest: bytes) -> int:
        """The number that the first bits of a digest make."""
        return int.from_bytes(digest[:8].ljust(8, b"\0"), "big") >> 64 - self.bits

    def first(self, bucket: int) -> int:
        """How many entries are in the buckets before this one."""
        return sum(self.bucket(record[: self.key[2]]) < bucket for record in self.records)

    def table(self) -> bytes:
        """The record of each bucket, and the last one."""
        out, firsts = b"", [self.first(bucket) for bucket in range((1 << self.bits) + 1)]
        for first, end in zip(firsts, firsts[1:]):
            number = struct.pack(">Q", first)
            out += number + struct.pack(">I", crc32c(number + b"".join(self.records[first:end])))
        number = struct.pack(">Q", len(self.records))
        return out + number + struct.pack(">I", crc32c(number))

    def reads(self, digest: bytes) -> list[tuple[int, int]]:
        """What a look-up reads, each from a byte to behind another: records of the table, a bucket with entries."""
        bucket, size = self.bucket(digest), self.key[2] + 16
        at = self.table_start + 12 * bucket
        first, end = self.first(bucket), self.first(bucket + 1)
        entries = [(self.start + first * size, self.start + end * size)] if first < end else []
        return [(at, at + 24), *entries]


def bits_of(entries: int) -> int:
    """How many bits of a digest tell the bucket, among so many entries."""
    bits = 0
    while 1 << bits < entries // 32:
        bits += 1
    return min(bits, 28)


@dataclass(frozen=True)
class Segment:
    """Locations, codecs in the order of their numbers, and groups."""

    locations: bytes
    count: int
    codecs: list[int]
    groups: list[Group]

    def encode(self) -> bytes:
        """The bytes of the segment."""
        require(len(self.groups) <= 64 and len(self.codecs) <= 128, "limit", "11", "groups or codecs")
        front = MAGIC + struct.pack(">HBBI", 1, len(self.groups), len(self.codecs), self.count)
        front += struct.pack(">QQ", FRONT, FRONT + len(self.locations)) + b3(self.locations)
        front += b"".join(group.head() for group in self.groups)
        front += b"".join(struct.pack(">Q", codec) for codec in self.codecs)
        front = front.ljust(FRONT - 16, b"\0")
        bodies = b"".join(b"".join(group.records) + group.table() for group in self.groups)
        return front + b3(front) + self.locations + bodies

    def group(self, key: tuple[int, int, int]) -> Group | None:
        """The group of this kind, function and length."""
        return next((group for group in self.groups if group.key == key), None)


def segment(locations: list[Location], entries: list[Entry]) -> Segment:
    """The segment that has these entries; codecs are numbered in the order in which they come."""
    records = b"".join(location.record() for location in locations)
    codecs = list(dict.fromkeys(entry.codec for entry in entries))
    groups, at = [], FRONT + len(records)
    for key in sorted({entry.group for entry in entries}):
        rows = sorted({entry.record(codecs) for entry in entries if entry.group == key})
        groups.append(Group(key, rows, bits_of(len(rows)), at))
        at = groups[-1].end
    return Segment(records, len(locations), codecs, groups)


def name_of(data: bytes) -> bytes:
    """The name of a segment."""
    return blake3(data).digest()
