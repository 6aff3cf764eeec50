"""Vectors of parity: layouts, whole parities, single frames of large ones, and damaged streams."""

import hashlib
from typing import Any, Callable

from carstone_format.checks import seeded
from carstone_format.errors import Broken
from carstone_parity.heal import heal
from carstone_parity.layout import DESCRIPTOR_KIND, HEADER, RECOVERY_KIND, TABLE_KIND, Layout, cell_length
from carstone_parity.write import Parity

from .toml import document

ABOUT = """
Parity. A stream is `length` bytes of one of these:
`seeded`: the first bytes of BLAKE3's extended output for a label (checks.toml);
`repeat`: these bytes again and again, the last time not to their end;
`drawn`: zeros, but in each cell of these numbers `seeded` bytes for the label "cell <number>".

`[[layout]]`: the numbers of section 14.1 and 14.4, or `expect`, where a length or share is refused. `table_frames` is T.
`[[parity]]`: `sha256` is that of the whole parity, which `bytes` has where it is short. A `frame` has the first bytes, and the hash
of a whole frame. Where a parity has no `sha256`, only its frames are known.
`[[heal]]`: a parity by its name; each bit is flipped in the ranges `stream` and `parity` (from byte, to byte, and so on) of
both, so that whole cells and frames are lost. `expect` is `ok` or `missing`.
"""

IDENTITY = seeded("protection id", 16)
LENGTHS = (
    *(0, 1, 63, 64, 65, 127, 128, 129, 1_000, 1_023, 1_024, 1_025, 5_000, 16_383, 16_384, 16_385, 70_000),
    *(2**19 - 1, 2**19, 14_336 * 4_096, 14_336 * 4_096 + 1, 14_336 * 4_096 * 10 + 1, 14_336 * 4_096 * 19 + 1),
    *(2**20 + 1, 2**22 - 1, 2**22, 2**26, 2**26 + 1, 100_000_000, 500_000_000, 2**30 - 4096, 2**30 - 4095, 2**30, 2**30 + 1),
    *(6 * 2**30, 2**35 - 1, 2**35, 2**36 - 1, 2**36, 2**38 + 12_345, 2**40, 2**42 - 1, 2**42, 2**43 - 1),
)  # fmt: skip
SHARES = (100, 333, 1_000, 5_000, 10_000)

Source = dict[str, Any]  # `length`, and `seeded`, `repeat` or `drawn`


def parities() -> str:
    """`parity.toml`."""
    layouts = [_layout(length, share) for length in LENGTHS for share in SHARES]
    layouts += [_refused(*case) for case in ((2**43, 1_000), (2**63 - 1, 1_000), (5_000, 0), (5_000, 99), (5_000, 10_001))]
    sampled, dealt = _sampled()
    rows = [_whole(*case) for case in _small()] + [_sparse(), sampled]
    return document(ABOUT, {"layout": layouts, "parity": rows, "heal": _heals() + dealt})


def _layout(length: int, share: int) -> dict[str, Any]:
    it = Layout.of(length, share)
    return {
        "length": length,
        "share": share,
        "cell_len": it.cell,
        "cells": it.cells,
        "zones": it.zones,
        "groups": it.groups,
        "table_frames": it.table_frames(),
        "descriptors": it.copies,
        "recovery": it.recovery,
        "parity_len": it.parity_length(),
    }


def _refused(length: int, share: int) -> dict[str, Any]:
    try:
        Layout.of(length, share)
    except Broken as broken:
        return {"length": length, "share": share, "expect": broken.name}
    raise AssertionError(f"{length} bytes and a share of {share} are taken")


def _small() -> list[tuple[str, Source, int]]:
    """Whole parities: name, stream, share."""
    lengths = (0, 1, 63, 64, 65, 1_023, 1_024, 5_000, 16_384, 70_000, 2**20 + 1)
    cases = [(f"{length} bytes", {"length": length, "seeded": "parity"}, 1_000) for length in lengths]
    for length, share in ((1, 10_000), (1_023, 10_000), (5_000, 100), (5_000, 5_000), (16_383, 10_000), (70_000, 10_000), (300_000, 3_333)):
        cases.append((f"{length} bytes, {share / 100:g} %", {"length": length, "seeded": "parity"}, share))
    for about, length, repeat in (("zeros", 5_000, b"\0"), ("equal cells", 70_000, b"keystone"), ("cells of period 3", 5_000, seeded("period", 768))):
        cases.append((about, {"length": length, "repeat": repeat}, 2_000))
    return cases


def _reader(source: Source) -> Callable[[int], bytes]:
    """The cells of a stream by their numbers."""
    length = source["length"]
    cell = cell_length(length)
    if "drawn" in source:
        zero, drawn = bytes(cell), frozenset(source["drawn"])
        whole = lambda number: seeded(f"cell {number}", cell) if number in drawn else zero
        return lambda number: whole(number)[: length - number * cell]
    data = _stream(source)
    return lambda number: data[number * cell : (number + 1) * cell]


