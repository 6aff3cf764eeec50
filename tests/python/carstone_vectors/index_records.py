"""Vectors of hash-stream's records and of sharded-DAG indexes."""

from blake3 import blake3

from carstone_format import dagcbor, unixfs
from carstone_format.cid import DAG_CBOR, DAG_PB, RAW, cid_of, encode_varint
from carstone_format.index_records import (
    BLOB, CONTAINING, INLINE_BLOB, PACK, SHARDED, Place, Record, archive, header, identity, multiple_level, packs_of, sharded,
    single_level, text_of,
)
from carstone_format.car import encode_section

from .layers import Case
from .toml import document

MILLISECONDS = 1_753_000_000_000
VARIANTS = {"blob": "index/blob@0.1", "containing": "index/containing@0.1"}


def _sha(data: bytes) -> bytes:
    return cid_of(RAW, data).raw[2:]


def _b3(data: bytes) -> bytes:
    return encode_varint(0x1E) + b"\x20" + blake3(data).digest()


def _objects(records: list[Record], level: str, nested: bool) -> list[Case]:
    """All objects; a time is a millisecond later for each record of the same hash before."""
    seen: dict[bytes, int] = {}
    found = []
    for record in records:
        earlier = seen.get(record.multihash, 0)
        seen[record.multihash] = earlier + 1
        found.append({"key": record.key(nested, MILLISECONDS + earlier), "text": record.encode(VARIANTS[level])})
    return found


def _file(name: str, why: str, chunks: list[tuple[int, int]], size: int, level: str, containing: bool, nested: bool) -> Case:
    contents = [bytes([byte]) * length for byte, length in chunks]
    leaves = [unixfs.leaf(content) for content in contents]
    nodes = unixfs.build_file(leaves).nodes
    blocks = [(leaf.cid, content) for leaf, content in zip(leaves, contents)] + [(node.cid, node.data) for node in nodes]
    packs = packs_of(blocks, size)
    places = [place for _, found in packs for place in found]
    root = blocks[-1][0].raw[2:]
    if level == "blob":
        records = single_level(places)
    elif containing:
        records = multiple_level(places, root)
    else:
        records = [record for _, found in packs for record in multiple_level(found, None)]
    return {"name": name, "why": why, "chunks": chunks, "pack_size": size, "level": level, "containing": containing, "nested": nested,
            "root": str(blocks[-1][0]), "packs": [text_of(pack) for pack, _ in packs], "object": _objects(records, level, nested)}


def _files() -> list[Case]:
    one, many = [(7, 300)], [(1, 1 << 20), (2, 1 << 20), (1, 1 << 20), (3, 5)]
    cases = []
    for nested in (False, True):
        where = "a service" if nested else "a directory"
        cases += [
            _file(f"one chunk, blobs, {where}", "the root is raw, its data at 56 + 41", one, 1000, "blob", True, nested),
            _file(f"one chunk, sets, {where}", "a set of its root alone", one, 1000, "containing", True, nested),
            _file(f"three packs, blobs, {where}", "data at 57 in packs without roots; a chunk that is repeated has two places", many,
                  1_100_000, "blob", True, nested),
            _file(f"three packs, sets, {where}", "packs in their order, the root in the last", many, 1_100_000, "containing", True, nested),
            _file(f"three packs, no set, {where}", "as with `notIndexContaining`: a record for each pack", many, 1_100_000, "containing",
                  False, nested),
        ]
    return cases


def _stored(name: str, why: str, level: str, records: list[Record], places: list[Place], sets: list[tuple[bytes, list[bytes | str]]],
            inline: list[tuple[bytes, bytes]], nested: bool = False) -> Case:
    return {"name": name, "why": why, "level": level, "nested": nested, "object": _objects(records, level, nested),
            "place": [{"hash": place.multihash, **_where(place.location), "offset": place.offset, "length": place.length}
                      for place in places] or None,
            "set": [{"root": root, "locations": [location if isinstance(location, str) else text_of(location) for location in found]}
                    for root, found in sets] or None,
            "inline": [{"hash": hash_, "data": data} for hash_, data in inline] or None}


def _where(location: bytes | str) -> Case:
    return {"path": location} if isinstance(location, str) else {"pack": location}


