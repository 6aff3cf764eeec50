"""carstone's records: maps in DAG-CBOR that carry the pack id (format section 7.1)."""

from typing import Any

from . import dagcbor
from .car import Section
from .cid import DAG_CBOR, SHA2_256, Cid, cid_of
from .errors import Newer, require

BATCH, RESUME, END, MANIFEST, INDEX, TAIL = 1, 2, 3, 4, 5, 6
FILE, DIRECTORY, SYMLINK, HARD_LINK = 0, 1, 2, 3
MAX_ENTRIES = 512
MAX_CONTENT = 1_048_576
MAX_RECORD = 1_048_576
MAX_PAGE = 262_144
MAX_PATH = 65_535
MAX_REFERENCES = 1024
MAX_RUNS = 8192
RESUME_BYTES = 4_194_304
CHANGED, ABANDONED = 1, 2


def encode(pack_id: bytes, record_type: int, fields: dict[str, Any]) -> tuple[Cid, bytes]:
    """The block of a record."""
    data = dagcbor.encode({"#": pack_id, "t": record_type, "v": 1, **fields})
    return cid_of(DAG_CBOR, data), data


def is_record(section: Section, pack_id: bytes) -> bool:
    """Whether a section is a record of this pack; all others are content."""
    cid, data = section.cid, section.data
    if (cid.version, cid.codec, cid.hash) != (1, DAG_CBOR, SHA2_256) or not data:
        return False
    head = 1 if 0xA3 <= data[0] <= 0xB7 else 2 if data[0] == 0xB8 else 0
    mark = b"\x61\x23\x50" + pack_id
    return head > 0 and data[head : head + len(mark)] == mark


def decode(section: Section) -> dict[str, Any]:
    """The map of a record."""
    where = f"record at {section.position}"
    require(len(section.data) <= MAX_RECORD, "limit", "1", f"{where}: {len(section.data)} bytes")
    fields = dagcbor.decode(section.data)
    require_known(fields, where)
    require(is_uint(fields.get("t")), "record", "7.1", f"{where}: type")
    if fields.get("v") != 1 and BATCH <= fields["t"] <= TAIL:
        raise Newer("7.1", f"{where}: version {fields.get('v')}")
    return fields


def require_known(fields: dict[str, Any], where: str) -> None:
    """Refuse keys that must be understood."""
    for key in fields:
        if key.startswith("!"):
            raise Newer("7.1", f"{where}: key {key!r}")


def is_uint(value: Any) -> bool:
    """Whether a decoded value is an unsigned integer."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def check_entry(entry: Any, where: str) -> None:
    """Check one entry of a batch by itself."""
    require(isinstance(entry, dict), "entry", "7.2", f"{where}: not a map")
    require_known(entry, where)
    kind = entry.get("k")
    require(is_uint(kind) and kind <= HARD_LINK, "entry", "7.2", f"{where}: kind {kind}")
    check_path(entry.get("p"), where)
    for key, ours in (("c", kind == FILE), ("z", kind == FILE), ("l", kind >= SYMLINK), ("j", kind == HARD_LINK)):
        require(ours or key not in entry, "entry", "7.2", f"{where}: key {key} in kind {kind}")
    require(kind < SYMLINK or isinstance(entry.get("l"), bytes), "entry", "7.2", f"{where}: no link target")
    require(kind != HARD_LINK or is_uint(entry.get("j")), "entry", "7.2", f"{where}: hard link without id")
    require("c" not in entry or ("z" in entry and isinstance(entry["c"], Cid)), "entry", "7.2", f"{where}: c")
    for key in ("g", "u", "z", "m", "n"):
        require(key not in entry or is_uint(entry[key]), "entry", "7.2", f"{where}: key {key}")
    for key in ("G", "U"):
        require(isinstance(entry.get(key, b""), bytes), "entry", "7.2", f"{where}: key {key}")
    require(entry.get("m", 0) <= 0o7777, "entry", "7.2", f"{where}: mode")
    require(1 <= entry.get("n", 1) <= 999_999_999, "entry", "7.2", f"{where}: nanoseconds")
    seconds = entry.get("s", 0)
    require(isinstance(seconds, int) and not isinstance(seconds, bool), "entry", "7.2", f"{where}: seconds")
    _check_xattrs(entry.get("x", []), where)


def _check_xattrs(pairs: Any, where: str) -> None:
    shaped = isinstance(pairs, list) and all(
        isinstance(pair, list) and len(pair) == 2 and all(isinstance(part, bytes) for part in pair) for pair in pairs
    )
    require(shaped, "entry", "7.2", f"{where}: extended attributes")
    names = [pair[0] for pair in pairs]
    require(names == sorted(set(names)), "entry", "7.2", f"{where}: extended attributes out of order")


def check_path(path: Any, where: str) -> None:
    """Check the form of a path."""
    require(isinstance(path, bytes), "path", "7.2", f"{where}: no path")
    require(len(path) <= MAX_PATH, "limit", "1", f"{where}: path of {len(path)} bytes")
    require(b"\0" not in path, "path", "7.2", f"{where}: NUL in {path!r}")
    parts = path.split(b"/") if path else []
    require(all(part not in (b"", b".", b"..") for part in parts), "path", "7.2", f"{where}: {path!r}")
