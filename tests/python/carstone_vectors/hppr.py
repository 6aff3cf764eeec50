"""Vectors of HPPR: texts, times, keys, signatures, addresses, stream forms, packets, and a repository."""

from typing import Any, Callable

from carstone_hppr import b64a, hsb3, tai, texts, trailer, urc
from carstone_hppr.errors import Bad
from carstone_hppr.packet import Blob, Packet, Plex, parse, seal

from . import hppr_known as known
from .hppr_packets import Choices, edges, random_packets, rejects
from .layers import Case
from .toml import document


def _refusal(call: Callable[[], Any]) -> Bad | None:
    try:
        call()
    except Bad as bad:
        return bad
    return None


def _b64a() -> list[Case]:
    choices = Choices("b64a")
    found: list[Case] = [{"bytes": bytes.fromhex(hex_), "text": text} for hex_, text in known.B64A]
    for number in range(40):
        data = choices.bytes(number)
        text = b64a.encode(data)
        assert b64a.decode(text) == data
        found.append({"bytes": data, "text": text})
    return found


def _b64a_refused() -> list[Case]:
    more = ["0", "00000", "0002", "000000001", "00 0", "00\n", "00=", "é0", "~~~~~~m", "~~~1", "~~~2", "00-0", "00.0"]
    found = []
    for text in known.B64A_REFUSED + [one for one in more if _refusal(lambda one=one: b64a.decode(one))]:
        bad = _refusal(lambda text=text: b64a.decode(text))
        assert bad is not None, text
        found.append({"text": text, "expect": bad.name})
    return found


def _typed() -> list[Case]:
    good = known.BLOBS[0][2]
    found: list[Case] = []
    for text, letters in (
        (good, "BPS"), (known.V, "V"), (known.SECRET_TEXT, "&"), (known.S, "S"), (known.P, "P"), (good, "PS"), (known.V, "BPS"),
        ("0.H3", "BPS"), ("", "BPS"), (good[:-1], "BPS"), (good + "0", "BPS"), (good.lower(), "BPS"), ("b" + good[1:], "BPS"),
        (good.replace(".H3", ".h3"), "BPS"), (good[:44] + "1" + good[45:], "BPS"), (good[:10] + "-" + good[11:], "BPS"),
        (good[:1] + ":" + good[2:], "BPS"), (" " + good[:-1], "BPS"), ("é" + good[2:], "BPS"),
    ):
        bad = _refusal(lambda text=text, letters=letters: texts.payload(text, letters))
        payload = None if bad else texts.payload(text, letters)
        found.append({"text": text, "kinds": letters, "expect": bad.name if bad else "ok", "payload": payload})
    return found


def _times() -> list[Case]:
    instants = [0, 27, 63_071_999, known.NEW_YEAR[0], tai.MOST - 37]
    instants += [start + shift for start, _ in tai.LEAPS for shift in (-1, 0, 1)]
    return [{"unix": at, "nanoseconds": at % 10**9, "tai": tai.of_unix(at, at % 10**9)} for at in sorted(instants)]


def _leaps() -> list[Case]:
    seconds = [10, 37, tai.MOST] + [start + ahead + shift for start, ahead in tai.LEAPS for shift in (-2, -1, 0, 1)]
    return [{"tai": tai.stamp(at, 5), "unix": tai.to_unix(tai.stamp(at, 5))[0]} for at in sorted(seconds)]


def _keys() -> list[Case]:
    secrets = [secret for secret, _, _ in known.SECRETS] + [bytes([number]) * (number + 1) for number in range(8)]
    found: list[Case] = []
    for secret in secrets:
        key = hsb3.key_of_secret(secret)
        found.append({"secret": secret, "d": key.d.to_bytes(32, "big"), "vkey": key.vkey, "text": key.secret})
    for d0 in (1, 2, 3, 6, hsb3.N - 1, hsb3.N - 6, int.from_bytes(bytes(range(1, 33)), "big")):
        key = hsb3.key(d0)
        data = d0.to_bytes(32, "big")
        found.append({"d0": data, "d": key.d.to_bytes(32, "big"), "vkey": key.vkey, "text": texts.typed("&", data)})
    for d0 in (0, hsb3.N, 2**256 - 1):
        found.append({"d0": d0.to_bytes(32, "big"), "expect": "scalar", "text": texts.typed("&", d0.to_bytes(32, "big"))})
    return found


