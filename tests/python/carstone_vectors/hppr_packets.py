"""Packets of HPPR: many that are right, and those that break one rule each."""

import hashlib
import unicodedata
from typing import Any, Callable

from carstone_hppr import b64a, headers, hsb3, tai, texts
from carstone_hppr.errors import Bad
from carstone_hppr.packet import Blob, Packet, Plex, Seal, digest_text, markline, parse, seal

from .layers import Case

KEY = hsb3.key_of_secret(b"vectors")
AUX = b"\x01" * 32
MARKS = [b"\xf0\x9f\x96\xa7: ", "⋯🖧: ".encode(), "⋯⋯🖧: B".encode(), b"\n", b"\r\n", b"\0"]
PLAIN = "abcxyzABCXYZ0189-_.~+=@&%'\"\\,;!?()*"
WIDE = ["é", "ü", "日", "本", "ß", "Ω", "–", "😀", "⋯", "🖧", "x\u0301", "\u0085"]


class Choices:
    """Choices that follow from a name."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.count = 0

    def bytes(self, length: int) -> bytes:
        """So many bytes."""
        self.count += 1
        return hashlib.shake_256(f"hppr {self.name} {self.count}".encode()).digest(length)

    def below(self, limit: int) -> int:
        """A number below `limit`."""
        return int.from_bytes(self.bytes(8), "big") % limit

    def one(self, options: Any) -> Any:
        """One of these."""
        return options[self.below(len(options))]

    def text(self, most: int, more: str, limit: int) -> str:
        """At most so many characters, and bytes."""
        found = ""
        for _ in range(1 + self.below(most)):
            next_one = self.one(WIDE) if self.below(4) == 0 else self.one(PLAIN + more)
            if len((found + next_one).encode()) > limit:
                break
            found += next_one
        found = found.lstrip(" ")
        return found if unicodedata.is_normalized("NFC", found) and found not in ("", ".", "..") else "nfc"

    def data(self) -> bytes:
        """Data, often with what looks like marks."""
        return b"".join(self.one([*MARKS, self.bytes(self.below(40))]) for _ in range(self.below(6)))

    def plex(self) -> Plex:
        """A Plex."""
        location = "/".join(self.text(12, " :#", 255) for _ in range(1 + self.below(4)))
        extras = []
        for _ in range(self.below(7)):
            name = self.text(8, "#/|{", 300)
            value = self.text(30, " :/|{}#", 300).lstrip(" ") or "v"
            extras.append(("Member" if name in headers.RESERVED else name, value))
        stamp = tai.stamp(self.below(tai.MOST + 1), self.below(10**9))
        names = self.text(9, " :", 56), self.text(9, " :", 56)
        return Plex(*names, location, stamp, Blob(self.data()), tuple(sorted(extras, key=headers.key)))


def random_packets() -> list[Case]:
    """Forty of each kind."""
    found: list[Case] = []
    for number in range(40):
        choices = Choices(f"packet {number}")
        key = hsb3.key_of_secret(choices.bytes(9))
        packets: list[Packet] = [Blob(choices.data()), choices.plex(), seal(choices.plex(), key, choices.bytes(32))]
        for packet in packets:
            data = packet.encode()
            assert parse(data) == packet, data
            found.append({"name": f"{packet.kind} {number}", "hash": packet.hash, **_told(packet), "packet": data})
    return found


def _told(packet: Packet) -> dict[str, Any]:
    plex = packet.plex if isinstance(packet, Seal) else packet
    told: dict[str, Any] = {"vkey": packet.vkey} if isinstance(packet, Seal) else {}
    if isinstance(plex, Plex):
        told |= {"group": plex.group, "app": plex.app, "location": plex.location, "tai": plex.tai}
        told["extra"] = [list(header) for header in plex.extras]
    blob = plex.blob if isinstance(plex, Plex) else plex
    return told | {"data": blob.data}


# Packets whose hashes are right, whatever is in them.

LINES = [b"Group: g", b"App: a", b"Location: l", b"TAI: 0000000037:000000000"]
BLOB = Blob(b"data").encode()


def _blob(payload: bytes) -> bytes:
    return markline(digest_text("B", payload)) + payload


def _plex(lines: list[bytes], blob: bytes = BLOB) -> bytes:
    payload = b"".join(line + b"\n" for line in lines) + blob
    return markline(digest_text("P", payload)) + payload


def _seal(plex: bytes | None = None, lines: list[bytes] | None = None) -> bytes:
    inner = _plex(LINES) if plex is None else plex
    payload = b"".join(line + b"\n" for line in (_seal_lines(inner) if lines is None else lines)) + inner
    return markline(digest_text("S", payload)) + payload


def _seal_lines(plex: bytes) -> list[bytes]:
    signature = hsb3.sign(KEY, texts.payload(plex[6:54].decode()), AUX)
    return [f"Seal-By: {KEY.vkey}".encode(), f"Seal-Sig: {b64a.encode(signature)}".encode()]


def _with(at: int, line: bytes) -> bytes:
    return _plex([*LINES[:at], line, *LINES[at + 1 :]])


def _extra(*lines: bytes) -> bytes:
    return _plex([*LINES, *lines])


def _flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def _unlike(text: bytes) -> bytes:
    """Another hash text of the same kind."""
    return text[:2] + (b"0" if text[2:3] != b"0" else b"1") + text[3:]


def _no_curve() -> str:
    """The text of a key that is no x of the curve."""
    x = 1
    while True:
        try:
            hsb3.lift(x.to_bytes(32, "big"))
        except Bad:
            return texts.typed("V", x.to_bytes(32, "big"))
        x += 1


def _marklines() -> list[tuple[str, str, bytes]]:
    text = BLOB[6:54]
    return [
        ("nothing", "truncated", b""),
        ("no mark", "markline", b"x" * 54 + BLOB[54:]),
        ("no colon behind the mark", "markline", BLOB[:4] + b"; " + BLOB[6:]),
        ("no space behind the mark", "markline", BLOB[:5] + BLOB[6:]),
        ("the marker of streams", "markline", "⋯".encode() + BLOB),
        ("a line in front", "markline", b"\n" + BLOB),
        ("a byte order mark", "markline", b"\xef\xbb\xbf" + BLOB),
        ("a hash text too short", "hash-text", BLOB[:53] + BLOB[54:]),
        ("a hash text too long", "hash-text", BLOB[:54] + b"x" + BLOB[54:]),
        ("a hash text with CR", "hash-text", BLOB[:54] + b"\r" + BLOB[54:]),
        ("a hash text with a symbol of Base64", "hash-text", BLOB[:8] + b"+" + BLOB[9:]),
        ("a hash text with bits left over", "hash-text", BLOB[:50] + b"1" + BLOB[51:]),
        ("a hash text without .H3", "hash-text", BLOB[:51] + b".H4" + BLOB[54:]),
        ("a hash text without a dot", "hash-text", BLOB[:7] + b"_" + BLOB[8:]),
        ("the Null sentinel", "hash-text", BLOB[:6] + b"0.H3" + BLOB[54:]),
        ("a verification key", "type", BLOB[:6] + b"V" + BLOB[7:]),
        ("an unknown kind", "type", BLOB[:6] + b"X" + BLOB[7:]),
        ("a Plex in a Plex", "type", _plex(LINES, _plex(LINES))),
        ("a Seal in a Plex", "type", _plex(LINES, _seal())),
        ("a Blob in a Seal", "type", _seal(BLOB, [f"Seal-By: {KEY.vkey}".encode(), b"Seal-Sig: " + b"0" * 86])),
        ("a Seal in a Seal", "type", _seal(_seal(), _seal_lines(_plex(LINES)))),
        ("a Blob called a Plex", "header", BLOB[:6] + b"P" + text[1:] + BLOB[54:]),
        ("a Plex called a Blob", "header", (plex := _plex(LINES))[:6] + b"B" + plex[7:]),
    ]


def _headers() -> list[tuple[str, str, bytes]]:
    mark = headers.SIGN.encode()
    return [
        ("no Group", "header", _plex(LINES[1:])),
        ("no App", "header", _plex([LINES[0], *LINES[2:]])),
        ("no Location", "header", _plex([*LINES[:2], LINES[3]])),
        ("no TAI", "header", _with(3, b"Extra: x")),
        ("App twice", "header", _plex([*LINES[:2], *LINES[1:]])),
        ("App in front of Group", "header", _plex([LINES[1], LINES[0], *LINES[2:]])),
        ("an extra header in front of TAI", "header", _plex([*LINES[:3], b"A: 1", LINES[3]])),
        ("group in small letters", "header", _with(0, b"group: g")),
        ("no Data-Length", "header", _blob(b"Length: 0\n\n")),
        ("a header in front of Data-Length", "header", _blob(b"A: 1\nData-Length: 0\n\n")),
        ("a header behind Data-Length", "blank", _blob(b"Data-Length: 0\nA: 1\n\n")),
        ("a blank line behind the headers", "shape", _plex([*LINES, b""])),
        *[(f"{name} as an extra header", "reserved", _extra(f"{name}: x".encode()))
          for name in ("Group", "App", "Location", "TAI", "Data-Length", "Seal-By", "Seal-Sig")],
        ("the mark as an extra header, no space behind it", "shape", _extra(mark + b":x")),
        ("names that descend", "extras-order", _extra(b"B: 1", b"A: 1")),
        ("values that descend", "extras-order", _extra(b"A: 2", b"A: 1")),
        ("small letters in front of capitals", "extras-order", _extra(b"a: 1", b"B: 1")),
        ("no UTF-8 in a value", "utf-8", _extra(b"A: \xff")),
        ("no UTF-8 in a name", "utf-8", _extra(b"\xc3: x")),
        ("a surrogate", "utf-8", _extra(b"A: \xed\xa0\x80")),
        ("an overlong slash", "utf-8", _with(0, b"Group: \xc0\xaf")),
        ("a value not in NFC", "nfc", _extra("A: e\u0301".encode())),
        ("a name not in NFC", "nfc", _extra("e\u0301: x".encode())),
        ("a Group not in NFC", "nfc", _with(0, "Group: u\u0308".encode())),
        ("a Location not in NFC", "nfc", _with(2, "Location: \u212b".encode())),
        ("a tab in a value", "control", _extra(b"A: x\ty")),
        ("a tab in a name", "control", _extra(b"A\tB: x")),
        ("NUL", "control", _extra(b"A: \0")),
        ("DEL", "control", _extra(b"A: \x7f")),
        ("CR at the end of a line", "cr", _extra(b"A: x\r")),
        ("CR in a value", "cr", _with(0, b"Group: a\rb")),
        ("no value", "value", _extra(b"A: ")),
        ("no value and no space", "shape", _extra(b"A:")),
        ("no colon", "shape", _extra(b"Apple")),
        ("no space behind the colon", "shape", _extra(b"A:x")),
        ("two spaces behind the colon", "shape", _extra(b"A:  x")),
        ("a value of spaces", "shape", _extra(b"A:   ")),
        ("no name", "name", _extra(b": x")),
        ("a space in a name", "name", _extra(b"A B: x")),
        ("a space in front of a name", "name", _extra(b" A: x")),
        ("a line of 1025 bytes", "long", _extra(b"A: " + b"x" * 1022)),
        ("1025 extra headers", "limit", _extra(*[b"M: x"] * 1025)),
        ("the headers end in no Blob", "truncated", _plex(LINES, b"")),
    ]


def _coordinates() -> list[tuple[str, str, bytes]]:
    found = []
    for at, name in ((0, "Group"), (1, "App")):
        for value, fault in (("a/b", "character"), ("a{", "character"), ("}a", "character"), ("a|b", "character"), ("#", "character"),
                             (".", "dots"), ("..", "dots"), ("x" * 57, "long-name"), ("é" * 28 + "x", "long-name")):
            found.append((f"{name} {value[:9]}", fault, _with(at, f"{name}: {value}".encode())))
    for value, fault in (("/a", "no-segment"), ("a/", "no-segment"), ("a//b", "no-segment"), ("/", "no-segment"), (".", "dots"),
                         ("a/..", "dots"), ("../a", "dots"), ("a/./b", "dots"), ("{a}", "character"), ("a/b|c", "character"),
                         ("|", "character"), ("a/|/b", "character"), ("x" * 256, "long-segment"), ("a/" + "é" * 128, "long-segment")):
        found.append((f"Location {value[:9]}", fault, _with(2, f"Location: {value}".encode())))
    for value in ("37:0", "000000037:000000000", "00000000037:000000000", "0000000037.000000000", "0000000037:00000000",
                  "0000000037:0000000000", "0000000037:00000000 ", "-000000037:000000000", "000000003７:000000000"):
        found.append((f"TAI {value}", "tai", _with(3, f"TAI: {value}".encode())))
    return found


def _data() -> list[tuple[str, str, bytes]]:
    found = []
    for value in ("00", "01", "-1", "+1", "1 ", "0x1", "1_0", "１", "1e1", "1."):
        found.append((f"Data-Length {value}", "data-length", _blob(f"Data-Length: {value}\n\nx".encode())))
    cut = _seal()
    found += [
        ("one byte above 32 MiB", "too-large", _blob(b"Data-Length: 33554433\n\n")),
        ("a length of 2 to the 64th", "too-large", _blob(b"Data-Length: 18446744073709551616\n\n")),
        ("no data", "truncated", _blob(b"Data-Length: 4\n\n")),
        ("one byte of data is missing", "truncated", BLOB[:-1]),
        ("32 MiB are announced", "truncated", _blob(b"Data-Length: 33554432\n\n")),
        ("no blank line", "blank", _blob(b"Data-Length: 4\ndata\n")),
        ("one byte behind a Blob", "trailing", BLOB + b"\n"),
        ("one byte behind a Plex", "trailing", _plex(LINES) + b"\n"),
        ("one byte behind a Seal", "trailing", cut + b"\0"),
        ("another packet behind a Blob", "trailing", BLOB + BLOB),
        *[(f"cut at byte {at}", "truncated", cut[:at]) for at in (1, 54, 60, 200, 260, 300, len(cut) - 9, len(cut) - 1)],
    ]
    return found


def _digests() -> list[tuple[str, str, bytes]]:
    sealed, plex = _seal(), _plex(LINES)
    blob_at, plex_at = sealed.index(BLOB), sealed.index(plex)
    high = b64a.encode(hsb3.P.to_bytes(32, "big") + bytes(32)).encode()
    order = b64a.encode(hsb3.lift(KEY.public).format()[1:] + hsb3.N.to_bytes(32, "big")).encode()
    by, sig = _seal_lines(plex)
    other = f"Seal-By: {hsb3.key(6).vkey}".encode()
    return [
        ("another hash of a Blob", "digest-blob", BLOB[:6] + _unlike(BLOB[6:54]) + BLOB[54:]),
        ("a bit of the data", "digest-blob", _flip(BLOB, len(BLOB) - 1)),
        ("another hash of a Plex", "digest-plex", plex[:6] + _unlike(plex[6:54]) + plex[54:]),
        ("a bit of a Group", "digest-plex", plex.replace(b"Group: g", b"Group: f")),
        ("another hash of a Seal", "digest-seal", sealed[:6] + _unlike(sealed[6:54]) + sealed[54:]),
        ("a bit of a signature, the hashes as they were", "digest-seal", sealed.replace(sig, _other_symbol(sig))),
        ("a bit of the data of a Seal", "digest-blob", _flip(sealed, len(sealed) - 1)),
        ("a bit of the headers of a Seal", "digest-plex", sealed.replace(b"App: a", b"App: `")),
        ("another Blob in a Seal", "digest-plex", sealed[:blob_at] + Blob(b"other").encode()),
        ("another Plex in a Seal", "digest-seal", sealed[:plex_at] + _extra(b"A: 1")),
        ("no Seal-By", "header", _seal(lines=[sig])),
        ("no Seal-Sig", "header", _seal(lines=[by])),
        ("Seal-Sig in front of Seal-By", "header", _seal(lines=[sig, by])),
        ("an extra header in a Seal", "header", _seal(lines=[by, sig, b"A: 1"])),
        ("Seal-By twice", "header", _seal(lines=[by, by, sig])),
        ("a key that is a hash of a Blob", "type", _seal(lines=[by.replace(b"V.", b"B."), sig])),
        ("a key too short", "hash-text", _seal(lines=[by[:-1], sig])),
        ("a key that is no x of the curve", "vkey", _seal(lines=[f"Seal-By: {_no_curve()}".encode(), sig])),
        ("a key that is the prime", "vkey", _seal(lines=[f"Seal-By: {texts.typed('V', hsb3.P.to_bytes(32, 'big'))}".encode(), sig])),
        ("a signature too short", "b64a-length", _seal(lines=[by, sig[:-1]])),
        ("a signature too long", "b64a-length", _seal(lines=[by, sig + b"0"])),
        ("a signature with bits left over", "b64a-bits", _seal(lines=[by, sig[:-1] + b"1"])),
        ("a signature with a dot", "b64a-symbol", _seal(lines=[by, sig[:-1] + b"."])),
        ("r is the prime", "signature", _seal(lines=[by, b"Seal-Sig: " + high])),
        ("s is the order", "signature", _seal(lines=[by, b"Seal-Sig: " + order])),
        ("a signature of zeros", "signature", _seal(lines=[by, b"Seal-Sig: " + b"0" * 86])),
        ("another symbol of a signature", "signature", _seal(lines=[by, _other_symbol(sig)])),
        ("another key", "signature", _seal(lines=[other, sig])),
        ("the signature of another Plex", "signature", _seal(lines=[by, _seal_lines(_extra(b"A: 1"))[1]])),
    ]


def _other_symbol(line: bytes) -> bytes:
    return line[:40] + (b"0" if line[40:41] != b"0" else b"1") + line[41:]


def rejects() -> list[Case]:
    """Packets that break a rule."""
    groups: list[Callable[[], list[tuple[str, str, bytes]]]] = [_marklines, _headers, _coordinates, _data, _digests]
    return [_reject(*case) for group in groups for case in group()]


def _reject(name: str, expect: str, data: bytes) -> Case:
    try:
        parse(data)
    except Bad as bad:
        if bad.name != expect:
            raise AssertionError(f"{name}: {bad}, not {expect}") from bad
        return {"name": name, "expect": expect, "line": bad.at, "packet": data, "by_name": _accepts(data) or None}
    raise AssertionError(f"{name}: accepted")


def _accepts(data: bytes) -> bool:
    try:
        parse(data, by_name=True)
    except Bad:
        return False
    return True


def edges() -> list[Case]:
    """Packets that are just right."""
    long = b"Location: " + b"/".join([b"x" * 255] * 3 + [b"y" * 246])
    cases = {
        "a line of 1024 bytes": _extra(b"A: " + b"x" * 1021),
        "a Location of 1014 bytes": _with(2, long),
        "1024 extra headers": _extra(*[b"M: x"] * 1024),
        "equal extra headers": _extra(b"A: x", b"A: x"),
        "a value that starts another one": _extra(b"A: x", b"A: x ", b"A: xx", b"AA: x"),
        "C1 controls": _extra("A: \u0080\u009f".encode()),
        "spaces at the end": _extra(b"A: x  "),
        "no-break space in front": _extra("A: \u00a0x".encode()),
        "colons in a value": _extra(b"A: : :"),
        "a mark behind dots as a name": _extra("⋯🖧: x".encode()),
        "a mark in a name": _extra("🖧x: y".encode()),
        "coordinate signs in an extra header": _extra(b"a/{b}|#: /{}|#"),
        "a number sign in a Location": _with(2, b"Location: a#b/#"),
        "three dots and a space": _with(2, b"Location: .../ /.a"),
        "a Group of 56 bytes": _with(0, ("Group: " + "é" * 28).encode()),
        "an App that is an envelope": _with(1, "App: 🖧ring".encode()),
        "the least TAI": _with(3, b"TAI: 0000000000:000000000"),
        "the greatest TAI": _with(3, b"TAI: 9999999999:999999999"),
        "a packet as data": Blob(_seal()).encode(),
        "a Seal of such a Plex": _seal(_extra("é: 日本".encode())),
    }
    found: list[Case] = []
    for name, data in cases.items():
        packet = parse(data)
        assert packet.encode() == data, name
        found.append({"name": name, "hash": packet.hash, "packet": data})
    return found
