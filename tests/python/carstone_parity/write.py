"""Parity of a stream (format, sections 14.2, 14.3 and 14.5)."""

import hashlib
from functools import lru_cache
from typing import Callable, Iterator

from blake3 import blake3

from carstone_format.checks import crc64
from carstone_parity.code import Code
from carstone_parity.layout import DESCRIPTOR_KIND, TABLE_KIND, Layout

MAGIC = b"\xf5CSP"


@lru_cache(maxsize=4096)
def entry(cell: bytes) -> bytes:
    """The 16 bytes that stand for a cell."""
    return crc64(cell).to_bytes(8, "little") + blake3(cell).digest(length=8)


def frame(kind: int, identity: bytes, first: int, second: int, payload: bytes) -> bytes:
    """One frame."""
    head = MAGIC + bytes([1, kind, len(payload).bit_length() - 1, 0]) + identity
    head += first.to_bytes(4, "little") + second.to_bytes(4, "little")
    return head + entry(head + payload) + payload


def padded(data: bytes, length: int) -> bytes:
    """The data and zeros behind it."""
    return data + bytes(length - len(data))


class Parity:
    """The parity of a stream: frames by what they are."""

    def __init__(self, stream: bytes, share: int, identity: bytes) -> None:
        self.layout = layout = Layout.of(len(stream), share)
        self._identity = identity
        cell = layout.cell
        self._cells = lambda number: padded(stream[number * cell : (number + 1) * cell], cell)
        self._blake3, self._sha256 = blake3(stream).digest(), hashlib.sha256(stream).digest()
        self._tables = [self._table(group, *counts) for group, counts in enumerate(layout.tables())]

    def frames(self, recoveries: "Callable[[int, int], bytes] | None" = None) -> Iterator[bytes]:
        """All frames in their order; `recoveries` gives a cell by zone and number where it is known without a sum."""
        made: dict[int, list[bytes]] = {}
        for kind, first, second in self.layout.order():
            if kind == DESCRIPTOR_KIND:
                payload = self.descriptor()
            elif kind == TABLE_KIND:
                payload = self._tables[first][second]
            elif recoveries:
                payload = recoveries(first, second)
            else:
                if first not in made:
                    made[first] = self.recovery(first, None)
                payload = made[first][second]
            yield frame(kind, self._identity, first, second, payload)

    def recovery(self, zone: int, wanted: "list[int] | None") -> list[bytes]:
        """Recovery cells of a zone, all or those of these numbers."""
        cells = [self._cells(number) for number in self.layout.zone_cells(zone)]
        return Code(len(cells), self.layout.recovery).recover(cells, wanted)

    def descriptor(self) -> bytes:
        """The payload of the descriptor."""
        layout = self.layout
        numbers = (layout.cell, layout.share, layout.recovery, layout.copies)
        head = layout.length.to_bytes(8, "little") + b"".join(number.to_bytes(4, "little") for number in numbers)
        return padded(head, 64) + self._blake3 + self._sha256

    def _table(self, group: int, shards: int, checks: int) -> list[bytes]:
        """The table shards and the check shards of a group."""
        cell = self.layout.cell
        entries = b"".join(entry(self._cells(number)) for number in self.layout.group_cells(group))
        entries = padded(entries, shards * cell)
        originals = [entries[at : at + cell] for at in range(0, len(entries), cell)]
        return originals + Code(shards, checks).recover(originals)


def parity(stream: bytes, share: int, identity: bytes) -> bytes:
    """The bytes of a whole parity."""
    return b"".join(Parity(stream, share, identity).frames())