def _records() -> list[Case]:
    a, b, pack, other = _sha(b"a"), _b3(b"b"), _sha(b"pack"), _b3(b"other pack")
    root = _sha(b"root")
    # Sorted by hash, as an index gives them.
    both = [Place(a, other, 900, 1), Place(a, pack, 97, 1), Place(b, pack, 135, 1)]
    both.sort(key=lambda place: (place.multihash[0] != 0x12, place.multihash, place.location[0] != 0x12))
    path, alone = Place(a, 'vid eo/"ü"\\\n\x01.bin', 1 << 20, 1 << 20), Place(b, b, 0, 1)
    url = Place(b, "https://host/x?y=1&z", 5, 1)
    long = bytes(range(256)) * 65
    held = [(_sha(b"tiny"), b"tiny"), (_sha(b""), b""), (_sha(long), long)]
    inline = [Record(hash_, INLINE_BLOB, identity(data)) for hash_, data in held]
    numbered = Record(_sha(b"tiny"), INLINE_BLOB, identity(b"tiny"), 0, 4)
    in_set = multiple_level([Place(a, pack, 97, 1), path, alone], None)
    nested = Record(root, CONTAINING, root, below=(*in_set, inline[0]))
    return [
        _stored("blobs", "a blob in two packs has two records, the second of which is a millisecond later", "blob",
                single_level(both), both, [], []),
        _stored("blobs in a service", "the same", "blob", single_level(both), both, [], [], True),
        _stored("paths", "a path with characters that JSON escapes, a URL, a blob that is kept by itself", "blob",
                single_level([path, alone, url]), [path, alone, url], [], []),
        _stored("set", "a pack, a path, and a blob by itself under a root", "containing",
                multiple_level([both[1], alone, path], root), [both[1], alone, path],
                [(root, [both[1].location, b, path.location])], []),
        _stored("packs without a set", "a record for each", "containing", multiple_level(both, None), both, [], []),
        _stored("inline", "records that hold their blobs: empty, small, and longer than a length of one or two bytes", "blob", inline, [],
                [], held),
        _stored("inline with numbers", "offset and length may be there", "blob", [numbered], [], [], held[:1]),
        _stored("inline in a set", "with others", "containing", [nested], [Place(a, pack, 97, 1), path, alone],
                [(root, [pack, path.location, b])], held[:1]),
    ]


def _wrong() -> list[Case]:
    a, pack = _sha(b"a"), _sha(b"pack")
    good = Record(a, BLOB, pack, 97, 1)
    text = good.encode(VARIANTS["blob"])
    deep = good
    for _ in range(20):
        deep = Record(pack, PACK, pack, below=(deep,))
    cases = {
        "nothing": "", "cut": text[:-1], "more behind": text + "1", "list": "[]", "no data": '{"type":"index/blob@0.1"}',
        "unknown kind": text.replace('"type":0', '"type":4'), "kind is text": text.replace('"type":0', '"type":"0"'),
        "negative offset": text.replace('"offset":97', '"offset":-97'), "offset is a fraction": text.replace("97", "9.7"),
        "no hash": Record(b"", BLOB, pack, 97, 1).encode("index/blob@0.1"),
        "cut hash": Record(a[:-1], BLOB, pack, 97, 1).encode("index/blob@0.1"),
        "no records below": text.replace(',"subRecords":[]', ""), "too deep": deep.encode("index/containing@0.1"),
        "inline of another length": Record(a, INLINE_BLOB, b"\0\2a").encode("index/blob@0.1"),
        "inline, long form": Record(a, INLINE_BLOB, b"\0\x81\0a").encode("index/blob@0.1"),
    }
    assert all(case != text for case in cases.values())
    return [{"name": name, "text": case} for name, case in cases.items()]


ABOUT_RECORDS = """
hash-stream's records, as it stores them. `object`: the key of each, below no prefix, and its bytes. `nested`: keys of a service, else of
a directory. In keys that say when a record was made it is 1753000000000 (milliseconds from 1970 on), or so many later as there are others of the
same hash before it.
`file`: what is stored for a file of some chunks, each a byte that is repeated so many times, in packs of at most `pack_size` bytes.
`level`: `blob`, a record for each place and each pack, those of packs last; or `containing`, one for the DAG, or where `containing` is false one for
each pack.
`stored`: objects, and what they say: `place` of blobs, in a `pack` or at a `path`; `set`: a root and where its blobs lie; `inline`: blobs that a
record holds.
`wrong`: objects that are no records.
"""


