"""Vectors of records, UnixFS trees and key envelopes."""

from typing import Any

from carstone_format import age, dagcbor, fastcdc, records, unixfs
from carstone_format.car import Section
from carstone_format.checks import seeded
from carstone_format.cid import DAG_CBOR, SHA2_256, cid_of
from carstone_format.errors import require
from carstone_format.records import BATCH, END, INDEX, MANIFEST, RESUME, TAIL

from .layers import CONTENT_KEY, PACK_ID, Case, outcome
from .toml import document


def _read_record(data: bytes) -> None:
    section = Section(0, cid_of(DAG_CBOR, data), data, len(data))
    require(records.is_record(section, PACK_ID), "content", "7.1", "not a record of this pack")
    fields = records.decode(section)
    for entry in fields.get("e", []) if fields["t"] == BATCH else []:
        records.check_entry(entry, "entry")


def _record(name: str, why: str, data: bytes) -> Case:
    return {"name": name, "why": why, "expect": outcome(lambda: _read_record(data)), "bytes": data,
            "cid": str(cid_of(DAG_CBOR, data))}


def _made(name: str, why: str, record_type: int, fields: dict[str, Any]) -> Case:
    return _record(name, why, records.encode(PACK_ID, record_type, fields)[1])


def _batch(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"i": 0, "e": list(entries)}


def good_records() -> list[Case]:
    """One and more of each type."""
    leaf = unixfs.leaf(b"hello").cid
    root = unixfs.build_file([unixfs.leaf(bytes(unixfs.CHUNK)), unixfs.leaf(b"x")]).root.cid
    meta = {"m": 0o644, "s": 1_700_000_000, "n": 5, "u": 1000, "g": 100, "U": b"user", "G": b"group"}
    return [
        _made("whole file", "all metadata", BATCH, _batch({"k": 0, "p": b"a", "c": leaf, "z": 5, **meta})),
        _made("all kinds", "in one batch", BATCH, {"i": 7, "e": [
            {"k": 1, "p": b"dir", "m": 0o755}, {"k": 0, "p": b"dir/f", "c": leaf, "z": 5},
            {"k": 2, "p": b"dir/link", "l": b"f"}, {"k": 3, "p": b"dir/hard", "j": 8, "l": b"dir/f"}]}),
        _made("root directory", "an empty path", BATCH, _batch({"k": 1, "p": b"", "m": 0o700})),
        _made("before 1970", "negative seconds", BATCH, _batch({"k": 1, "p": b"d", "s": -1, "n": 999_999_999})),
        _made("extended attributes", "sorted by name", BATCH,
              _batch({"k": 1, "p": b"d", "x": [[b"user.a", b"1"], [b"user.b", b""]]})),
        _made("not UTF-8", "paths are bytes", BATCH, _batch({"k": 1, "p": b"\xff\n\\"})),
        _made("long file", "no c: the leaves follow", BATCH, _batch({"k": 0, "p": b"big"})),
        _made("resume", "offset 4 MiB", RESUME, {"i": 3, "o": 4_194_304}),
        _made("resume with references", "leaves that stand earlier", RESUME, {"i": 3, "o": 0, "r": [[leaf, 5], [leaf, 5]]}),
        _made("end", "", END, {"i": 3, "p": b"big", "c": root, "h": seeded("h", 32), "z": 1_048_577}),
        _made("end, source changed", "flag bit 0", END,
              {"i": 3, "p": b"big", "c": root, "h": seeded("h", 32), "z": 1_048_577, "f": 1}),
        _made("end, abandoned", "flag bit 1: no c, no h", END, {"i": 3, "p": b"big", "z": 1_048_576, "f": 2}),
        _made("manifest leaf", "a whole file, a long file, a hard link, an implied directory", MANIFEST, {"l": 0, "e": [
            {"k": 1, "p": b"", "r": [0, 900]}, {"k": 0, "p": b"a", "z": 5, "b": 18, "i": 0, "r": [0, 100]},
            {"k": 0, "p": b"b", "z": 1_048_577, "b": 200, "i": 1, "h": seeded("h", 32), "r": [0, 300, 1_048_576, 100]},
            {"k": 3, "p": b"c", "l": b"a", "b": 18, "i": 2, "r": []}]}),
        _made("manifest parent", "", MANIFEST, {"l": 1, "e": [[b"", 1000], [b"m", 70_000]]}),
        _made("index leaf", "P = 2, W = 3", INDEX, {"l": 0, "n": 2, "w": 3, "d": bytes.fromhex("0001120000ffee345601")}),
        _made("index parent", "P = 2", INDEX, {"l": 1, "n": 2, "w": 3, "d": bytes.fromhex("0001e803000000000000")}),
        _made("tail", "", TAIL, {"b": 9, "e": 4, "m": 5000, "r": [root], "s": 0, "x": 6000, "z": 1_048_582}),
        _made("unknown key", "ignored", RESUME, {"i": 1, "o": 0, "zz": [1, {"a": None}]}),
        _made("unknown type", "skipped", 99, {"a": 1}),
        _made("many keys", "a map head of two bytes: b8 and a count", RESUME,
              {"i": 1, "o": 0, **{f"k{n:02}": n for n in range(30)}}),
    ]


