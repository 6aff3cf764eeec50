#!/usr/bin/env python3
"""Makes an HPPR repository with all kinds of packets in an empty directory, and prints what is in it as JSON."""

import argparse
import json
from pathlib import Path

from carstone_hppr.build import build, packets


def main() -> None:
    """Make the repository."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("repo", type=Path)
    parser.add_argument("--copied", action="store_true", help="tips are files in place of links")
    parser.add_argument("--bare", action="store_true", help="thin files start without their markline")
    parser.add_argument("--stream", type=Path, metavar="FILE", help="write the packets that were stored, one behind the other")
    args = parser.parse_args()
    args.repo.mkdir(parents=True, exist_ok=True)
    if any(args.repo.iterdir()):
        parser.error(f"{args.repo} is not empty")
    print(json.dumps(build(args.repo, not args.copied, not args.bare), indent=1, ensure_ascii=False))
    if args.stream:
        args.stream.write_bytes(b"".join(found.encode() for found in packets()))


if __name__ == "__main__":
    main()
