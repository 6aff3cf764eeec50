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


def _check(text: str) -> None:
    require(text.startswith("//"), "address", "no `//` in front")
    require("{" not in text and "}" not in text, "view", "the state of a client")


def _split(text: str) -> tuple[list[str], list[str] | None]:
    """Names of a coordinate, and those behind `|`, or nothing where there is none."""
    headers.check_part(text)
    _check(text)
    parts = text[2:].split("/")
    # In the place of a name it is a name, and no good one.
    if "|" not in parts[2:]:
        return parts, None
    at = parts.index("|", 2)
    return parts[:at], parts[at + 1 :]


def _selector(parts: list[str], known: dict[tuple[str, ...], str]) -> str:
    shape: tuple[str, ...] = ()
    for part in parts:
        due = [longer[len(shape)] for longer in known if longer[: len(shape)] == shape and len(longer) > len(shape)]
        if shape == ():
            require(part in due, "selector", part)
            shape = (part,)
            continue
        require(due != [], "selector", "/".join(parts))
        if due[0] == "tai":
            require(tai.is_tai(part), "tai", part)
        else:
            texts.payload(part, due[0])
        shape = (*shape, due[0])
    return known[shape]


def _coordinate(names: list[str]) -> None:
    require(len(names) >= 3, "no-location", "/".join(names))
    headers.check_name(names[0])
    headers.check_name(names[1])
    headers.check_location("/".join(names[2:]))


def parse(text: str) -> Address:
    """An address of one packet."""
    if text.startswith("////"):
        texts.payload(text[4:])
        return Address("hash", (text[4:],), text)
    trimmed = text if text == "//" else text.removesuffix("/")
    names, selector = _split(trimmed)
    _coordinate(names)
    kind = _selector(selector or [], GET)
    coordinate = (names[0], names[1], "/".join(names[2:]))
    # `|` alone names the same as the coordinate by itself.
    return Address(kind, (*coordinate, *(selector or [])), trimmed.removesuffix("/|"))


def parse_list(text: str) -> Address:
    """An address of what is to be listed."""
    _check(text)
    require(text.endswith("/"), "no-list", "no `/` at the end")
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
