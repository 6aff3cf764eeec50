"""B64A: Base64 whose texts sort as their bytes do."""

from .errors import require

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~"
VALUES = {symbol: value for value, symbol in enumerate(ALPHABET)}


def encode(data: bytes) -> str:
    """The text of `data`: groups of six bits, the last one filled up with zeros."""
    bits = "".join(f"{byte:08b}" for byte in data)
    bits += "0" * (-len(bits) % 6)
    return "".join(ALPHABET[int(bits[at : at + 6], 2)] for at in range(0, len(bits), 6))


def decode(text: str) -> bytes:
    """The bytes of a text; only what `encode` makes is accepted."""
    require(len(text) % 4 != 1, "b64a-length", f"{len(text)} symbols", len(text))
    for at, symbol in enumerate(text):
        require(symbol in VALUES, "b64a-symbol", repr(symbol), at)
    bits = "".join(f"{VALUES[symbol]:06b}" for symbol in text)
    whole = len(bits) // 8 * 8
    require("1" not in bits[whole:], "b64a-bits", "bits that are not part of a byte", len(text) - 1)
    return bytes(int(bits[at : at + 8], 2) for at in range(0, whole, 8))
