#!/usr/bin/env python3
"""Reads a parity file and the stream beside it, damaged or not, and heals it; the parity must be what a writer makes.

Cells are looked for at their places only, and nothing is corrected from its CRC. Exit status 0: all is right, or healed.
1: a rule does not hold or the damage is too large, and one line says so. 2: usage.
"""

import argparse
from pathlib import Path
import sys

from carstone_format.errors import Broken, require
from carstone_parity.heal import frames, heal, stated
from carstone_parity.layout import DESCRIPTOR_KIND
from carstone_parity.write import parity


def read(stream: bytes, data: bytes) -> bytes:
    """The healed stream. Where the parity is not damaged, it is made once more."""
    healed = heal(stream, data)
    ((identity, sound),) = frames(data).items()
    layout, _, _ = stated(next(payload for (kind, _, _), payload in sound.items() if kind == DESCRIPTOR_KIND))
    if len(sound) == len(list(layout.order())):
        require(parity(healed, layout.share, identity) == data, "mismatch", "14", "a writer makes another parity of this stream")
    return healed


def main() -> int:
    """Read, heal, exit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stream", type=Path)
    parser.add_argument("parity", type=Path)
    parser.add_argument("-o", "--output", type=Path, help="where the healed stream goes")
    args = parser.parse_args()
    try:
        healed = read(args.stream.read_bytes(), args.parity.read_bytes())
    except Broken as broken:
        print(f"{args.parity}: {broken}", file=sys.stderr)
        return 1
    if args.output:
        args.output.write_bytes(healed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
