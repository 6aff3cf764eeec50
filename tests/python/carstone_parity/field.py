"""GF(2^16) as numbers in the Cantor basis, and shards of it (format, section 14.3)."""

from functools import lru_cache

POLYNOMIAL = 0x1002D
BASIS = (
    0x0001, 0xACCA, 0x3C0E, 0x163E, 0xC582, 0xED2E, 0x914C, 0x4012,
    0x6C98, 0x10D8, 0x6A72, 0xB900, 0xFDB8, 0xFB34, 0xFF38, 0x991E,
)  # fmt: skip
ORDER = 65535  # of the multiplicative group


def _tables() -> tuple[list[int], list[int]]:
    """Powers of the element x, and their exponents; both in the Cantor basis. The powers are written twice."""
    element = [0]  # by number: the polynomial's coefficients
    for base in BASIS:
        element += [base ^ other for other in element]
    number = [0] * 65536
    for at, bits in enumerate(element):
        number[bits] = at
    power, exponent, bits = [0] * (2 * ORDER), [0] * 65536, 1
    for at in range(ORDER):
        power[at] = power[at + ORDER] = number[bits]
        exponent[number[bits]] = at
        bits <<= 1
        if bits >> 16:
            bits ^= POLYNOMIAL
    return power, exponent


_POWER, _EXPONENT = _tables()


def lagrange(points: tuple[int, ...], at: int) -> list[int]:
    """What the value at each of the points counts in the value at another point, of the polynomial through all of them."""
    if at in points:
        return [int(point == at) for point in points]
    above = sum(_EXPONENT[at ^ point] for point in points)
    return [_POWER[(above - _EXPONENT[at ^ point] - below) % ORDER] for point, below in zip(points, _below(points))]


@lru_cache(maxsize=1024)
def _below(points: tuple[int, ...]) -> list[int]:
    """The exponents of the divisors in Lagrange's formula."""
    return [sum(_EXPONENT[point ^ other] for other in points if other != point) for point in points]


class Sum:
    """A growing sum of shards, each times an element."""

    def __init__(self, length: int) -> None:
        self._length = length
        self._low = self._high = 0

    def add(self, factor: int, shard: "Shard") -> None:
        """Adds `factor` times the shard."""
        if factor == 0:
            return
        if factor == 1:
            self._low ^= int.from_bytes(shard.low)
            self._high ^= int.from_bytes(shard.high)
            return
        log = _EXPONENT[factor]
        of_low = [0] + [_POWER[log + _EXPONENT[byte]] for byte in range(1, 256)]
        of_high = [0] + [_POWER[log + _EXPONENT[byte << 8]] for byte in range(1, 256)]
        for part, table in ((shard.low, of_low), (shard.high, of_high)):
            self._low ^= int.from_bytes(part.translate(bytes(value & 255 for value in table)))
            self._high ^= int.from_bytes(part.translate(bytes(value >> 8 for value in table)))

    def bytes(self) -> bytes:
        """The sum as the bytes of a shard."""
        low, high = self._low.to_bytes(self._length // 2), self._high.to_bytes(self._length // 2)
        rows = range(0, self._length // 2, 32)
        return b"".join(low[at : at + 32] + high[at : at + 32] for at in rows)


class Shard:
    """The symbols of a shard: in each 64 bytes, the low bytes of 32 symbols, then their high bytes."""

    def __init__(self, data: bytes) -> None:
        rows = range(0, len(data), 64)
        self.low = b"".join(data[at : at + 32] for at in rows)
        self.high = b"".join(data[at + 32 : at + 64] for at in rows)
