"""Packets: Blob, Plex and Seal; built, read and verified."""

from dataclasses import dataclass, field
import re

from blake3 import blake3

from . import b64a, headers, hsb3, texts
from .errors import Bad, require
from .headers import MARK, MAX_EXTRAS, Header

MAX_DATA = 32 * 1024 * 1024
MAX_PACKET = 34 * 1024 * 1024
MARKLINE = 54


def digest_text(letter: str, payload: bytes) -> str:
    """The hash text of a canonical payload."""
    return texts.typed(letter, blake3(payload).digest())


def markline(text: str) -> bytes:
    """A markline and its LF."""
    return MARK + text.encode() + b"\n"


@dataclass(frozen=True)
class Blob:
    """Data."""

    data: bytes
    kind = "B"

    def payload(self) -> bytes:
        """What is hashed."""
        return f"Data-Length: {len(self.data)}\n\n".encode() + self.data

    @property
    def hash(self) -> str:
        """The hash text."""
        return digest_text("B", self.payload())

    def encode(self) -> bytes:
        """The whole packet."""
        return markline(self.hash) + self.payload()


@dataclass(frozen=True)
class Plex:
    """A Blob at a coordinate."""

    group: str
    app: str
    location: str
    tai: str
    blob: Blob
    extras: tuple[Header, ...] = field(default=())
    kind = "P"

    def header_lines(self) -> bytes:
        """All header lines, checked."""
        found = b""
        for name, value in zip(headers.COORDINATE, (self.group, self.app, self.location, self.tai)):
            headers.check(name, value)
            found += headers.line((name, value))
        before = None
        for header in self.extras:
            headers.check_extra(header, before)
            found += headers.line(header)
            before = header
        require(len(self.extras) <= MAX_EXTRAS, "limit", f"{len(self.extras)} extra headers")
        return found

    def payload(self) -> bytes:
        """What is hashed."""
        return self.header_lines() + self.blob.encode()

    @property
    def hash(self) -> str:
        """The hash text."""
        return digest_text("P", self.payload())

    def encode(self) -> bytes:
        """The whole packet."""
        return markline(self.hash) + self.payload()


@dataclass(frozen=True)
class Seal:
    """A signed Plex."""

    plex: Plex
    vkey: str
    signature: bytes
    kind = "S"

    def seal_lines(self) -> bytes:
        """The two header lines."""
        return f"Seal-By: {self.vkey}\nSeal-Sig: {b64a.encode(self.signature)}\n".encode()

    def payload(self) -> bytes:
        """What is hashed."""
        return self.seal_lines() + self.plex.encode()

    @property
    def hash(self) -> str:
        """The hash text."""
        return digest_text("S", self.payload())

    def encode(self) -> bytes:
        """The whole packet."""
        return markline(self.hash) + self.payload()


Packet = Blob | Plex | Seal


def seal(plex: Plex, signer: hsb3.Key, aux: bytes) -> Seal:
    """Sign a Plex."""
    return Seal(plex, signer.vkey, hsb3.sign(signer, texts.payload(plex.hash), aux))


class Lines:
    """Lines of a packet from the front."""

    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data = data
        self.at = at

    def line(self) -> tuple[bytes, int]:
        """The next line without its LF, and where it starts."""
        start = self.at
        end = self.data.find(b"\n", start, start + headers.MAX_LINE + 1)
        if end < 0:
            require(len(self.data) - start <= headers.MAX_LINE, "long", "no LF in 1024 bytes", start)
            raise Bad("truncated", "no LF", start)
        self.at = end + 1
        return self.data[start:end], start

    def header(self, name: str) -> tuple[str, int]:
        """The value of the header that must come next, and where its line starts."""
        line, at = self.line()
        found, value = headers.split(line, at)
        require(found == name, "header", f"{found!r} where {name} is due", at)
        return value, at

    def mark(self, letters: str, otherwise: str = "markline") -> tuple[str, int]:
        """The hash text of the markline that must come next, and where it starts."""
        line, at = self.line()
        require(line.startswith(MARK), otherwise, "no mark", at)
        try:
            text = line[len(MARK) :].decode("ascii")
            texts.payload(text, letters)
        except UnicodeDecodeError as error:
            raise Bad("hash-text", str(error), at) from error
        except Bad as bad:
            raise Bad(bad.name, bad.detail, at) from bad
        return text, at

    def at_mark(self) -> bool:
        """Whether a markline comes next."""
        return self.data.startswith(MARK, self.at)


