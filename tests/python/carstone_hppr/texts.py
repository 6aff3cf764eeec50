"""Typed texts: `T.<b64a>.H3`."""

from . import b64a
from .errors import Bad, require

KINDS = "BPS"
LENGTH = 48


def typed(letter: str, payload: bytes) -> str:
    """The text of 32 bytes."""
    require(len(payload) == 32, "payload", f"{len(payload)} bytes")
    return f"{letter}.{b64a.encode(payload)}.H3"


def payload(text: str, letters: str = KINDS) -> bytes:
    """The 32 bytes of a typed text, whose letter is one of `letters`."""
    require(len(text) == LENGTH and len(text.encode()) == LENGTH, "hash-text", f"{len(text)} characters")
    require(text[1] == "." and text.endswith(".H3"), "hash-text", text)
    try:
        found = b64a.decode(text[2:45])
    except Bad as bad:
        raise Bad("hash-text", bad.detail, 2 + bad.at) from bad
    require(text[0] in letters, "type", f"{text[0]!r} is none of {letters}")
    return found


def is_typed(text: str, letters: str = KINDS) -> bool:
    """Whether it is a typed text with one of these letters."""
    try:
        payload(text, letters)
    except Bad:
        return False
    return True
