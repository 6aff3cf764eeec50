"""Whole packs and the listing that a reader must give for them."""

from dataclasses import dataclass
import hashlib
from typing import Any

from carstone_format import age, container, fastcdc, listing, unixfs
from carstone_format.car import encode_section
from carstone_format.checks import seeded
from carstone_format.cid import RAW, cid_of
from carstone_format.compression import BROTLI, STORED, ZSTD, Plan
from carstone_format.pack import KeySource, Pack, open_pack
from carstone_format.pack_writer import CarWriter, Source, Stack
from carstone_format.records import ABANDONED, BATCH, CHANGED, DIRECTORY, END, FILE, HARD_LINK, RESUME, SYMLINK

from . import blocks
from .layers import CONTENT_KEY, Case, outcome
from .streams import text
from .toml import document

MIB = 1_048_576
TIME = {"s": 1_700_000_000, "n": 123_456_789}


def directory(path: bytes, **more: Any) -> Source:
    """A directory with all metadata."""
    return Source({"k": DIRECTORY, "p": path, "m": 0o755, "u": 1000, "g": 100, "U": b"user", "G": b"users", **TIME, **more})


def file(path: bytes, content: bytes, **more: Any) -> Source:
    """A file."""
    return Source({"k": FILE, "p": path, "m": 0o644, **TIME, **more}, content)


def symlink(path: bytes, target: bytes) -> Source:
    """A symlink."""
    return Source({"k": SYMLINK, "p": path, "l": target, **TIME})


def hard_link(path: bytes, target: bytes) -> Source:
    """A hard link."""
    return Source({"k": HARD_LINK, "p": path, "l": target})


def small_tree() -> list[Source]:
    """One of everything that fits into a batch."""
    return [
        directory(b"", m=0o700),
        directory(b"empty"),
        file(b"empty.txt", b""),
        file(b"a.txt", b"hello, pack\n", u=0, g=0),
        file(b"b/duplicate.txt", b"hello, pack\n", m=0o4755),
        file(b"b/c/deep.bin", seeded("deep", 1000), s=-5, n=1),
        symlink(b"b/dangling", b"../nowhere/at all"),
        symlink(b"z-link", b"a.txt"),
        hard_link(b"hard", b"b/c/deep.bin"),
        file(b"attributes", b"x", x=[[b"user.comment", b"note"], [b"user.empty", b""]]),
        file(b"latin-\xe9.txt", b"not UTF-8\n"),
        file(b"line\nbreak", b"newline\n"),
        directory(b"dir-\xff"),
        file(b"dir-\xff/inside.txt", b"below a name that is not UTF-8\n"),
        file("\u00fcml\u00e4ut \u65e5\u672c".encode(), b"UTF-8\n"),
    ]


def writer(name: str, manifest_page: int = 65_536, index_page: int = 65_536) -> CarWriter:
    """A CAR writer whose pack id follows from the name."""
    return CarWriter(seeded(f"pack {name}", 16), manifest_page, index_page)


def seal(car: CarWriter, stack: Stack) -> bytes:
    """Finish a pack."""
    return stack.wrap(car, car.finish())


@dataclass(frozen=True)
class Made:
    """A pack and how it opens."""

    name: str
    why: str
    data: bytes
    how: dict[str, Any]

    def key(self) -> KeySource | None:
        """The content key source."""
        return (lambda _envelope: CONTENT_KEY) if self.how else None


def _tree(name: str, big: bytes | None, stack: Stack, why: str, **how: Any) -> Made:
    car = writer(name)
    car.batch(small_tree())
    if big is not None:
        car.long(file(b"big.bin", big))
    return Made(name, why, seal(car, stack), how)


