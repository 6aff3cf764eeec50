"""The Reed–Solomon code by interpolation (format, section 14.3)."""

from .field import Shard, Sum, lagrange


class Code:
    """A code of so many originals and recoveries: which point of the field each has."""

    def __init__(self, originals: int, recoveries: int) -> None:
        self.block = 1 << (min(originals, recoveries) - 1).bit_length()
        self.many_originals = originals >= recoveries
        first, second = (self.block, 0) if self.many_originals else (0, self.block)
        self.originals = range(first, first + originals)
        self.recoveries = range(second, second + recoveries)

    def recover(self, originals: list[bytes], wanted: list[int] | None = None) -> list[bytes]:
        """The recoveries (all, or those of these numbers) of the originals."""
        points = self.recoveries if wanted is None else [self.recoveries[number] for number in wanted]
        shards = {data: Shard(data) for data in set(originals) if any(data)}
        return [self._value(point, originals, shards) for point in points]

    def _value(self, at: int, originals: list[bytes], shards: dict[bytes, Shard]) -> bytes:
        """The sum of the polynomials through each block of originals, at a point. Equal originals are multiplied once."""
        factors = dict.fromkeys(shards, 0)
        for begin in range(0, len(originals), self.block):
            block = originals[begin : begin + self.block]
            if not any(data in shards for data in block):
                continue
            first = self.originals[begin]
            for weight, data in zip(lagrange(tuple(range(first, first + self.block)), at), block):
                if data in shards:
                    factors[data] ^= weight
        total = Sum(len(originals[0]))
        for data, factor in factors.items():
            total.add(factor, shards[data])
        return total.bytes()

    def restore(self, originals: dict[int, bytes], recoveries: dict[int, bytes]) -> dict[int, bytes]:
        """The originals that are missing, from as many recoveries. `KeyError` where there are too few."""
        missing = [number for number in range(len(self.originals)) if number not in originals]
        if not missing:
            return {}
        if len(recoveries) < len(missing):
            raise KeyError(f"{len(missing)} are missing, {len(recoveries)} recoveries are left")
        used = dict(list(recoveries.items())[: len(missing)])
        known = {self.originals[number]: Shard(data) for number, data in originals.items()}
        known |= {self.recoveries[number]: Shard(data) for number, data in used.items()}
        length = len(next(iter(used.values())))
        made = self._from_unknown if self.many_originals else self._from_known
        return made([self.originals[number] for number in missing], known, length)

    def _from_known(self, missing: list[int], known: dict[int, Shard], length: int) -> dict[int, bytes]:
        """Few originals: one polynomial goes through all points, and the empty places of the block are zeros."""
        empty = range(self.originals.stop, self.block)
        points = (*known, *empty)
        found = {}
        for at in missing:
            total = Sum(length)
            for weight, shard in zip(lagrange(points, at), known.values()):
                total.add(weight, shard)
            found[at - self.originals.start] = total.bytes()
        return found

    def _from_unknown(self, missing: list[int], known: dict[int, Shard], length: int) -> dict[int, bytes]:
        """Many originals: the values at all 65,536 points are orthogonal to each polynomial of a degree below the block, so also to the one that is 0 at all
        unknown points but one."""
        unknown = (*missing, *(point for point in range(self.block) if point not in known))
        weights = {point: lagrange(unknown, point) for point in known}
        found = {}
        for number, at in enumerate(missing):
            total = Sum(length)
            for point, shard in known.items():
                total.add(weights[point][number], shard)
            found[at - self.originals.start] = total.bytes()
        return found
