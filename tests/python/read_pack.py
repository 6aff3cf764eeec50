#!/usr/bin/env python3
"""Reads a carstone pack strictly: every layer, every block, every rule of `docs/format.md`.

Exit status 0: the pack is right. 1: a rule does not hold, and one line names it. 2: usage.
"""

import argparse
import json
from pathlib import Path
import sys

from carstone_format import age, listing
from carstone_format.errors import Broken
from carstone_format.pack import KeySource, Pack, open_pack


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pack", type=Path)
    key = parser.add_mutually_exclusive_group()
    key.add_argument("--identity", type=Path, metavar="FILE", help="age identity file")
    key.add_argument("--passphrase", metavar="TEXT", help="passphrase of an scrypt envelope")
    key.add_argument("--key", metavar="HEX", help="the content key itself")
    parser.add_argument("--offset", type=int, default=0, help="where in the file the pack starts")
    parser.add_argument("--list", action="store_true", help="print kind, mode, mtime, size, SHA-256, path")
    parser.add_argument("--extract", type=Path, metavar="DIR", help="write the tree into an empty folder")
    parser.add_argument("--json", action="store_true", help="print all of it as JSON")
    return parser.parse_args()


def key_source(args: argparse.Namespace) -> KeySource | None:
    """How to get the content key."""
    if args.key:
        given = bytes.fromhex(args.key)
        return lambda _envelope: given
    if args.identity:
        identities = age.parse_identities(args.identity.read_text())
        return lambda envelope: age.content_key(envelope, identities=identities)
    if args.passphrase is not None:
        return lambda envelope: age.content_key(envelope, passphrase=args.passphrase)
    return None


def show(pack: Pack, args: argparse.Namespace) -> None:
    """Print and extract what was asked for."""
    if args.json:
        print(json.dumps(listing.describe(pack), indent=1))
    elif args.list:
        for entry in listing.entries(pack):
            print(listing.line(entry))
    else:
        print(f"{args.pack}: right, {len(pack.walk.kept())} entries, root {pack.far.tree.root.cid}")
    if args.extract:
        listing.extract(pack, args.extract)


def main() -> int:
    """Read, report, exit."""
    args = arguments()
    try:
        pack = open_pack(args.pack.read_bytes()[args.offset :], key_source(args))
    except Broken as broken:
        print(f"{args.pack}: {broken}", file=sys.stderr)
        return 1
    show(pack, args)
    return 0


if __name__ == "__main__":
    sys.exit(main())