def long_files(name: str, stack: Stack, why: str, **how: Any) -> Made:
    """Resume records every 4 MiB, references to earlier leaves, a long file of no bytes."""
    car = writer(name)
    first = text("first", 9 * MIB + MIB // 2)
    car.batch(small_tree())
    car.long(file(b"long.txt", first))
    car.long(file(b"again.txt", first))
    mixed = first[: 2 * MIB] + text("new", 2 * MIB) + first[3 * MIB : 4 * MIB] + text("end", 77)
    car.long(file(b"mixed.txt", mixed))
    car.long(file(b"repeat.txt", bytes(3 * MIB)))
    car.long(file(b"empty-stream", b""))
    car.long(file(b"short-stream", b"a leaf that is the root, and has an end record\n"))
    car.long(file(b"long-\xff", text("first", 2 * MIB)))
    return Made(name, why, seal(car, stack), how)


def interleaved(name: str) -> Made:
    """Files written side by side, an abandoned one, one that changed, and things to be ignored."""
    car = writer(name)
    car.next_id = 5_000_000_000  # Ids are unique; they need not start at 0 nor grow.
    one, two = text("one", 7 * MIB), text("two", 3 * MIB + 5)
    a = car.open_long(file(b"one", one, z=7 * MIB))
    car.write_long(a, one[: 2 * MIB])
    b = car.open_long(file(b"two", two))
    car.write_long(b, two[:MIB])
    car.batch([file(b"between", b"a batch while two files are open\n", future=[1, 2]), directory(b"d")])
    car.record(99, {"note": "an unknown record type is skipped"})
    car.write_long(a, one[2 * MIB :])
    car.end_long(a)
    car.next_id = 40
    lost = car.open_long(file(b"lost", b""))
    car.write_long(lost, text("lost", MIB))
    car.write_long(b, two[MIB:])
    car.end_long(b, CHANGED)
    car.end_long(lost, ABANDONED)
    car.batch([file(b"after", b"the last entry\n")])
    data = seal(car, Stack(Plan(BROTLI, 5, MIB)))
    return Made(name, "interleaved files, an abandoned and a changed one, unknown keys and types", data, {})


def wide(name: str) -> Made:
    """A HAMT directory, and manifest and index trees of several levels."""
    car = writer(name, manifest_page=4096, index_page=512)
    sources = [file(f"wide/a file with a name of medium length {at:05}.txt".encode(), b"%d" % (at % 500))
               for at in range(4000)]
    for at in range(0, len(sources), 512):
        car.batch(sources[at : at + 512])
    data = seal(car, Stack(Plan(BROTLI, 5, 262_144)))
    return Made(name, "a sharded directory; manifest and index trees of several levels", data, {})


def other_settings(name: str) -> Made:
    """Leaves of several lengths, narrow trees, shards of small directories: readers depend on none of these."""
    car = writer(name)
    car.profile = unixfs.Profile(width=3, shard=("entries", 4), fanout=16)
    car.batch(small_tree())
    content = seeded("content-defined", 120_000)
    cut = car.open_long(file(b"cut.bin", content))
    for chunk in fastcdc.chunks(content, 16_384):
        car.write_long(cut, chunk)
    car.end_long(cut)
    shifted = car.open_long(file(b"shifted.bin", b"!" + content))
    for chunk in fastcdc.chunks(b"!" + content, 16_384):
        car.write_long(shifted, chunk)
    car.end_long(shifted)
    car.chunk = 5 * MIB
    car.long(file(b"large leaves.txt", text("large leaves", 6 * MIB)))
    car.long(file(b"large leaf.txt", text("large leaf", 3 * MIB)))
    return Made(name, "another chunker, width, threshold and fanout", seal(car, Stack(Plan(BROTLI, 5))), {})


def made() -> list[Made]:
    """All packs."""
    key = {"content_key": CONTENT_KEY}
    age_key = {"identity": age.identity(blocks.SECRET), **key}
    passphrase = {"passphrase": blocks.PASSPHRASE, **key}
    random = seeded("big.bin", MIB + 200_000)
    empty = writer("empty")
    plain = _tree("plain", random, Stack(Plan(STORED, 0, 262_144)), "stored blocks of 256 KiB")
    appendices = b"".join(container.encode_appendix(kind, seeded("binding", 16), bytes(kind)) for kind in (77, 0))
    short = _tree("appendices", None, Stack(Plan(STORED, 0, 65_536)), "two unknown appendices behind the trailer")
    return [
        Made("empty", "no entries: the root directory alone", seal(empty, Stack(Plan(STORED))), {}),
        _tree("bare", None, Stack(), "the position layer alone"),
        plain,
        Made(short.name, short.why, short.data + appendices, {}),
        long_files("brotli", Stack(Plan(BROTLI, 5)), "brotli; resume records, references, runs"),
        long_files("zstd", Stack(Plan(ZSTD, 3, 65_536)), "zstd in blocks of 64 KiB"),
        interleaved("interleaved"),
        wide("wide"),
        other_settings("other-settings"),
        _tree("encrypted", random, Stack(None, CONTENT_KEY), "encryption alone, empty envelope", **key),
        long_files("encrypted-age", Stack(Plan(BROTLI, 5), CONTENT_KEY, blocks.envelope()),
                   "encryption over brotli, age envelope", **age_key),
        _tree("passphrase", None, Stack(Plan(ZSTD, 19), CONTENT_KEY, blocks.scrypt_envelope()),
              "encryption over zstd, scrypt envelope", **passphrase),
    ]


def _entry(pack: Pack, entry: Any) -> Case:
    described = listing.describe_entry(entry)
    linked = unixfs.is_text(entry.path)
    described["in_directory"] = linked
    if "xattrs_hex" in described:
        described["xattrs_hex"] = [list(pair) for pair in described["xattrs_hex"]]
    return described


def describe(item: Made) -> Case:
    """The listing of a pack, from reading it."""
    pack = open_pack(item.data, item.key())
    entries = listing.entries(pack)
    shown = entries if len(entries) < 200 else entries[:3] + entries[-3:]
    return {"name": item.name, "why": item.why, "file": f"packs/{item.name}.cstone", **item.how,
            "stored_length": len(item.data), "pack_id": pack.container.pack_id,
            "layers": [layer.id for layer in pack.container.layers], "appendices": pack.appendices,
            "car_length": len(pack.car), "tail_position": pack.walk.tail[0].position, "far_start": pack.far.start,
            "content_sections": len(pack.walk.content), "announced": len(pack.walk.entries),
            "content_size": pack.far.tail["z"], "root": str(pack.far.tree.root.cid), "entry_count": len(entries),
            "entry": [_entry(pack, entry) for entry in shown]}


def broken_cars() -> list[tuple[str, str, bytes]]:
    """Packs without a framed layer whose CAR stream breaks a rule of the format."""
    packs = []

    def add(name: str, why: str, fill: Any, far: Any = None) -> None:
        car = writer(f"broken {name}")
        fill(car)
        stream = car.finish() if far is None else far(car)
        packs.append((name, why, Stack().wrap(car, stream)))

    def flip_block(car: CarWriter) -> bytes:
        stream = bytearray(car.finish())
        stream[bytes(stream).index(b"hello, pack")] ^= 1
        return bytes(stream)

    leaf = unixfs.leaf(b"missing")

    def long_with(z: int, **more: Any) -> Any:
        def fill(car: CarWriter) -> None:
            car.batch([file(b"a", b"a")])
            entry = car.next_id
            car.record(BATCH, {"i": entry, "e": [{"k": FILE, "p": b"long"}]})
            content = b"some content"
            car.block(cid_of(RAW, content), content)
            car.record(END, {"i": entry, "p": b"long", "z": z, "c": cid_of(RAW, content),
                             "h": hashlib.sha256(content).digest(), **more})
        return fill

    add("block hash", "a block does not hash to its CID", lambda car: car.batch(small_tree()), flip_block)
    add("missing leaf", "the leaf of a whole file never comes",
        lambda car: car.record(BATCH, {"i": 0, "e": [{"k": FILE, "p": b"a", "c": leaf.cid, "z": 7}]}))
    add("wrong size", "z of a whole file", lambda car: (
        car.record(BATCH, {"i": 0, "e": [{"k": FILE, "p": b"a", "c": leaf.cid, "z": 8}]}), car.block(leaf.cid, b"missing")))
    add("same id twice", "an id stands for one entry", lambda car: (
        car.record(BATCH, {"i": 5, "e": [{"k": DIRECTORY, "p": b"a"}]}),
        car.record(BATCH, {"i": 5, "e": [{"k": DIRECTORY, "p": b"b"}]})))
    add("empty batch", "1 to 512 entries", lambda car: car.record(BATCH, {"i": 0, "e": []}))
    add("hard link to later", "the target stands earlier", lambda car: car.record(
        BATCH, {"i": 0, "e": [{"k": HARD_LINK, "p": b"a", "l": b"b", "j": 1}, {"k": FILE, "p": b"b", "c": leaf.cid, "z": 7}]}))
    add("long file in company", "a file without c is alone", lambda car: car.record(
        BATCH, {"i": 0, "e": [{"k": FILE, "p": b"a"}, {"k": DIRECTORY, "p": b"b"}]}))
    add("no end record", "every file without c has one", lambda car: car.record(
        BATCH, {"i": 0, "e": [{"k": FILE, "p": b"a"}]}))
    add("resume of nothing", "the entry is not announced", lambda car: car.record(RESUME, {"i": 3, "o": 0}))
    add("end with other size", "z", long_with(11))
    add("end with other SHA-256", "h", long_with(12, h=bytes(32)))
    add("end with other root", "c", long_with(12, c=leaf.cid))
    add("end with other path", "p", long_with(12, p=b"other"))
    add("not in the directory", "a long file that directory nodes and manifest leave out", long_with(12))
    add("CAR header", "another root list", lambda car: None,
        lambda car: b"\x11\xa2\x65roots\x81\x67version\x01" + car.finish()[18:])
    add("cut section", "the stream stops inside a section", lambda car: car.batch(small_tree()),
        lambda car: car.finish()[:-1])
    add("padded varint", "shortest form only", lambda car: None, lambda car: car.finish() + b"\x81\x00\x00")
    add("behind the tail", "the tail record is the last section", lambda car: None,
        lambda car: car.finish() + encode_section(cid_of(RAW, b"x"), b"x"))
    return packs


def listing_file(items: list[Made]) -> str:
    """`packs.toml`."""
    broken = [{"name": name, "why": why, "expect": _expect(data), "bytes": data} for name, why, data in broken_cars()]
    about = """Whole packs and their entries. `content_key`, `identity`, `passphrase`: each opens the pack.
Paths: `path` is escaped for reading, `path_hex` counts. `in_directory`: whether the directory nodes hold the entry.
Where `entry_count` is larger than the number of entries listed, the first three and last three are listed.
`broken` are packs of the position layer alone whose CAR stream breaks a rule."""
    return document(about, {"pack": [describe(item) for item in items], "broken": broken})


def _expect(data: bytes) -> str:
    return outcome(lambda: open_pack(data))


