"""The records of hash-stream's indexes, version 0.1, and sharded-DAG indexes."""

import base64
from dataclasses import dataclass, field
import json
from typing import Any

from . import dagcbor
from .car import encode_section
from .cid import DAG_CBOR, RAW, Cid, cid_of, encode_varint

BLOB, PACK, CONTAINING, INLINE_BLOB = range(4)
SHARDED = "index/sharded/dag@0.1"


def identity(data: bytes) -> bytes:
    """The multihash that holds the bytes themselves."""
    return b"\0" + encode_varint(len(data)) + data


def text_of(multihash: bytes) -> str:
    """How a multihash is called in keys: the CIDv1 of codec raw in base32."""
    return "b" + base64.b32encode(b"\x01" + encode_varint(RAW) + multihash).decode().lower().rstrip("=")


@dataclass(frozen=True)
class Record:
    """A record, and those in it."""

    multihash: bytes
    type: int
    location: bytes | str
    offset: int | None = None
    length: int | None = None
    below: tuple["Record", ...] = field(default=())

    def value(self) -> dict[str, Any]:
        """What is stored, without the fields that are not there."""
        location = self.location if isinstance(self.location, str) else _bytes(self.location)
        fields = {"multihash": _bytes(self.multihash), "type": self.type, "location": location, "offset": self.offset,
                  "length": self.length, "subRecords": [record.value() for record in self.below]}
        return {key: value for key, value in fields.items() if value is not None}

    def encode(self, variant: str) -> str:
        """The text of the object, in DAG-JSON."""
        stored = {"type": variant, "data": self.value()}
        return json.dumps(stored, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    def key(self, nested: bool, milliseconds: int) -> str:
        """The key of the object, in a directory or nested, as in a service."""
        about = text_of(self.multihash)
        first = text_of(self.below[0].multihash) if self.below else None
        if nested:
            return f"{about}/{about}/" + (f"{first}/{first}" if first else str(milliseconds))
        return f"{about}/" + (first or str(milliseconds))


def _bytes(data: bytes) -> dict[str, Any]:
    return {"/": {"bytes": base64.b64encode(data).decode().rstrip("=")}}


@dataclass(frozen=True)
class Place:
    """A blob in a pack, in itself, or at a path."""

    multihash: bytes
    location: bytes | str
    offset: int
    length: int

    @property
    def record(self) -> Record:
        """Its own record."""
        return Record(self.multihash, BLOB, self.location, self.offset, self.length)

    @property
    def pack(self) -> bytes | None:
        """The pack in which it lies, if that is another thing than the blob."""
        return None if isinstance(self.location, str) or self.location == self.multihash else self.location


def single_level(places: list[Place]) -> list[Record]:
    """A record for each place, and one for each pack."""
    packs = dict.fromkeys(place.pack for place in places if place.pack)
    return [place.record for place in places] + [Record(pack, PACK, pack) for pack in packs]


def multiple_level(places: list[Place], root: bytes | None) -> list[Record]:
    """A record for the whole set, or one for each pack and each blob outside of packs."""
    groups: dict[object, list[Record]] = {}
    for place in places:
        groups.setdefault(place.pack or (place.multihash, place.location), []).append(place.record)
    records = [Record(key, PACK, key, below=tuple(found)) if isinstance(key, bytes) else found[0] for key, found in groups.items()]
    return records if root is None else [Record(root, CONTAINING, root, below=tuple(records))]


def header(roots: list[Cid]) -> bytes:
    """The header of a CARv1."""
    data = dagcbor.encode({"roots": roots, "version": 1})
    return encode_varint(len(data)) + data


def packs_of(blocks: list[tuple[Cid, bytes]], size: int) -> list[tuple[bytes, list[Place]]]:
    """Packs of at most `size` bytes, of blocks whose last is the root, and the places in each. The header with the root must fit into
    the last."""
    shards: list[list[tuple[Cid, bytes]]] = [[]]
    used = 0
    for cid, data in blocks:
        cost = len(encode_section(cid, data))
        if used + cost > size - len(header([])):
            shards.append([])
            used = 0
        shards[-1].append((cid, data))
        used += cost
    packs = []
    for number, shard in enumerate(shards):
        pack = header([blocks[-1][0]] if number == len(shards) - 1 else [])
        spots = []
        for cid, data in shard:
            pack += encode_section(cid, data)
            spots.append((cid, len(pack) - len(data), len(data)))
        assert len(pack) <= size
        name = _multihash(cid_of(RAW, pack))
        packs.append((name, [Place(_multihash(cid), name, offset, length) for cid, offset, length in spots]))
    return packs


def _multihash(cid: Cid) -> bytes:
    return encode_varint(cid.hash) + encode_varint(len(cid.digest)) + cid.digest


def _digest(multihash: bytes) -> bytes:
    at = 0
    for _ in range(2):
        while multihash[at] & 128:
            at += 1
        at += 1
    return multihash[at:]


def sharded(content: Cid, shards: dict[bytes, dict[bytes, tuple[int, int]]]) -> bytes:
    """The CAR of a sharded-DAG index."""
    blocks = []
    for shard in sorted(shards, key=lambda name: (_digest(name), name)):
        slices = [[name, list(place)] for name, place in sorted(shards[shard].items(), key=lambda item: (_digest(item[0]), item[0]))]
        data = dagcbor.encode([shard, slices])
        blocks.append((cid_of(DAG_CBOR, data), data))
    return archive(dagcbor.encode({SHARDED: {"content": content, "shards": [cid for cid, _ in blocks]}}), blocks)


def archive(root: bytes, blocks: list[tuple[Cid, bytes]]) -> bytes:
    """A CAR of a root in DAG-CBOR, and the blocks behind it."""
    cid = cid_of(DAG_CBOR, root)
    return header([cid]) + b"".join(encode_section(*block) for block in [(cid, root), *blocks])
