"""Vectors of segments of a store's index."""

import hashlib
import struct

from blake3 import blake3

from carstone_format.cid import DAG_CBOR, DAG_PB, RAW, SHA2_256, encode_varint
from carstone_format.store_index import BLOBS, FOREIGN, FRONT, PACK, ROOTS, Entry, Location, name_of, segment

from .layers import Case
from .toml import document

BLAKE3 = 0x1E
Query = tuple[int, int, bytes]


def _multihash(code: int, digest: bytes) -> bytes:
    return encode_varint(code) + encode_varint(len(digest)) + digest


def _sha(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _pack(name: bytes, size: int) -> Location:
    return Location(PACK, _multihash(SHA2_256, _sha(name)), size)


def _blob(data: bytes, location: int, offset: int, length: int, codec: int = RAW) -> Entry:
    return Entry(BLOBS, SHA2_256, _sha(data), codec, location, offset, length)


def _root(data: bytes, location: int, codec: int = DAG_PB) -> Entry:
    return Entry(ROOTS, SHA2_256, _sha(data), codec, location)


def _location(location: Location) -> Case:
    foreign = location.kind == FOREIGN
    return {"text": location.name.decode() if foreign else None, "pack": None if foreign else location.name,
            "size": location.size}


def _entry(entry: Entry) -> Case:
    hash_ = _multihash(entry.code, entry.digest)
    place = {} if entry.kind == ROOTS else {"offset": entry.offset, "length": entry.length}
    return {"kind": entry.kind, "hash": hash_, "codec": entry.codec, "location": entry.location, **place}


def _find(locations: list[Location], entries: list[Entry], query: Query) -> Case:
    kind, code, digest = query
    matching = [entry for entry in entries if (entry.kind, entry.code, entry.digest) == query]
    places = sorted({(entry.location, entry.offset, entry.length, entry.codec) for entry in matching})
    group = segment(locations, entries).group((kind, code, len(digest)))
    return {"kind": kind, "hash": _multihash(code, digest), "places": places,
            "reads": group.reads(digest) if group else []}


def _case(name: str, why: str, locations: list[Location], entries: list[Entry], queries: list[Query], numbers: Case) -> Case:
    data = segment(locations, entries).encode()
    front, rest = data[: FRONT - 16].rstrip(b"\0"), data[FRONT:]
    return {"name": name, "why": why, "length": len(data), "blake3": name_of(data), **numbers,
            "front": front, "sum": data[FRONT - 16 : FRONT], "rest": None if numbers else rest,
            "location": [_location(location) for location in locations] or None,
            "entry": None if numbers else [_entry(entry) for entry in entries] or None,
            "find": [_find(locations, entries, query) for query in queries]}


def _given(name: str, why: str, locations: list[Location], entries: list[Entry], *absent: Query) -> Case:
    queries = list(dict.fromkeys((entry.kind, entry.code, entry.digest) for entry in entries))
    return _case(name, why, locations, entries, queries + list(absent), {})


def _ruled(name: str, why: str, count: int, length: int) -> Case:
    packs = [_pack(b"a", 1 << 40), _pack(b"b", 0), _pack(b"c", 1 << 20)]
    digests = [_sha(struct.pack(">Q", number))[:length] for number in range(count)]
    entries = [
        Entry(BLOBS, SHA2_256, digest, RAW, number % 3, number * 1000, number + 1) for number, digest in enumerate(digests)
    ]
    ends = [min(digests), max(digests), digests[0], digests[-1]]
    absent = [bytes(length), b"\xff" * length, b"\x80".ljust(length, b"\0")]
    queries = [(BLOBS, SHA2_256, digest) for digest in dict.fromkeys(ends + absent)]
    return _case(name, why, packs, entries, queries, {"entries": count, "digest": length})


def _mixed() -> tuple[list[Location], list[Entry]]:
    three = blake3(b"three").digest()
    locations = [
        Location(FOREIGN, "https://host/zwei ü.car".encode(), 0), _pack(b"a", 70_000),
        Location(PACK, _multihash(BLAKE3, three), 5),
    ]
    entries = [
        _blob(b"one", 0, 100, 3), Entry(BLOBS, BLAKE3, blake3(b"two").digest(), DAG_CBOR, 1, 200, 3),
        Entry(BLOBS, BLAKE3, three, RAW, 2, 0, 5), Entry(BLOBS, BLAKE3, blake3(b"one").digest(), RAW, 1, 300, 3),
        _blob(b"node", 1, 400, 4, DAG_CBOR),
    ]
    return locations, entries


ABOUT = """
Segments of a store's index. `location`: a `pack` by its multihash, or a foreign one by its `text`. `entry`: of blobs
(kind 0) or roots (kind 2), each with the multihash of its CID and the codec, and the number of its location. Entries
are added in this order; locations and codecs are numbered by their first use.
Where no entries are given, `entries` and `digest` say what they are: blob N from 0 on, of codec raw, has as digest the
first `digest` bytes of SHA-256 of N as 8 bytes, big-endian; it lies in location N mod 3 at offset N × 1000, and has
N + 1 bytes.
`front`: the front without the zeros and the checksum behind it, `sum`: the checksum, `rest`: all bytes behind the
front. `blake3`: of the whole segment. `find`: the places of a digest, each as location, offset, length, codec; and
what a look-up reads, from a byte to behind another: two records of the table, and the bucket if it has entries;
nothing if there is no such group.
"""


def segments() -> str:
    """`store_index.toml`."""
    one, missing = _blob(b"one", 0, 59, 3), (BLOBS, SHA2_256, _sha(b"missing"))
    packs, far = [_pack(b"a", 1000), _pack(b"b", 2000)], (1 << 48) - 1
    roots = [_root(b"root", 0), _blob(b"root", 0, 500, 90, DAG_PB), _root(b"root", 1), _root(b"other", 1, DAG_CBOR)]
    places = [_blob(b"one", 0, 900, 3), one, _blob(b"one", 1, 7, 3), one, _blob(b"two", 1, 10, 3)]
    tail = [_pack(b"a", (1 << 63) - 1)]
    empty = [Entry(BLOBS, SHA2_256, b"", RAW, 0, number, 1) for number in range(64)]
    return document(ABOUT, {"segment": [
        _given("nothing", "a front alone", [], [], missing),
        _given("one blob", "one bucket", packs[:1], [one], missing, (ROOTS, SHA2_256, one.digest),
               (BLOBS, BLAKE3, one.digest)),
        _given("mixed", "packs and a foreign location of unknown length, a blob that is kept by itself, two functions, "
               "two codecs", *_mixed()),
        _given("roots", "roots in two packs, one of which is a blob as well", packs, roots, (ROOTS, SHA2_256, _sha(b"missing"))),
        _given("places", "a blob with several places, one of which is said twice; places are sorted by number of their "
               "location", packs, places),
        _given("far", "the largest offset and length", tail, [_blob(b"far", 0, far, (1 << 40) - 1)]),
        _given("empty digest", "all entries are in the first of two buckets", packs[:1], empty),
        _ruled("63 entries", "one bucket", 63, 32),
        _ruled("64 entries", "two buckets", 64, 32),
        _ruled("95 entries", "two buckets", 95, 32),
        _ruled("96 entries", "four buckets", 96, 32),
        _ruled("200 entries", "eight buckets", 200, 32),
        _ruled("short digests", "digests of 1 byte, 16 buckets; entries of one digest at many places", 300, 1),
    ]})