@dataclass
class Found:
    """A packet in a stream: where it starts and ends, and what is to be compared with its hashes."""

    packet: Packet
    marks: list[tuple[str, str, int]]
    at_signature: tuple[int, int] | None
    end: int


def read(data: bytes, at: int = 0, by_name: bool = False) -> Found:
    """The packet at an offset; its hashes and signature are not looked at."""
    lines = Lines(data, at)
    text, start = lines.mark(texts.KINDS)
    marks = [(text, text[0], start)]
    sealed = None
    places = None
    letter = text[0]
    if letter == "S":
        vkey, at_key = lines.header("Seal-By")
        value, at_sig = lines.header("Seal-Sig")
        places = (at_key, at_sig)
        sealed = (read_vkey(vkey, at_key), read_signature(value, at_sig))
        # Whatever else is there is one header too many.
        text, where = lines.mark("P", "header")
        marks.append((text, "P", where))
        letter = "P"
    known = _coordinate(lines, by_name) if letter == "P" else None
    if known is not None:
        text, where = lines.mark("B")
        marks.append((text, "B", where))
    blob = _blob(lines)
    packet: Packet = blob
    if known is not None:
        packet = plex = Plex(*known[0], blob, known[1])
        if sealed is not None:
            packet = Seal(plex, *sealed)
    require(lines.at - at <= MAX_PACKET, "limit", f"a packet of {lines.at - at} bytes", at)
    return Found(packet, marks, places, lines.at)


def read_vkey(text: str, at: int) -> str:
    """The text of a verification key, the value of a header."""
    try:
        texts.payload(text, "V")
    except Bad as bad:
        raise Bad(bad.name, bad.detail, at) from bad
    return text


def read_signature(text: str, at: int) -> bytes:
    """The bytes of a signature, the value of a header."""
    try:
        require(len(text) == 86, "b64a-length", f"{len(text)} symbols")
        return b64a.decode(text)
    except Bad as bad:
        raise Bad(bad.name, bad.detail, at) from bad


def _coordinate(lines: Lines, by_name: bool) -> tuple[list[str], tuple[Header, ...]]:
    values = []
    for name in headers.COORDINATE:
        value, at = lines.header(name)
        headers.check(name, value, at)
        values.append(value)
    return values, read_extras(lines, by_name)


def read_extras(lines: Lines, by_name: bool = False) -> tuple[Header, ...]:
    """Extra headers up to a markline."""
    extras: list[Header] = []
    while not lines.at_mark():
        line, at = lines.line()
        header = headers.split(line, at)
        headers.check_extra(header, extras[-1] if extras else None, at, by_name)
        require(len(extras) < MAX_EXTRAS, "limit", "more extra headers than are allowed", at)
        extras.append(header)
    return tuple(extras)


def _blob(lines: Lines) -> Blob:
    value, at = lines.header("Data-Length")
    require(re.fullmatch(r"0|[1-9][0-9]*", value, re.ASCII) is not None, "data-length", repr(value), at)
    require(len(value) <= 8 and int(value) <= MAX_DATA, "too-large", value, at)
    length = int(value)
    blank, at = lines.line()
    require(blank == b"", "blank", "no blank line in front of the data", at)
    data = lines.data[lines.at : lines.at + length]
    require(len(data) == length, "truncated", f"{len(data)} bytes of {length}", lines.at)
    lines.at += length
    return Blob(data)


def verify(data: bytes, found: Found) -> None:
    """Compare hashes, the innermost first, then the signature."""
    for text, letter, at in reversed(found.marks):
        name = {"B": "digest-blob", "P": "digest-plex", "S": "digest-seal"}[letter]
        require(digest_text(letter, data[at + MARKLINE + 1 : found.end]) == text, name, text, at)
    if isinstance(found.packet, Seal):
        assert found.at_signature is not None
        public = texts.payload(found.packet.vkey, "V")
        try:
            hsb3.verify(public, texts.payload(found.marks[1][0], "P"), found.packet.signature)
        except Bad as bad:
            raise Bad(bad.name, bad.detail, found.at_signature[0 if bad.name == "vkey" else 1]) from bad


def parse(data: bytes, by_name: bool = False) -> Packet:
    """The one packet that the input is, verified."""
    found = read(data, by_name=by_name)
    require(found.end == len(data), "trailing", f"{len(data) - found.end} bytes", found.end)
    verify(data, found)
    return found.packet


def parse_stream(data: bytes) -> list[Packet]:
    """Packets one behind the other, verified."""
    packets = []
    at = 0
    while at < len(data):
        found = read(data, at)
        verify(data, found)
        packets.append(found.packet)
        at = found.end
    return packets