def _signatures() -> list[Case]:
    found = [_signed(known.KEY, texts.payload(known.P), known.AUX), _signed(known.SIX, bytes(range(32)), known.SIX_AUX)]
    for number in range(20):
        choices = Choices(f"signature {number}")
        found.append(_signed(hsb3.key_of_secret(choices.bytes(5)), choices.bytes(32), choices.bytes(32)))
    return found


def _signed(key: hsb3.Key, message: bytes, aux: bytes) -> Case:
    steps = hsb3.sign_steps(key, message, aux)
    return {"d": key.d.to_bytes(32, "big"), "vkey": key.vkey, "message": message, "aux": aux, "t": steps.t,
            "k0": steps.k0.to_bytes(32, "big"), "r_odd": steps.r_odd, "e": steps.e.to_bytes(32, "big"),
            "signature": steps.signature}


def _forged() -> list[Case]:
    key, message = known.KEY, bytes(range(32))
    good = hsb3.sign(key, message, known.AUX)
    zero, prime, order = bytes(32), hsb3.P.to_bytes(32, "big"), hsb3.N.to_bytes(32, "big")
    # With s = e·d the sum is the point at infinity, whatever r is.
    e = int.from_bytes(hsb3.tagged("challenge", good[:32] + key.public + message), "big") % hsb3.N
    infinity = good[:32] + (e * key.d % hsb3.N).to_bytes(32, "big")
    negated = good[:32] + (hsb3.N - int.from_bytes(good[32:], "big")).to_bytes(32, "big")
    # With s = e·d − k the sum is −R, which has the right x and an odd y.
    odd = good[:32] + ((2 * e * key.d - int.from_bytes(good[32:], "big")) % hsb3.N).to_bytes(32, "big")
    cases = [
        ("a flipped bit of r", key.public, message, bytes([good[0] ^ 1]) + good[1:]),
        ("a flipped bit of s", key.public, message, good[:-1] + bytes([good[-1] ^ 1])),
        ("another message", key.public, message[::-1], good),
        ("another key", known.SIX.public, message, good),
        ("r is the prime", key.public, message, prime + good[32:]),
        ("s is the order", key.public, message, good[:32] + order),
        ("zeros", key.public, message, zero + zero),
        ("s is zero", key.public, message, good[:32] + zero),
        ("s is negated", key.public, message, negated),
        ("R has an odd y", key.public, message, odd),
        ("the point at infinity", key.public, message, infinity),
        ("no key is zero", zero, message, good),
        ("no key is the prime", prime, message, good),
    ]
    found: list[Case] = []
    for name, public, said, signature in cases:
        bad = _refusal(lambda case=(public, said, signature): hsb3.verify(*case))
        assert bad is not None, name
        found.append({"name": name, "expect": bad.name, "public": public, "message": said, "signature": signature})
    return found


