"""What `read_pack.py` prints and extracts."""

import os
from pathlib import Path
from typing import Any

from .pack import Pack
from .records import DIRECTORY, FILE, HARD_LINK, SYMLINK
from .unixfs import components, depth_of
from .walk import Entry

KINDS = {FILE: "file", DIRECTORY: "dir", SYMLINK: "symlink", HARD_LINK: "hardlink"}


def entries(pack: Pack) -> list[Entry]:
    """The entries that were kept, by path."""
    return sorted(pack.walk.kept(), key=lambda entry: components(entry.path))


def line(entry: Entry) -> str:
    """One line: kind, mode, mtime, size, SHA-256, path."""
    fields = entry.fields
    mode = f"{fields['m']:04o}" if "m" in fields else "-"
    time = f"{fields['s']}.{fields.get('n', 0):09d}" if "s" in fields else "-"
    has_content = entry.kind in (FILE, HARD_LINK) and entry.sha256 is not None
    size = str(entry.size) if has_content else "-"
    digest = entry.sha256.hex() if has_content else "-"
    target = f" -> {escape(fields['l'])}" if "l" in fields else ""
    return f"{KINDS[entry.kind]} {mode} {time} {size} {digest} {escape(entry.path)}{target}"


def escape(name: bytes) -> str:
    """A name on one line."""
    text = name.decode("utf-8", "surrogateescape")
    return "".join(char if char.isprintable() and char != "\\" else _escape(char) for char in text)


def _escape(char: str) -> str:
    raw = char.encode("utf-8", "surrogateescape")
    return "\\\\" if char == "\\" else "".join(f"\\x{byte:02x}" for byte in raw)


def describe(pack: Pack) -> dict[str, Any]:
    """The pack as a JSON value. Byte strings are hexadecimal."""
    return {
        "pack_id": pack.container.pack_id.hex(),
        "layers": [layer.id for layer in pack.container.layers],
        "appendices": pack.appendices,
        "frames": pack.frames,
        "root": str(pack.far.tree.root.cid),
        "sections": len(pack.walk.content),
        "content_size": pack.far.tail["z"],
        "entries": [describe_entry(entry) for entry in entries(pack)],
    }


def describe_entry(entry: Entry) -> dict[str, Any]:
    """An entry as a JSON value."""
    fields = entry.fields
    value: dict[str, Any] = {"kind": KINDS[entry.kind], "path": escape(entry.path), "path_hex": entry.path.hex()}
    names = {"m": "mode", "s": "mtime", "n": "nanos", "u": "uid", "g": "gid"}
    value |= {name: fields[key] for key, name in names.items() if key in fields}
    value |= {name: fields[key].hex() for key, name in (("U", "user_hex"), ("G", "group_hex"), ("l", "target_hex"))
              if key in fields}
    if "x" in fields:
        value["xattrs_hex"] = [[name.hex(), content.hex()] for name, content in fields["x"]]
    if entry.sha256 is not None:
        value |= {"size": entry.size, "sha256": entry.sha256.hex()}
    if entry.link is not None:
        value["cid"] = str(entry.link.cid)
    return value


def extract(pack: Pack, target: Path) -> None:
    """Write the tree below `target`, which must not exist or be empty. Links come last, so nothing follows them."""
    target.mkdir(parents=True, exist_ok=True)
    if any(target.iterdir()):
        raise FileExistsError(f"{target} is not empty")
    base = os.fsencode(target)
    kept = entries(pack)
    for entry in kept:
        parent = os.path.join(base, *components(entry.path)[:-1])
        os.makedirs(parent, exist_ok=True)
        path = os.path.join(base, *components(entry.path))
        if entry.kind == DIRECTORY:
            os.makedirs(path, exist_ok=True)
        elif entry.kind == FILE:
            with open(path, "xb") as file:
                file.writelines(entry.content())
            _restore(path, entry)
    for entry in kept:
        if entry.kind == SYMLINK:
            path = os.path.join(base, *components(entry.path))
            os.symlink(entry.fields["l"], path)
            _restore(path, entry)
    for entry in kept:
        if entry.kind == HARD_LINK:
            target_path = os.path.join(base, *components(entry.fields["l"]))
            os.link(target_path, os.path.join(base, *components(entry.path)), follow_symlinks=False)
    for entry in sorted(kept, key=lambda entry: -depth_of(entry.path)):
        if entry.kind == DIRECTORY:
            _restore(os.path.join(base, *components(entry.path)), entry)


def _restore(path: bytes, entry: Entry) -> None:
    """Mode, extended attributes and time, as far as the system allows."""
    fields = entry.fields
    for name, value in fields.get("x", []):
        try:
            os.setxattr(path, name, value, follow_symlinks=False)
        except (OSError, AttributeError):
            pass
    if "m" in fields and entry.kind != SYMLINK:
        os.chmod(path, fields["m"])
    if "s" in fields:
        nanos = fields["s"] * 1_000_000_000 + fields.get("n", 0)
        os.utime(path, ns=(nanos, nanos), follow_symlinks=False)
