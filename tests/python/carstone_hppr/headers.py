"""The rules of header lines and of coordinates."""

import unicodedata

from . import tai
from .errors import Bad, require

MARK = b"\xf0\x9f\x96\xa7: "
SIGN = "\U0001f5a7"
MAX_LINE = 1024
MAX_NAME = 56
MAX_SEGMENT = 255
MAX_EXTRAS = 1024
COORDINATE = ("Group", "App", "Location", "TAI")
RESERVED = {*COORDINATE, "Data-Length", "Seal-By", "Seal-Sig", SIGN}
Header = tuple[str, str]


def split(line: bytes, at: int = 0) -> Header:
    """Name and value of a line without its LF."""
    require(len(line) <= MAX_LINE, "long", f"{len(line)} bytes", at)
    require(b"\r" not in line, "cr", "a carriage return", at)
    require(not any(byte < 0x20 or byte == 0x7F for byte in line), "control", "a control byte", at)
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Bad("utf-8", str(error), at) from error
    name, colon, rest = text.partition(":")
    require(bool(colon), "shape", "no colon", at)
    require(name != "", "name", "empty", at)
    require(" " not in name, "name", "a space", at)
    require(rest.startswith(" "), "shape", "no space behind the colon", at)
    value = rest[1:]
    require(value != "", "value", "empty", at)
    require(not value.startswith(" "), "shape", "two spaces behind the colon", at)
    for part in (name, value):
        require(unicodedata.is_normalized("NFC", part), "nfc", repr(part), at)
    return name, value


def line(header: Header) -> bytes:
    """A header as a line, checked."""
    data = f"{header[0]}: {header[1]}".encode()
    require(split(data) == header, "shape", repr(header))
    return data + b"\n"


def check_name(value: str, at: int = 0) -> None:
    """The rules of `Group` and `App`."""
    require(value != "", "value", "empty", at)
    require(len(value.encode()) <= MAX_NAME, "long-name", f"{len(value.encode())} bytes", at)
    require(not set(value) & set("/{}|#"), "character", repr(value), at)
    require(value not in (".", ".."), "dots", repr(value), at)


def check_location(value: str, at: int = 0) -> None:
    """The rules of `Location`."""
    for segment in value.split("/"):
        require(segment != "", "no-segment", repr(value), at)
        require(len(segment.encode()) <= MAX_SEGMENT, "long-segment", f"a segment of {len(segment.encode())} bytes", at)
        require(not set(segment) & set("{}|"), "character", repr(segment), at)
        require(segment not in (".", ".."), "dots", repr(segment), at)


def check(name: str, value: str, at: int = 0) -> None:
    """The rules of one header of a coordinate."""
    if name in ("Group", "App"):
        check_name(value, at)
    elif name == "Location":
        check_location(value, at)
    else:
        require(tai.is_tai(value), "tai", repr(value), at)


def check_part(text: str) -> None:
    """The rules of any text in an address, which are those of values."""
    require(not any(ord(char) < 0x20 or ord(char) == 0x7F for char in text), "control", repr(text))
    require(unicodedata.is_normalized("NFC", text), "nfc", repr(text))


def key(header: Header) -> tuple[bytes, bytes]:
    """What extra headers are sorted by."""
    return header[0].encode(), header[1].encode()


def check_extra(header: Header, before: Header | None, at: int = 0, by_name: bool = False) -> None:
    """The rules of an extra header behind another one."""
    require(header[0] not in RESERVED, "reserved", header[0], at)
    if before is not None:
        parts = 1 if by_name else 2
        require(key(before)[:parts] <= key(header)[:parts], "extras-order", repr(header), at)