def _addresses() -> list[Case]:
    at, p, s, v, stamp = "//g/a/l", known.P, known.S, known.V, "0000000037:000000000"
    selectors = ["", "/", "/|", "/|/", "/|/plex", "/|/plex/", f"/|/plex/{stamp}", f"/|/plex/{stamp}/", f"/|/plex/{stamp}/{p}",
                 f"/|/plex/{stamp}/{p}/", "/|/seal", "/|/seal/", f"/|/seal/{v}", f"/|/seal/{v}/", f"/|/seal/{v}/{stamp}",
                 f"/|/seal/{v}/{stamp}/", f"/|/seal/{v}/{stamp}/{s}", f"/|/seal/{v}/{stamp}/{s}/"]
    good = [at + selector for selector in selectors]
    good += ["//", "//g/", "//g/a/", "//grüppe/app/café/日本#1", "//g/a/x y/ z", "//g/a/%7C", "//g/a/tip", "//g/a/plex/seal/",
             f"////{known.BLOBS[0][2]}", f"////{p}", f"////{s}", "//g/🖧ring/l", "//" + "g" * 56 + "/a/" + "l" * 255]
    refused = ["", "/", "g/a/l", "/g/a/l", "///a/l", "//g", "//g/a", "//g//l", "////", f"////{v}", f"///{p}",
               f"////{p[:-1]}", f"////{p.replace('P.', 'X.')}", "////0.H3", "//g/a/l//", "//g/a//l", "//g/a/./l", "//g/a/l/..",
               "//g/../l", "//g|/a/l", "//#/a/l", "//g/a/l|", "//g/a/l{v}", "//g/a/l/{v}", "//g/a/|", "//g/|/plex", "//g/a/|/plex",
               f"{at}/|/x", f"{at}/|/tip", f"{at}/|/Plex", f"{at}/|/plex/{p}", f"{at}/|/plex/37:0", f"{at}/|/plex/{stamp}/{s}",
               f"{at}/|/seal/{stamp}", f"{at}/|/seal/{p}", f"{at}/|/seal/{v}/{s}", f"{at}/|/seal/{v}/{stamp}/{p}",
               f"{at}/|/seal/{v}/{stamp}/{s}/x", f"{at}/|//plex", f"{at}/|/|", "//g/a/e\u0301", "//g/a/x\ty", "//g/a/l\n",
               "//" + "g" * 57 + "/a/l", "//g/a/" + "l" * 256]
    found: list[Case] = []
    for text in [*good, *refused]:
        bad_get, bad_list = _refusal(lambda text=text: urc.parse(text)), _refusal(lambda text=text: urc.parse_list(text))
        got, lists = None if bad_get else urc.parse(text), None if bad_list else urc.parse_list(text)
        assert (got is None and lists is None) == (text in refused), text
        found.append({"text": text, "get": got.kind if got else "refused", "list": lists.kind if lists else "refused",
                      "parts": list(got.parts if got else lists.parts) if got or lists else None,
                      "canonical": got.text if got else None, "get_fault": bad_get.name if bad_get else None,
                      "list_fault": bad_list.name if bad_list else None})
    return found


def _streams() -> list[Case]:
    sealed = parse(known.SEAL)
    packets: list[tuple[str, Packet]] = [("Seal", sealed), ("Plex", known.PLEXES[0][0]), ("Plex of no data", known.PLEXES[2][0])]
    marker = "⋯🖧: ".encode()
    for name, data in (
        ("no data", b""), ("no LF at the end", b"x"), ("LF at the end", b"x\n"), ("LF alone", b"\n"), ("a marker", marker),
        ("a marker line", marker + b"B\n"), ("dots and a marker", "⋯⋯".encode() + marker), ("a marker behind a line", b"x\n" + marker),
        ("a marker inside of a line", b"x" + marker), ("a mark", known.SEAL), ("dots without a mark", "⋯⋯🖧:x".encode()),
        ("half a dot", b"\xe2\x8b" + marker), ("a marker behind CR", b"x\r" + marker), ("two markers", (marker + b"\n") * 2),
        ("a whole stream", trailer.encode(sealed)),
    ):
        packets.append((f"Blob: {name}", Blob(data)))
    for number in range(10):
        choices = Choices(f"stream {number}")
        plex = choices.plex()
        packets.append((f"random {number}", seal(plex, hsb3.key_of_secret(b"stream"), choices.bytes(32))))
    found: list[Case] = []
    for name, packet in packets:
        stream = trailer.encode(packet)
        plain = trailer.encode(packet, coordinate=False)
        assert trailer.decode(stream) == packet and trailer.decode(plain) == packet, name
        found.append({"name": name, "packet": packet.encode(), "stream": stream, "announced": trailer.address(packet) or None})
    return found


