"""Heals a stream of which nothing moved (format, section 14.7): cells are looked for at their places only, and nothing is corrected from its CRC."""

import hashlib
from dataclasses import replace

from blake3 import blake3

from carstone_format.errors import require

from .layout import DESCRIPTOR_KIND, HEADER, RECOVERY_KIND, TABLE_KIND, Layout
from .reed_solomon import Code
from .write import MAGIC, entry, padded

Frames = dict[tuple[int, int, int], bytes]


def frames(parity: bytes) -> dict[bytes, Frames]:
    """The payloads of all sound frames, wherever they lie: by protection id, then kind and the two numbers."""
    found: dict[bytes, Frames] = {}
    at = parity.find(MAGIC)
    while at >= 0:
        head, sums = parity[at : at + 32], parity[at + 32 : at + HEADER]
        if len(sums) == 16 and head[4] == 1 and head[6] < 64:
            payload = parity[at + HEADER : at + HEADER + (1 << head[6])]
            if entry(head + payload) == sums:
                first, second = (int.from_bytes(head[part : part + 4], "little") for part in (24, 28))
                found.setdefault(head[8:24], {})[head[5], first, second] = payload
        at = parity.find(MAGIC, at + 1)
    return found


def stated(payload: bytes) -> tuple[Layout, bytes, bytes]:
    """What a descriptor says: the layout and both hashes of the stream."""
    length = int.from_bytes(payload[:8], "little")
    cell, share, recovery, copies = (int.from_bytes(payload[at : at + 4], "little") for at in range(8, 24, 4))
    layout = replace(Layout.of(length, share), recovery=recovery, copies=copies)
    require(cell == layout.cell, "mismatch", "14.1", f"cells of {cell} bytes in a stream of {length}")
    return layout, payload[64:96], payload[96:]


def heal(damaged: bytes, parity: bytes) -> bytes:
    """The stream. `Broken` where the damage is too large."""
    sound = frames(parity)
    require(len(sound) == 1, "foreign", "14.7", f"{len(sound)} protection ids")
    ((_, by_number),) = sound.items()
    payload = next((data for (kind, _, _), data in by_number.items() if kind == DESCRIPTOR_KIND), None)
    require(payload is not None, "missing", "14.5", "no descriptor is left")
    layout, stream_blake3, stream_sha256 = stated(payload)

    cells: dict[int, bytes] = {}
    for group, (shards, checks) in enumerate(layout.tables()):
        table = _whole(shards, checks, TABLE_KIND, group, by_number, {})
        for at, number in enumerate(layout.group_cells(group)):
            cell = padded(damaged[: layout.length][number * layout.cell : (number + 1) * layout.cell], layout.cell)
            if entry(cell) == table[16 * at : 16 * at + 16]:
                cells[number] = cell
    for zone in range(layout.zones):
        own = layout.zone_cells(zone)
        left = {at: cells[number] for at, number in enumerate(own) if number in cells}
        whole = _whole(len(own), layout.recovery, RECOVERY_KIND, zone, by_number, left)
        cells |= {number: whole[at * layout.cell : (at + 1) * layout.cell] for at, number in enumerate(own)}
    stream = b"".join(cells[number] for number in range(layout.cells))[: layout.length]
    hashes = blake3(stream).digest(), hashlib.sha256(stream).digest()
    require(hashes == (stream_blake3, stream_sha256), "content", "14.7", "the hashes of the healed stream")
    return stream


def _whole(originals: int, recoveries: int, kind: int, row: int, sound: Frames, left: dict[int, bytes]) -> bytes:
    """All originals of a code. Those of a table stand among the frames, those of a zone are given in `left`."""
    first = originals if kind == TABLE_KIND else 0
    if kind == TABLE_KIND:
        left = {at: sound[kind, row, at] for at in range(originals) if (kind, row, at) in sound}
    others = {at: sound[kind, row, first + at] for at in range(recoveries) if (kind, row, first + at) in sound}
    require(len(left) + len(others) >= originals, "missing", "14.7", f"{originals - len(left)} shards of a code, {len(others)} recoveries")
    left = left | Code(originals, recoveries).restore(left, others)
    return b"".join(left[at] for at in range(originals))
