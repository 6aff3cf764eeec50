#!/usr/bin/env python3
"""Makes the test vectors of `tests/vectors`. The same bytes come out of every run."""

import argparse
from pathlib import Path

from carstone_vectors import blocks, hppr, index_records, layers, manifests, multi, packs, parity, segments, streams

FILES = {
    "checks.toml": layers.checks,
    "container.toml": layers.containers,
    "frames.toml": layers.all_frames,
    "position.toml": layers.positions,
    "encryption.toml": streams.encryptions,
    "compression.toml": streams.compressions,
    "records.toml": blocks.all_records,
    "unixfs.toml": blocks.trees,
    "envelope.toml": blocks.envelopes,
    "multi_index.toml": multi.indexes,
    "store_index.toml": segments.segments,
    "index_records.toml": index_records.records,
    "pack_manifest.toml": manifests.manifests,
    "sharded_index.toml": index_records.sharded_indexes,
    "hppr.toml": hppr.vectors,
    "parity.toml": parity.parities,
}


def main() -> None:
    """Write all files into the given folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    out = parser.parse_args().out
    (out / "packs").mkdir(parents=True, exist_ok=True)
    for name, make in FILES.items():
        (out / name).write_text(make(), encoding="utf-8")
    items = packs.made()
    for item in items:
        (out / "packs" / f"{item.name}.cstone").write_bytes(item.data)
    (out / "packs.toml").write_text(packs.listing_file(items), encoding="utf-8")


if __name__ == "__main__":
    main()
