"""How a stream is cut, how much parity it gets, and in which order its frames stand (format, sections 14.1, 14.4 and 14.6)."""

from dataclasses import dataclass
from typing import Iterator

from carstone_format.errors import require

HEADER = 48
DESCRIPTOR = 128
DESCRIPTOR_KIND, TABLE_KIND, RECOVERY_KIND = 1, 2, 3


def cell_length(length: int) -> int:
    """S of a stream of this length."""
    for limit, cell in ((1024, 64), (16384, 256), (524288, 1024), (4194304, 2048), (2**35, 4096)):
        if length < limit:
            return cell
    for k in range(1, 9):
        if length < 2 ** (35 + k):
            return 4096 << k
    require(False, "length", "14.1", f"a stream of {length} bytes is not protected")
    raise AssertionError


def _up(dividend: int, divisor: int) -> int:
    return -(-dividend // divisor)


@dataclass(frozen=True)
class Layout:
    """All numbers of a stream's parity."""

    length: int  # N
    share: int  # P
    cell: int  # S
    cells: int  # n
    zones: int  # Z
    groups: int  # G
    recovery: int  # R
    copies: int  # D

    @staticmethod
    def of(length: int, share: int) -> "Layout":
        """The layout that a writer takes."""
        require(100 <= share <= 10_000, "share", "14.4", f"{share} hundredths of a percent")
        cell = cell_length(length)
        cells = _up(length, cell)
        zones = _up(cells, min(14336, 58720256 // cell))
        groups = max(1, zones // 10) if cells else 0
        bare = Layout(length, share, cell, cells, zones, groups, 0, 0)
        budget, frame = length * share // 10_000, HEADER + cell
        copies = min(64, max(2, _up(budget, 16 * frame)))
        recovery = 0
        if cells:
            left = budget - (HEADER + DESCRIPTOR) * copies - frame * bare.table_frames()
            largest = max(_up(len(bare.group_cells(group)), bare.first_zone(group + 1) - bare.first_zone(group)) for group in range(groups))
            recovery = min(max(left // (zones * frame), 1), largest)
        return Layout(length, share, cell, cells, zones, groups, recovery, copies)

    def first_zone(self, group: int) -> int:
        """z(g)."""
        return group * self.zones // self.groups

    def group_cells(self, group: int) -> range:
        """The cells of a group."""
        first, end = self.first_zone(group), self.first_zone(group + 1)
        return range(first * self.cells // self.zones, end * self.cells // self.zones)

    def zone_cells(self, zone: int) -> range:
        """The cells of a zone."""
        group = next(group for group in range(self.groups) if zone < self.first_zone(group + 1))
        first, end = self.first_zone(group), self.first_zone(group + 1)
        return self.group_cells(group)[zone - first :: end - first]

    def tables(self) -> list[tuple[int, int]]:
        """K and C of each group."""
        shards = [_up(16 * len(self.group_cells(group)), self.cell) for group in range(self.groups)]
        return [(count, _up(count, 2)) for count in shards]

    def table_frames(self) -> int:
        """T."""
        return sum(shards + checks for shards, checks in self.tables())

    def order(self) -> Iterator[tuple[int, int, int]]:
        """The frames of the parity in their order: kind, and the two numbers of its header."""
        tables = self.tables()
        deepest = max((shards + checks for shards, checks in tables), default=0)
        table = ((TABLE_KIND, group, shard) for shard in range(deepest) for group in range(self.groups) if shard < sum(tables[group]))
        recovery = ((RECOVERY_KIND, zone, number) for number in range(self.recovery) for zone in range(self.zones))
        t, a = self.table_frames(), self.zones * self.recovery + self.table_frames()
        copy = 0
        for place in range(a + 1):
            while copy < self.copies and copy * a // (self.copies - 1) == place:
                yield DESCRIPTOR_KIND, copy, 0
                copy += 1
            if place < a:
                yield next(table) if (place + 1) * t // a > place * t // a else next(recovery)

    def frame_length(self, kind: int) -> int:
        """The bytes of a frame of this kind."""
        return HEADER + (DESCRIPTOR if kind == DESCRIPTOR_KIND else self.cell)

    def parity_length(self) -> int:
        """The bytes of all frames."""
        frames = self.zones * self.recovery + self.table_frames()
        return self.copies * self.frame_length(DESCRIPTOR_KIND) + frames * self.frame_length(TABLE_KIND)
