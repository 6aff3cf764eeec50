"""The stream form with hashes behind what they cover, for data whose length is not known when it starts."""

import re

from . import headers, hsb3, packet, texts, urc
from .errors import Bad, require
from .packet import Blob, Lines, Packet, Plex, Seal

DOTS = "\u22ef".encode()
MARKER = DOTS + headers.MARK
ESCAPED = re.compile(rb"^((?:" + DOTS + rb")+" + re.escape(headers.MARK) + rb")", re.MULTILINE)
ONE_MORE = re.compile(rb"^" + DOTS + rb"((?:" + DOTS + rb")+" + re.escape(headers.MARK) + rb")", re.MULTILINE)


def _marker(text: str) -> bytes:
    return MARKER + text.encode() + b"\n"


def encode(found: Packet, coordinate: bool = True) -> bytes:
    """The stream form of a packet."""
    announced = address(found) if coordinate else ""
    plex = found.plex if isinstance(found, Seal) else found
    blob = plex.blob if isinstance(plex, Plex) else plex
    stream = _marker(found.kind + (f" {announced}" if announced else ""))
    stream += ESCAPED.sub(DOTS + rb"\1", blob.data) + b"\n" + _marker(blob.hash)
    if isinstance(plex, Plex):
        # An extra header of this name would be taken for the close marker.
        require(all(name != MARKER[:-2].decode() for name, _ in plex.extras), "trailer", "a header that is a marker")
        stream += plex.header_lines() + _marker(plex.hash)
    if isinstance(found, Seal):
        stream += found.seal_lines() + _marker(found.hash)
    return stream


def address(found: Packet) -> str:
    """The coordinate that the first line announces; empty for a Blob."""
    if isinstance(found, Blob):
        return ""
    plex = found.plex if isinstance(found, Seal) else found
    selector = f"seal/{found.vkey}" if isinstance(found, Seal) else "plex"
    return f"//{plex.group}/{plex.app}/{plex.location}/|/{selector}"


def decode(stream: bytes) -> Packet:
    """The packet of a stream, verified."""
    kind, announced, at = _open(stream)
    require(not stream.startswith(MARKER, at), "marker", "no LF behind the data", at)
    # The line feed in front of the marker is the one that ends the data.
    end = stream.find(b"\n" + MARKER, at)
    require(end >= at, "truncated", "no marker behind the data", at)
    data = ONE_MORE.sub(rb"\1", stream[at:end])
    lines = Lines(stream, end + 1)
    marks = [_close(lines, "B")]
    found: Packet = Blob(data)
    require(found.hash == marks[0][0], "digest-blob", marks[0][0], marks[0][1])
    if kind in "PS":
        found = _plex(lines, found)
    if kind == "S":
        assert isinstance(found, Plex)
        found = _seal(lines, found)
    require(lines.at == len(stream), "trailing", f"{len(stream) - lines.at} bytes", lines.at)
    require(announced in ("", address(found)), "announced", announced)
    return found


def _open(stream: bytes) -> tuple[str, str, int]:
    require(not MARKER.startswith(stream), "truncated", "no whole marker")
    require(stream.startswith(MARKER), "marker", "no opening marker")
    end = stream.find(b"\n")
    require(end >= 0, "truncated", "no LF behind the opening marker")
    try:
        text = stream[len(MARKER) : end].decode()
    except UnicodeDecodeError as error:
        raise Bad("utf-8", str(error)) from error
    kind, space, announced = text.partition(" ")
    require(kind in ("B", "P", "S"), "marker", repr(kind))
    require(bool(announced) == bool(space), "marker", "a space and no coordinate")
    if announced:
        require(kind != "B", "marker", "a Blob has no coordinate")
        where = urc.parse(announced)
        require(where.kind == ("plex" if kind == "P" else "signer"), "announced", announced)
    return kind, announced, end + 1


def _close(lines: Lines, letter: str) -> tuple[str, int]:
    line, at = lines.line()
    require(line.startswith(MARKER), "marker", "no closing marker", at)
    try:
        text = line[len(MARKER) :].decode()
        texts.payload(text, letter)
    except UnicodeDecodeError as error:
        raise Bad("hash-text", str(error), at) from error
    except Bad as bad:
        raise Bad(bad.name, bad.detail, at) from bad
    return text, at


def _plex(lines: Lines, blob: Blob) -> Plex:
    values = []
    for name in headers.COORDINATE:
        value, at = lines.header(name)
        headers.check(name, value, at)
        values.append(value)
    extras: list[headers.Header] = []
    while not lines.data.startswith(MARKER, lines.at):
        line, at = lines.line()
        header = headers.split(line, at)
        headers.check_extra(header, extras[-1] if extras else None, at)
        require(len(extras) < headers.MAX_EXTRAS, "limit", "extra headers", at)
        extras.append(header)
    text, at = _close(lines, "P")
    plex = Plex(*values, blob, tuple(extras))
    require(plex.hash == text, "digest-plex", text, at)
    return plex


def _seal(lines: Lines, plex: Plex) -> Seal:
    vkey, at_key = lines.header("Seal-By")
    value, at_sig = lines.header("Seal-Sig")
    found = Seal(plex, packet.read_vkey(vkey, at_key), packet.read_signature(value, at_sig))
    text, at = _close(lines, "S")
    require(found.hash == text, "digest-seal", text, at)
    try:
        hsb3.verify(texts.payload(vkey, "V"), texts.payload(plex.hash), found.signature)
    except Bad as bad:
        raise Bad(bad.name, bad.detail, at_key if bad.name == "vkey" else at_sig) from bad
    return found
