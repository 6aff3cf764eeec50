#!/usr/bin/env python3
"""Reads a stream of HPPR packets, or a CAR of them, and prints the hash of each, outermost first.

Exit status 0: all is right. 1: a rule does not hold, and one line names it. 2: usage.
"""

import argparse
from pathlib import Path
import sys

from carstone_format.errors import Broken
from carstone_hppr import car, trailer
from carstone_hppr.errors import Bad
from carstone_hppr.packet import Packet, Plex, Seal, parse_stream


def hashes(found: Packet) -> list[str]:
    """Hash texts of a packet and of those in it."""
    if isinstance(found, Seal):
        return [found.hash, *hashes(found.plex)]
    return [found.hash, found.blob.hash] if isinstance(found, Plex) else [found.hash]


FORMS = {"stream": parse_stream, "car": car.decode, "trailer": lambda data: [trailer.decode(data)]}


def main() -> int:
    """Read, print, exit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--form", choices=FORMS, default="stream")
    args = parser.parse_args()
    try:
        for found in FORMS[args.form](args.file.read_bytes()):
            print(" ".join(hashes(found)))
    except (Bad, Broken) as bad:
        print(f"{args.file}: {bad}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