def _stream(source: Source) -> bytes:
    length = source["length"]
    if "seeded" in source:
        return seeded(source["seeded"], length)
    return (source["repeat"] * (length // len(source["repeat"]) + 1))[:length]


def _head(name: str, source: Source, share: int) -> dict[str, Any]:
    return {"name": name, **source, "share": share, "id": IDENTITY}


def _whole(name: str, source: Source, share: int) -> dict[str, Any]:
    made = Parity(source["length"], _reader(source), share, IDENTITY)
    data = b"".join(made.frames())
    whole = {"parity_len": len(data), "sha256": hashlib.sha256(data).digest()}
    if len(data) <= 1_200:
        return {**_head(name, source, share), **whole, "bytes": data}
    return {**_head(name, source, share), **whole, "frame": _frames(made, _telling(made.layout))}


def _sparse() -> dict[str, Any]:
    """Several zones in two groups, which are not equally long. Each zone has cells that are not empty."""
    numbers = {*range(0, 286_721, 10_487), 1, 136_532, 136_533, 136_534, 286_719, 286_720}
    return _whole("two groups", {"length": 20 * 14_336 * 4_096 + 100, "drawn": sorted(numbers)}, 100)


def _sampled() -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Two zones, one with a cell more than the other; and what heals when each has two recovery cells left."""
    source = {"length": 2**26 + 1, "seeded": "parity"}
    made = Parity(source["length"], _reader(source), 100, IDENTITY)
    layout = made.layout
    row = {**_head("two zones", source, 100), "parity_len": layout.parity_length(), "frame": _frames(made, _telling(layout))}

    left, lost = set(), []
    parity, begin = bytearray(layout.parity_length()), 0
    for at, (kind, first, second) in enumerate(layout.order()):
        if kind != RECOVERY_KIND or second in (0, layout.recovery - 1):
            left.add(at)
        else:
            lost += [begin, begin + layout.frame_length(kind)]
        begin += layout.frame_length(kind)
    for begin, frame in made.some(left):
        parity[begin : begin + len(frame)] = frame
    stream, cell = _stream(source), layout.cell
    heals = []
    for why, end, expect in (("two cells of each zone", 1_005, "ok"), ("three cells of one zone", 1_006, "missing")):
        damage = [1_001 * cell, end * cell]
        healed = _heal("two zones", why, stream, bytes(parity), damage, [])
        assert healed["expect"] == expect
        heals.append({**healed, "parity": lost})
    return row, heals


def _telling(layout: Layout) -> set[int]:
    """The numbers of the frames that are kept: the first descriptors, the last frames, and the ends of what a zone and a group have."""
    tables, wanted = layout.tables(), {(RECOVERY_KIND, zone, number) for zone in (0, layout.zones - 1) for number in (0, layout.recovery - 1)}
    for group in {0, layout.groups - 1} if layout.groups else ():
        shards, checks = tables[group]
        wanted |= {(TABLE_KIND, group, shard) for shard in (0, shards - 1, shards, shards + checks - 1)}
    order = list(layout.order())
    return {0, len(order) // 2, len(order) - 1} | {at for at, frame in enumerate(order) if frame in wanted}


def _frames(made: Parity, wanted: set[int]) -> list[dict[str, Any]]:
    return [
        {"offset": at, "length": len(data), "starts": data[: HEADER + 16], "sha256": hashlib.sha256(data).digest()}
        for at, data in made.some(wanted)
    ]


def _heals() -> list[dict[str, Any]]:
    """Damage up to what the parity can bear, and beyond."""
    rows = []
    for name, source, share in _small():
        length, stream = source["length"], _stream(source)
        made = Parity(length, _reader(source), share, IDENTITY)
        layout, parity = made.layout, b"".join(made.frames())
        if "repeat" in source or layout.cells < layout.recovery + 2 or layout.recovery == 0 or length > 100_000:
            continue
        lost, behind = layout.recovery * layout.cell, layout.cell
        spent = _place(layout, (RECOVERY_KIND, 0, layout.recovery - 1))
        descriptors = [place for copy in range(layout.copies) for place in _place(layout, (DESCRIPTOR_KIND, copy, 0))]
        checks = [place for shard in range(layout.tables()[0][1]) for place in _place(layout, (TABLE_KIND, 0, shard))]
        damages = [
            ("all that can be lost", [behind, behind + lost], []),
            ("a cell more", [0, lost + layout.cell], []),
            ("all, and a recovery cell", [0, lost], spent),
            ("one descriptor is left", [0, lost], descriptors[2:]),
            ("no descriptor is left", [], descriptors),
            ("as many table shards as check shards", [0, lost], checks),
        ]
        if layout.recovery > 1:
            damages.append(("a cell less, and a recovery cell", [0, lost - layout.cell], spent))
        rows += [_heal(name, why, stream, parity, *ranges) for why, *ranges in damages]
    return rows


def _place(layout: Layout, wanted: tuple[int, int, int]) -> list[int]:
    """Where a frame begins and ends."""
    begin = 0
    for frame in layout.order():
        end = begin + layout.frame_length(frame[0])
        if frame == wanted:
            return [begin, end]
        begin = end
    raise AssertionError(f"no frame {wanted}")


def _heal(name: str, why: str, stream: bytes, parity: bytes, in_stream: list[int], in_parity: list[int]) -> dict[str, Any]:
    try:
        assert heal(_flipped(stream, in_stream), _flipped(parity, in_parity)) == stream
        expect = "ok"
    except Broken as broken:
        expect = broken.name
    return {"name": name, "why": why, "stream": in_stream, "parity": in_parity, "expect": expect}


def _flipped(data: bytes, ranges: list[int]) -> bytes:
    changed = bytearray(data)
    for begin, end in zip(ranges[::2], ranges[1::2]):
        changed[begin:end] = bytes(byte ^ 255 for byte in changed[begin:end])
    return bytes(changed)