def bad_records() -> list[Case]:
    """Records a reader refuses, and blocks that are content."""
    good = records.encode(PACK_ID, RESUME, {"i": 1, "o": 0})[1]
    other = records.encode(seeded("other pack id", 16), RESUME, {"i": 1, "o": 0})[1]
    directory = {"k": 1, "p": b"d"}
    cases = [
        _record("other pack id", "content, not a record", other),
        _record("no pack id", "content, not a record", dagcbor.encode({"t": 2, "v": 1, "i": 1, "o": 0})),
        _record("bytes behind", "one value and nothing else", good + b"\0"),
        _record("long integer", "not of the shortest form: 1 as 18 01", good[:-1] + b"\x18\x01"),
        _record("keys out of order", "v before t", good.replace(b"\x61t\x02\x61v\x01", b"\x61v\x01\x61t\x02")),
        _record("cut", "one byte short", good[:-1]),
        _made("must be understood", "a key that starts with !", RESUME, {"i": 1, "o": 0, "!x": 1}),
        _made("must be understood, in an entry", "a key that starts with !", BATCH, _batch({**directory, "!acl": 1})),
    ]
    version = records.encode(PACK_ID, RESUME, {"i": 1, "o": 0})[1].replace(b"\x61v\x01", b"\x61v\x02")
    cases.append(_record("version 2", "of a known type", version))
    for name, path in (("dot dot", b"a/../b"), ("dot", b"./a"), ("absolute", b"/a"), ("empty component", b"a//b"),
                       ("trailing slash", b"a/"), ("NUL", b"a\0b")):
        cases.append(_made(f"path: {name}", "path components", BATCH, _batch({"k": 1, "p": path})))
    for name, entry in (("mode", {"m": 0o10000}), ("nanoseconds 0", {"n": 0}), ("nanoseconds", {"n": 10**9}),
                        ("target of a directory", {"l": b"x"}), ("c of a directory", {"c": unixfs.leaf(b"").cid, "z": 0}),
                        ("attributes unsorted", {"x": [[b"b", b""], [b"a", b""]]}), ("mode as bytes", {"m": b"x"})):
        cases.append(_made(f"entry: {name}", "refused", BATCH, _batch({**directory, **entry})))
    cases.append(_made("entry: c without z", "a whole file has both", BATCH,
                       _batch({"k": 0, "p": b"a", "c": unixfs.leaf(b"").cid})))
    cases.append(_made("entry: symlink without target", "l is required", BATCH, _batch({"k": 2, "p": b"a"})))
    return cases


def all_records() -> str:
    """`records.toml`."""
    about = f"""Records, as blocks. The pack id is {PACK_ID.hex()}.
`expect`: `ok`; `content` for a block that is no record of this pack; else the name of the error."""
    return document(about, {"record": good_records() + bad_records()})


def _file_tree(name: str, length: int, chunk: int) -> Case:
    data = seeded("unixfs file", length)
    leaves = [unixfs.leaf(data[at : at + chunk]) for at in range(0, length, chunk)] or [unixfs.leaf(b"")]
    built = unixfs.build_file(leaves)
    small = len(built.nodes) == 1 and len(built.nodes[0].data) < 1000
    return {"name": name, "label": "unixfs file", "length": length, "chunk": chunk, "leaves": len(leaves),
            "nodes": len(built.nodes), "cid": str(built.root.cid), "total": built.root.total,
            "root_node": built.nodes[0].data if small else None}


def _directory(name: str, why: str, names: list[bytes], prefix: str | None = None) -> Case:
    link = unixfs.leaf(b"hello")
    built = unixfs.build_directory({item: link for item in names})
    described: Case = {"names": names} if prefix is None else {"prefix": prefix, "count": len(names)}
    return {"name": name, "why": why, **described, "blocks": len(built.nodes), "cid": str(built.root.cid),
            "total": built.root.total, "root_node": built.nodes[-1].data if len(built.nodes[-1].data) < 2000 else None}


