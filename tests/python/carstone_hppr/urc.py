"""Addresses: `////<hash>`, coordinates, and what follows `|`."""

from dataclasses import dataclass

from . import headers, tai, texts
from .errors import require


@dataclass(frozen=True)
class Address:
    """What an address names: a `kind`, its parts, and its text without what does not count."""

    kind: str
    parts: tuple[str, ...]
    text: str


# What may follow `|`, and the kind that the address then has.
GET = {
    (): "tip",
    ("plex",): "plex",
    ("plex", "tai"): "plex-at",
    ("plex", "tai", "P"): "plex-version",
    ("seal",): "seal",
    ("seal", "V"): "signer",
    ("seal", "V", "tai"): "signer-at",
    ("seal", "V", "tai", "S"): "seal-version",
}
LIST = {
    (): "selectors",
    ("plex",): "plex-tais",
    ("plex", "tai"): "plex-hashes",
    ("seal",): "signers",
    ("seal", "V"): "signer-tais",
    ("seal", "V", "tai"): "seal-hashes",
}


def _split(text: str) -> tuple[list[str], list[str] | None]:
    """Names of a coordinate, and those behind `|`, or nothing where there is none."""
    headers.check_part(text)
    require("{" not in text and "}" not in text, "address", "the state of a client")
    require(text.startswith("//"), "address", "no `//` in front")
    parts = text[2:].split("/")
    if "|" not in parts:
        return parts, None
    at = parts.index("|")
    return parts[:at], parts[at + 1 :]


def _selector(parts: list[str], known: dict[tuple[str, ...], str]) -> str:
    shape = tuple(_shape(part, index) for index, part in enumerate(parts))
    require(shape in known, "address", "/".join(parts))
    return known[shape]


def _shape(part: str, index: int) -> str:
    if index == 0:
        return part
    if tai.is_tai(part):
        return "tai"
    return part[0] if texts.is_typed(part, "PSV") else "?"


def _coordinate(names: list[str]) -> None:
    require(len(names) >= 3, "address", "no location")
    headers.check_name(names[0])
    headers.check_name(names[1])
    headers.check_location("/".join(names[2:]))


def parse(text: str) -> Address:
    """An address of one packet."""
    if text.startswith("////"):
        require(texts.is_typed(text[4:]), "address", "no hash text")
        return Address("hash", (text[4:],), text)
    trimmed = text.removesuffix("/")
    names, selector = _split(trimmed)
    _coordinate(names)
    kind = _selector(selector or [], GET)
    coordinate = (names[0], names[1], "/".join(names[2:]))
    # `|` alone names the same as the coordinate by itself.
    return Address(kind, (*coordinate, *(selector or [])), trimmed.removesuffix("/|"))


def parse_list(text: str) -> Address:
    """An address of what is to be listed."""
    require(text.endswith("/"), "address", "no `/` at the end")
    if text == "//":
        return Address("groups", (), text)
    names, selector = _split(text.removesuffix("/"))
    if selector is not None:
        _coordinate(names)
        return Address(_selector(selector, LIST), (names[0], names[1], "/".join(names[2:]), *selector), text)
    headers.check_name(names[0])
    if len(names) > 1:
        headers.check_name(names[1])
    if len(names) > 2:
        headers.check_location("/".join(names[2:]))
    kind = {1: "apps", 2: "locations"}.get(len(names), "children")
    return Address(kind, (*names[:2], *(["/".join(names[2:])] if len(names) > 2 else [])), text)
