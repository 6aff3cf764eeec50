#!/usr/bin/env python3
"""Reads every pack of a vectors folder with its identity, passphrase or key, and compares it with `packs.toml`.

Exit status 0: all packs are right and agree with their listing.
"""

import argparse
from pathlib import Path
import sys
import tomllib
from typing import Any

from carstone_format import age, listing
from carstone_format.errors import Broken
from carstone_format.pack import KeySource, open_pack


def key_source(case: dict[str, Any]) -> KeySource | None:
    """How the case opens: by its envelope where it has one."""
    if "identity" in case:
        identities = age.parse_identities(case["identity"])
        return lambda envelope: age.content_key(envelope, identities=identities)
    if "passphrase" in case:
        return lambda envelope: age.content_key(envelope, passphrase=case["passphrase"])
    if "content_key" in case:
        return lambda _envelope: bytes.fromhex(case["content_key"])
    return None


def difference(case: dict[str, Any], data: bytes) -> str | None:
    """What is wrong with a pack, or nothing."""
    try:
        pack = open_pack(data, key_source(case))
    except Broken as broken:
        return str(broken)
    found = {entry["path_hex"]: entry for entry in listing.describe(pack)["entries"]}
    if len(found) != case["entry_count"]:
        return f"{len(found)} entries, not {case['entry_count']}"
    for expected in case.get("entry", []):
        entry = found.get(expected["path_hex"], {})
        wanted = {key: value for key, value in expected.items() if key != "in_directory"}
        if entry != wanted:
            return f"entry {expected['path']}: {entry}, not {wanted}"
    root = str(pack.far.tree.root.cid)
    return None if root == case["root"] else f"root {root}, not {case['root']}"


def main() -> int:
    """Check all packs of the folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    vectors = tomllib.loads((folder / "packs.toml").read_text(encoding="utf-8"))
    wrong = 0
    for case in vectors["pack"]:
        problem = difference(case, (folder / case["file"]).read_bytes())
        if problem:
            wrong += 1
            print(f"{case['file']}: {problem}", file=sys.stderr)
    print(f"{len(vectors['pack']) - wrong} of {len(vectors['pack'])} packs agree with their listing", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