def trees() -> str:
    """`unixfs.toml`."""
    mib = unixfs.CHUNK
    files = [_file_tree(*row) for row in (
        ("empty", 0, mib), ("one byte", 1, mib), ("one chunk", mib, mib), ("one chunk and a byte", mib + 1, mib),
        ("two and a half chunks", 2 * mib + mib // 2, mib), ("1,024 leaves", 4096, 4), ("1,025 leaves", 4097, 4),
        ("2,049 leaves", 8193, 4))]
    links = []
    for target in (b"target", b"../a/b", b"\xff"):
        link, node = unixfs.symlink(target)
        links.append({"target": target, "node": node.data, "cid": str(link.cid), "total": link.total})
    long = "a-rather-long-file-name-of-sixty-four-bytes-to-fill-the-node-"
    below = _threshold(long)
    directories = [
        _directory("empty", "no links", []),
        _directory("three", "links are sorted bytewise", [b"b", b"a", "\u00e9".encode()]),
        _directory("largest basic", "the last node that is not above 262,144 bytes", _names(long, below), long),
        _directory("smallest sharded", "one entry more", _names(long, below + 1), long),
        _directory("sharded", "several levels", _names(long, 20_000), long),
    ]
    about = """UnixFS trees, profile unixfs-v1-2025 where nothing else is said. `total` is the Tsize of a link to the root.
Files: `length` bytes seeded from `label`, cut into leaves of `chunk` bytes, width 1,024.
Directories: every name links to the raw leaf of `hello`; `prefix` and `count` stand for the names prefix000000,
prefix000001, and so on.
`other_file`, `other_symlink`, `other_directory`: the same under other settings. `leaves` and `nodes` count blocks. Here names
of directories link to the file of `hello` under the same settings. `function`: the multihash code of another hash than sha2-256.
`chunks`: where content that is seeded from `label` is cut."""
    return document(about, {"file": files, "symlink": links, "directory": directories} | _other_trees() | {"chunks": _chunks()})


_SETTINGS = {
    "unixfs-v0-2015": unixfs.V0_2015,
    "v0, narrow": unixfs.Profile(0, False, 3, ("entries", 20), 256),
    "v0 over raw leaves": unixfs.Profile(0, True, 4, ("node-bytes", 500), 64),
    "v1 over dag-pb leaves": unixfs.Profile(1, False, 4, ("link-bytes", 800), 8),
    "v1, 1,024 ways": unixfs.Profile(1, True, 2, ("entries", 2), 1024),
    "sha2-512": unixfs.Profile(1, True, 4, ("node-bytes", 2000), 16, 0x13),
    "blake3 in place of v0": unixfs.Profile(0, False, 3, ("link-bytes", 800), 256, 0x1E),
}


def _settings(name: str) -> Case:
    profile = _SETTINGS[name]
    return {"settings": name, "cid_version": profile.cid_version, "leaf": "raw" if profile.raw_leaves else "dag-pb",
            "width": profile.width, "shard_by": profile.shard[0], "shard_above": profile.shard[1], "fanout": profile.fanout,
            "function": None if profile.function == SHA2_256 else profile.function}


def _other_trees() -> dict[str, list[Case]]:
    files, symlinks, directories = [], [], []
    for name, profile in _SETTINGS.items():
        chunk = 262_144 if name == "unixfs-v0-2015" else 10
        for length in (0, 1, chunk - 1, chunk, chunk + 1, 3 * chunk, 3 * chunk + 1, 4 * chunk, 9 * chunk + 5, 30 * chunk):
            data = seeded("unixfs file", length)
            leaves = [unixfs.wrapped_leaf(profile, data[at : at + chunk])[0] for at in range(0, max(length, 1), chunk)]
            built = unixfs.build_file(leaves, profile)
            files.append(_settings(name) | {"label": "unixfs file", "length": length, "chunk": chunk, "leaves": len(leaves),
                                            "nodes": len(built.nodes), "cid": str(built.root.cid), "total": built.root.total})
        link, node = unixfs.symlink(b"../target", profile)
        symlinks.append(_settings(name) | {"target": b"../target", "node": node.data, "cid": str(link.cid), "total": link.total})
        hello = unixfs.wrapped_leaf(profile, b"hello")[0]
        counts = (0, 2, 3, 4080, 4095, 4096, 4097) if name == "unixfs-v0-2015" else (0, 2, 3, 17, 18, 19, 20, 21, 200, 3000)
        # Names of 30 bytes: 4,096 links of 64 bytes are exactly the threshold of unixfs-v0-2015.
        prefix = "thirty-bytes-of-a-name--" if name == "unixfs-v0-2015" else "f"
        for count in counts:
            built = unixfs.build_directory({item: hello for item in _names(prefix, count)}, profile)
            directories.append(_settings(name) | {"prefix": prefix, "count": count, "blocks": len(built.nodes),
                                                  "cid": str(built.root.cid), "total": built.root.total})
    return {"other_file": files, "other_symlink": symlinks, "other_directory": directories}


def _chunks() -> list[Case]:
    rows = []
    for average, length in ((256, 0), (256, 63), (256, 64), (256, 65), (256, 20_000), (1024, 60_000), (4096, 150_000),
                            (65_536, 400_000)):
        data = seeded("chunks", length)
        rows.append({"chunker": f"fastcdc:{average}", "label": "chunks", "length": length,
                     "lengths": [len(chunk) for chunk in fastcdc.chunks(data, average)]})
    zeros = fastcdc.chunks(bytes(10_000), 1024)
    rows.append({"chunker": "fastcdc:1024", "zeros": 10_000, "lengths": [len(chunk) for chunk in zeros]})
    return rows


def _names(prefix: str, count: int) -> list[bytes]:
    return [f"{prefix}{at:06}".encode() for at in range(count)]


def _threshold(prefix: str) -> int:
    """The largest number of names that gives one node."""
    low, high = 1, 10_000
    link = unixfs.leaf(b"hello")
    while low + 1 < high:
        middle = (low + high) // 2
        built = unixfs.build_directory({name: link for name in _names(prefix, middle)})
        low, high = (middle, high) if len(built.nodes) == 1 else (low, middle)
    return low


SECRET = seeded("age identity", 32)
PASSPHRASE = "correct horse battery staple"


def envelope(plain: bytes | None = None, stanzas: list[age.Stanza] | None = None) -> bytes:
    """A key envelope for the identity of the vectors."""
    file_key = seeded("age file key", 16)
    plain = b"\x01" + CONTENT_KEY if plain is None else plain
    stanzas = stanzas or [age.wrap_x25519(file_key, age.public_key(SECRET), seeded("age ephemeral", 32))]
    return age.encrypt(plain, file_key, stanzas, seeded("age nonce", 16))


def scrypt_envelope() -> bytes:
    """A key envelope for the passphrase of the vectors."""
    return envelope(stanzas=[age.wrap_scrypt(seeded("age file key", 16), PASSPHRASE, seeded("age salt", 16), 10)])


def envelopes() -> str:
    """`envelope.toml`."""
    file_key = seeded("age file key", 16)
    other = seeded("other identity", 32)
    ours = age.wrap_x25519(file_key, age.public_key(SECRET), seeded("age ephemeral", 32))
    theirs = age.wrap_x25519(file_key, age.public_key(other), seeded("age ephemeral 2", 32))
    unknown: age.Stanza = (["unknown-type", "argument"], seeded("unknown stanza", 100))
    good = envelope()
    cases = []
    for name, why, data, passphrase in (
        ("x25519", "one recipient", good, None),
        ("two recipients", "the second is ours", envelope(stanzas=[theirs, ours]), None),
        ("unknown recipient", "passed over", envelope(stanzas=[unknown, ours]), None),
        ("passphrase", "scrypt with work factor 10", scrypt_envelope(), PASSPHRASE),
        ("wrong passphrase", "", scrypt_envelope(), "wrong"),
        ("not for us", "another recipient", envelope(stanzas=[theirs]), None),
        ("version byte 2", "the plaintext is 01 and the key", envelope(b"\x02" + CONTENT_KEY), None),
        ("short", "32 bytes", envelope(b"\x01" + CONTENT_KEY[1:]), None),
        ("long", "34 bytes", envelope(b"\x01" + CONTENT_KEY + b"\0"), None),
        ("damaged header", "the MAC fails", good.replace(b"-> X25519", b"-> x a\n\n-> X25519"), None),
        ("damaged payload", "the tag fails", good[:-1] + bytes([good[-1] ^ 1]), None),
    ):
        expect = outcome(lambda: age.content_key(data, identities=[SECRET] if passphrase is None else None,
                                                 passphrase=passphrase))
        cases.append({"name": name, "why": why or None, "expect": expect,
                      "identity": age.identity(SECRET) if passphrase is None else None,
                      "recipient": age.recipient(SECRET) if passphrase is None else None, "passphrase": passphrase,
                      "content_key": CONTENT_KEY if expect == "ok" else None, "bytes": data})
    return document("Key envelopes: binary age v1 files.", {"envelope": cases})