def records() -> str:
    """`index_records.toml`."""
    return document(ABOUT_RECORDS, {"file": _files(), "stored": _records(), "wrong": _wrong()})


def _index(name: str, why: str, codec: int, shards: dict[bytes, dict[bytes, tuple[int, int]]]) -> Case:
    content = cid_of(codec, b"content")
    slices = [{"pack": pack, "hash": hash_, "offset": offset, "length": length} for pack, found in shards.items()
              for hash_, (offset, length) in found.items()]
    return {"name": name, "why": why, "content": str(content), "packs": list(shards), "car": sharded(content, shards),
            "slice": slices or None}


ABOUT_SHARDED = """
Sharded-DAG indexes, each a CAR. `index`: the root of the DAG, the packs, and the blobs in each with offset and length. `wrong`: CARs that are none.
"""


def sharded_indexes() -> str:
    """`sharded_index.toml`."""
    packs = [_sha(b"pack %d" % number) for number in range(3)] + [_b3(b"pack")]
    many = {_sha(b"blob %d" % number): (97 + number * 1000, number * 37) for number in range(60)}
    mixed = {packs[3]: {_b3(b"x"): (59, 3), _sha(b"y"): (1 << 40, 1 << 33)}, packs[1]: {packs[1]: (0, 5000), _sha(b"y"): (96, 1)},
             packs[0]: {}}
    content = cid_of(DAG_PB, b"content")
    shard = dagcbor.encode([packs[0], [[_sha(b"x"), [59, 3]]]])
    link = cid_of(DAG_CBOR, shard)
    good = {"content": content, "shards": [link]}

    def with_shard(value: object) -> bytes:
        data = dagcbor.encode(value)
        cid = cid_of(DAG_CBOR, data)
        return archive(dagcbor.encode({SHARDED: {"content": content, "shards": [cid]}}), [(cid, data)])

    raw = cid_of(RAW, shard)
    top = dagcbor.encode({SHARDED: good})
    wrong = {
        "nothing": b"", "no root": header([]), "no blocks": header([cid_of(DAG_CBOR, top)]),
        "missing shard": archive(top, []), "damaged shard": archive(top, [(link, shard[:-1] + b"\x04")]),
        "unknown version": archive(dagcbor.encode({"index/sharded/dag@0.3": good}), [(link, shard)]),
        "no content": archive(dagcbor.encode({SHARDED: {"shards": [link]}}), [(link, shard)]),
        "no shards": archive(dagcbor.encode({SHARDED: {"content": content}}), [(link, shard)]),
        "shard by text": archive(dagcbor.encode({SHARDED: {**good, "shards": [str(link)]}}), [(link, shard)]),
        "raw shard": archive(dagcbor.encode({SHARDED: {**good, "shards": [raw]}}), [(raw, shard)]),
        "raw root": header([cid_of(RAW, top)]) + encode_section(cid_of(RAW, top), top) + encode_section(link, shard),
        "negative offset": with_shard([packs[0], [[_sha(b"x"), [-1, 3]]]]),
        "position of three": with_shard([packs[0], [[_sha(b"x"), [1, 3, 4]]]]),
        "no hash": with_shard([b"", []]), "shard of one": with_shard([packs[0]]),
    }
    return document(ABOUT_SHARDED, {
        "index": [
            _index("no packs", "a root alone", RAW, {}),
            _index("one", "a blob in a pack", RAW, {packs[0]: {_sha(b"x"): (96, 3)}}),
            _index("many", "blobs sorted by their digests", DAG_PB, {packs[0]: many}),
            _index("mixed", "packs and blobs of two hash functions, sorted by digest alone; a pack that is among its blobs, and one without", DAG_PB,
                   mixed),
        ],
        "wrong": [{"name": name, "car": car} for name, car in wrong.items()],
    })
