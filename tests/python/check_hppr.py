#!/usr/bin/env python3
"""Walks an HPPR repository: every file, hash, signature, reference, index entry and tip.

Exit status 0: all is right. 1: there are findings, a line each. 2: usage.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
import sys

from carstone_hppr.walk import Report, walk


def described(report: Report) -> dict[str, object]:
    """The report as JSON."""
    return {
        "findings": [asdict(found) for found in report.findings],
        "notes": [asdict(found) for found in report.notes],
        "packets": sorted(report.packets),
        "entries": report.entries,
        "tips": report.tips,
        "to_collect": sorted(report.detached),
    }


def main() -> int:
    """Walk, report, exit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("repo", type=Path)
    parser.add_argument("--json", action="store_true", help="print all of it as JSON")
    args = parser.parse_args()
    if not args.repo.is_dir():
        parser.error(f"{args.repo} is no directory")
    report = walk(args.repo)
    if args.json:
        print(json.dumps(described(report), indent=1, ensure_ascii=False))
    else:
        for found in report.findings:
            print(f"{found.name}: {found.path}: {found.detail}")
    told = f"{len(report.packets)} packets, {report.entries} index entries, {report.tips} tips"
    print(f"{args.repo}: {told}, {len(report.findings)} findings, {len(report.notes)} notes", file=sys.stderr)
    return 1 if report.findings else 0


if __name__ == "__main__":
    sys.exit(main())