def _streams_refused() -> list[Case]:
    good = trailer.encode(parse(known.SEAL))
    blob = trailer.encode(Blob(b"x"))
    plex = trailer.encode(known.PLEXES[2][0])
    assert isinstance(known.PLEXES[2][0], Plex)
    cases = [
        ("nothing", b""), ("no marker", good[3:]), ("no kind", blob.replace(b": B\n", b": \n", 1)),
        ("another kind", blob.replace(b": B\n", b": X\n", 1)), ("a Blob called a Plex", blob.replace(b": B\n", b": P\n", 1)),
        ("a Plex called a Seal", plex.replace(b": P //g/a/l/|/plex", b": S", 1)),
        ("a Plex called a Blob", plex.replace(b": P //g/a/l/|/plex", b": B", 1)),
        ("another coordinate", plex.replace(b"//g/a/l/", b"//g/a/m/", 1)),
        ("the coordinate of a Seal for a Plex", plex.replace(b"/|/plex", f"/|/seal/{known.V}".encode(), 1)),
        ("another key", good.replace(known.V.encode(), known.SIX_VKEY.encode(), 1)),
        ("no closing marker", blob[: blob.rindex("⋯".encode())]), ("no LF behind the data", "⋯🖧: B\n".encode() + blob[blob.rindex("⋯".encode()) :]),
        ("a changed byte", blob.replace(b"\nx\n", b"\ny\n", 1)), ("another packet behind it", blob + blob),
        ("cut in front of the last marker", good[: good.rindex("⋯".encode())]), ("a bit of a signature", good.replace(b"SlBf", b"SlBg", 1)),
        ("an escape that is missing", trailer.encode(Blob("⋯🖧: x".encode())).replace("⋯⋯".encode(), "⋯".encode(), 1)),
    ]
    found: list[Case] = []
    for name, stream in cases:
        bad = _refusal(lambda stream=stream: trailer.decode(stream))
        assert bad is not None, name
        found.append({"name": name, "expect": bad.name, "stream": stream})
    return found


def _repository() -> list[Case]:
    both = known.tree([seal(known.SIGNED, known.KEY, known.AUX), known.second_seal()])
    return [_stored("one Seal", [known.SEAL], known.TREE),
            _stored("two Seals of one Plex", [known.SEAL, known.second_seal().encode()], both)]


def _stored(name: str, packets: list[bytes], tree: dict[str, bytes | str]) -> Case:
    rows = []
    for path, held in sorted(tree.items(), key=lambda item: item[0].encode()):
        rows.append({"path": path, "target": held} if isinstance(held, str) else {"path": path, "content": held})
    return {"name": name, "stream": b"".join(packets), "file": rows}


ABOUT = """
HPPR: packets, and repositories on a file system.
`b64a`, `typed`: texts; `kinds` are the letters that are allowed. `unix_to_tai`, `tai_to_unix`: times. `key`: of a
secret, or of a scalar `d0`, which `text` holds (the text of a secret has `d`). `signature`: each step of it.
`known`: packets whose hashes were known before; `unit` and `times` say what the data of a large one is. `cid`: in a CAR.
`packet`: right ones, with what is in them. `edge`: right ones at the edge of a rule. `reject`: packets that break a
rule; `line` is the offset of the line that does (of the data, where these are too short), and `by_name = true` says that
a reader accepts it that looks at the names of extra headers alone. `expect` is what is wrong, as `tests/python/carstone_hppr` names it.
`address`: what it gets and lists, or what is wrong with it as the one and the other (`get_fault`, `list_fault`). `stream`: the form
with hashes behind; without `announced`, the first line is the marker and the kind alone.
`repository`: all files (`content`) and links (`target`) after the packets of `stream` were stored into an empty one.
"""


def vectors() -> str:
    """`hppr.toml`."""
    known.check()
    return document(ABOUT, {
        "b64a": _b64a(), "b64a_refused": _b64a_refused(), "typed": _typed(), "unix_to_tai": _times(), "tai_to_unix": _leaps(),
        "key": _keys(), "signature": _signatures(), "forged": _forged(), "known": known.cases(), "packet": random_packets(),
        "edge": edges(), "reject": rejects(), "address": _addresses(), "stream": _streams(),
        "stream_refused": _streams_refused(), "repository": _repository(),
    })
