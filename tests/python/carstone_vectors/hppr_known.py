"""Values of HPPR that were known before this implementation was written; it must agree with each."""

from typing import Any

from carstone_hppr import b64a, car, hsb3, layout, tai, texts
from carstone_hppr.errors import Bad
from carstone_hppr.packet import Blob, Plex, Seal, parse, seal

from .layers import Case

B64A = [
    ("", ""), ("00", "00"), ("0000", "000"), ("000000", "0000"), ("FF", "~l"), ("FF00", "~l0"), ("000102", "0042"),
    ("00" * 32, "0" * 43), ("FF" * 32, "~" * 42 + "x"),
]
B64A_REFUSED = ["01", "001", "~m", "~l1", "=", "+", "/"]

BLOBS = [
    (b"", 1, "B.svyLzSM7ffc91i~XDbkMnuOsdjsw_6GrXpTSckqHlpO.H3", 71),
    (b"hello\n", 1, "B.f3WWOojJFy1t_J2WinAFeTdxqQbdYr5neCimrmRf~3h.H3", 77),
    (b"This is signed content.", 1, "B.xNC0xRbHR_U4Tm7yW1L2UoIeXrsS2B1yLlTbKU4kT5p.H3", 95),
    (bytes(range(256)), 1, "B.u2JQeHYkGWwD2cRZIDJPA5cqm9vvh4KDN3uzmZQ~zzl.H3", 329),
    (b"a", 1_000_003, "B.pG7Zsgd7QVXgzgf0Ej9oTfqEJjUWCwaY1GN34jKGbj0.H3", 1_000_080),
]
EMPTY_DIGEST = "dfaf55f9c587aaa9c906dfe1366bd6cb9637a2edfb90643687475c9efd51c346"

LINK = ("+Link", f"source {layout.EMPTY_BLOB}")
PLEXES = [
    (Plex("a-group", "some-app", "our-collection/item", "1640995200:123000000", Blob(b"hello\n"),
          (LINK, ("X-Custom", "header value"))), "P._B8CSOzsmGyZiPoHO0Bdf4Rf0FfqaTqFIHvGMVMNsLO.H3", 303),
    (Plex("grüppe", "app", "café/日本#1", "1767225637:000000001", Blob(b"\0\xff\n"),
          (("A", "1"), ("A", "2"), ("a", "0"), ("é", "x: y"))), "P.F8gIPiGPSTfCV2UTB29iFiucSCUj3BNfSUjyPmLivS4.H3", 228),
    (Plex("g", "a", "l", "0000000037:000000000", Blob(b"")), "P.WDktGMEDkJGAwsQGxQfa8hDC6WQGXp9Y4jVasCSe3zK.H3", 180),
]
BLOB_OF_SECOND = "B.tuCdMbWfBY0ecgAlj2HIm59c25XPip8hhgy2SaRkHdK.H3"

SEAL = """🖧: S.7NTEdlrOkMFBlBzHlFGSdDwsLVTyynKdbKdlR07OtVK.H3
Seal-By: V.XByqOYOgkMa025T8xwufzaAjCN5L61wECRPZKSo~eB0.H3
Seal-Sig: SlBfXFc6TtxJSSHWMwnCDMdKTaxI_i7r5d9u4cbwNuTppu7ibe8rLnNAiLRWVooTO353mmsvf5gVto9Feldr5G
🖧: P.VoNhMPxyBAekvVD2IqKjAhrkK1EtlB~BbCcL0Tnw4wp.H3
Group: a-group
App: some-app
Location: our-collection/item
TAI: 1640995200:000000000
🖧: B.xNC0xRbHR_U4Tm7yW1L2UoIeXrsS2B1yLlTbKU4kT5p.H3
Data-Length: 23

This is signed content.""".encode()
SIGNED = Plex("a-group", "some-app", "our-collection/item", "1640995200:000000000", Blob(b"This is signed content."))
SECOND_SEAL = "S.u6q2e0IwlsKGsKV66TQ3Ik5p3fFRdMqmBQJhTlk_YlK.H3"

KEY = hsb3.key(int.from_bytes(bytes(range(1, 33)), "big"))
AUX = b"\xa5" * 32
SECRET_TEXT = "&.0G8310K61lW92WhC3GtF414I4mGL5XSO6HdR71pU7n0.H3"
STEPS = {
    "public": "84bf7562262bbd6940085748f3be6afa52ae317155181ece31b66351ccffa4b0",
    "message": "7f35ec599f3d2caa6fe9f3424b552e2acdaf5013b8c0bfcb98c9d501dcbb13bd",
    "t": "c6af2664966c957b8ec82daad9727b4533a36e79ceea5bf134776a487e765143",
    "k0": "812bed2c0f2a474ad9e018c343a73f7072fc3bc2e0b9a9575cbbe83da6489f05",
    "e": "4bafde0d677401b477c60cbc12449bbec381795433b8f6ae935ca16376e92e95",
    "signature": "7302ea84f9c6778f1371c4605bbc8c356a14765f1292d1f61682791279bb5f97"
                 "74d391ed9a92365725cab556e07f3cdd603143c71dfaa85adfe3324fa70a3615",
}
TAGGED = [
    ("aux", "fb4495afab5eeeecb9f4b7f3e26782b33f815ef44406a3699d33ecc972b8dbbb"),
    ("challenge", "4fbeb9301f365d918083644caf0cec47a02aadf2e55d495b01062533d712684e"),
]
SIX = hsb3.key(6)
SIX_D = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd036413b"
SIX_VKEY = "V.~~awqNLUwfGWHJdKDL8qptBrHnz5QA6BBlLv560eTLO.H3"
SIX_AUX = b"\x5a" * 32
SIX_SIGNATURE = (
    "26109d0140e190b3d5a9b4273e7c53a5eebca79baf8fdb6847aea5b4664d960a"
    "a2fd7699b461c8ac68d44f4a7c0b70f9ae163096647ea33b92a0bedcefa4b4f4"
)
SECRETS = [
    (b"init", "cd456f9b75d051b8c090091fbd64f6706c3f7692c5cf8a7ed73130b803fb8c7b",
     "V.ZCQ6rNNPm~ps~o4peKyV7dfEVj9mgLNzagbLeWYv9eG.H3"),
    (b"abc", "99730e3dc12166bd405bbe76d4844f1830e4b20c2453547919a5c22e3b6c5dee",
     "V.WLvpiI1KqWPtiEATOp_hrHLv5v1nHIlzjx02aodmhEW.H3"),
]
NEW_YEAR = (1_767_225_600, "1767225637:000000000")

L = "index/a-group/some-app/our-collection/item/|"
V = "V.XByqOYOgkMa025T8xwufzaAjCN5L61wECRPZKSo~eB0.H3"
S = "S.7NTEdlrOkMFBlBzHlFGSdDwsLVTyynKdbKdlR07OtVK.H3"
P = "P.VoNhMPxyBAekvVD2IqKjAhrkK1EtlB~BbCcL0Tnw4wp.H3"
LINES = SEAL.splitlines(keepends=True)
TREE: dict[str, bytes | str] = {
    "hash/B/xN/C0xRbHR_U4Tm7yW1L2UoIeXrsS2B1yLlTbKU4kT5p.H3": b"This is signed content.",
    "hash/P/Vo/NhMPxyBAekvVD2IqKjAhrkK1EtlB~BbCcL0Tnw4wp.H3": b"".join(LINES[3:9]),
    "hash/S/7N/TEdlrOkMFBlBzHlFGSdDwsLVTyynKdbKdlR07OtVK.H3": b"".join(LINES[:4]),
    f"ref/B/xN/C0xRbHR_U4Tm7yW1L2UoIeXrsS2B1yLlTbKU4kT5p/{P}": b"",
    f"ref/P/Vo/NhMPxyBAekvVD2IqKjAhrkK1EtlB~BbCcL0Tnw4wp/{S}/{V}": b"",
    f"{L}/plex/1640995200:000000000/{P}": b"",
    f"{L}/seal/{V}/1640995200:000000000/{S}": b"",
    f"{L}/tip": f"seal/{V}/1640995200:000000000/{S}",
    f"{L}/plex/tip": f"1640995200:000000000/{P}",
    f"{L}/seal/tip": f"{V}/1640995200:000000000/{S}",
    f"{L}/seal/{V}/tip": f"1640995200:000000000/{S}",
}
SIZES = {"B": 23, "P": 195, "S": 265}


def second_seal() -> Seal:
    """The same Plex, signed by another key."""
    return seal(SIGNED, SIX, SIX_AUX)


def check() -> int:
    """Compare everything; returns how many values agree."""
    pairs: list[tuple[str, Any, Any]] = [*_texts(), *_packets(), *_signatures()]
    for name, found, known in pairs:
        if found != known:
            raise AssertionError(f"{name}: {found!r}, not {known!r}")
    return len(pairs)


def _refused(text: str) -> bool:
    try:
        b64a.decode(text)
    except Bad:
        return True
    return False


def _texts() -> list[tuple[str, Any, Any]]:
    pairs: list[tuple[str, Any, Any]] = [(f"B64A of {hex_}", b64a.encode(bytes.fromhex(hex_)), text) for hex_, text in B64A]
    pairs += [(f"bytes of {text}", b64a.decode(text), bytes.fromhex(hex_)) for hex_, text in B64A]
    pairs += [(f"{text} is refused", _refused(text), True) for text in B64A_REFUSED]
    pairs += [("TAI", tai.of_unix(NEW_YEAR[0]), NEW_YEAR[1]), ("Unix time", tai.to_unix(NEW_YEAR[1]), (NEW_YEAR[0], 0))]
    return pairs


def _packets() -> list[tuple[str, Any, Any]]:
    pairs: list[tuple[str, Any, Any]] = []
    for unit, times, text, length in BLOBS:
        blob = Blob(unit * times)
        pairs += [("Blob", blob.hash, text), ("its length", len(blob.encode()), length)]
    for plex, text, length in PLEXES:
        pairs += [("Plex", plex.hash, text), ("its length", len(plex.encode()), length)]
    pairs += [
        ("the empty Blob", layout.EMPTY_BLOB, Blob(b"").hash),
        ("its digest", texts.payload(Blob(b"").hash).hex(), EMPTY_DIGEST),
        ("the Blob of the second Plex", PLEXES[1][0].blob.hash, BLOB_OF_SECOND),
        ("the Seal", seal(SIGNED, KEY, AUX).encode(), SEAL),
        ("its length", len(SEAL), 445),
        ("the Seal that is read", parse(SEAL), seal(SIGNED, KEY, AUX)),
        ("the second Seal", second_seal().hash, SECOND_SEAL),
        ("which is the greater one", second_seal().hash > seal(SIGNED, KEY, AUX).hash, True),
    ]
    found = parse(SEAL)
    assert isinstance(found, Seal)
    for packet in (found, found.plex, found.plex.blob):
        file = layout.file_bytes(packet)
        pairs += [(f"file of {packet.hash}", file, TREE[layout.hash_path(packet.hash)]),
                  ("its length", len(file), SIZES[packet.kind])]
    return pairs + [("the tree", tree([found]), TREE), ("tips of two Seals", two_tips(), _two_tips())]


def tree(seals: list[Seal]) -> dict[str, bytes | str]:
    """Files, and links with what they say, of a repository of Seals of one coordinate."""
    found: dict[str, bytes | str] = {}
    entries = set()
    for one in seals:
        for packet in (one, one.plex, one.plex.blob):
            found[layout.hash_path(packet.hash)] = layout.file_bytes(packet)
        found[layout.ref_blob(one.plex.blob.hash, one.plex.hash)] = b""
        found[layout.ref_plex(one.plex.hash, one.hash, one.vkey)] = b""
        entries |= {layout.version(one), layout.version(one.plex)}
    at = layout.versions(seals[0].plex)
    found |= {f"{at}/{entry}": b"" for entry in entries}
    return found | {f"{at}/{link}": target for link, target in layout.tips(sorted(entries)).items()}


def two_tips() -> dict[str, bytes | str]:
    """Tips of the coordinate that has both Seals."""
    both = tree([seal(SIGNED, KEY, AUX), second_seal()])
    return {path: target for path, target in both.items() if path in (f"{L}/tip", f"{L}/seal/tip")}


def _two_tips() -> dict[str, str]:
    entry = f"{SIX_VKEY}/1640995200:000000000/{SECOND_SEAL}"
    return {f"{L}/tip": f"seal/{entry}", f"{L}/seal/tip": entry}


def _signatures() -> list[tuple[str, Any, Any]]:
    message = texts.payload(SIGNED.hash)
    steps = hsb3.sign_steps(KEY, message, AUX)
    pairs: list[tuple[str, Any, Any]] = [
        ("x of the key", KEY.public.hex(), STEPS["public"]), ("d is kept", KEY.d, int.from_bytes(bytes(range(1, 33)), "big")),
        ("secret", KEY.secret, SECRET_TEXT), ("message", message.hex(), STEPS["message"]), ("t", steps.t.hex(), STEPS["t"]),
        ("k0", f"{steps.k0:064x}", STEPS["k0"]), ("R.y is odd", steps.r_odd, True), ("e", f"{steps.e:064x}", STEPS["e"]),
        ("signature", steps.signature.hex(), STEPS["signature"]),
        ("key 6", f"{SIX.d:064x}", SIX_D), ("its text", SIX.vkey, SIX_VKEY),
    ]
    pairs += [(f"tagged {tag}", hsb3.tagged(tag, b"").hex(), known) for tag, known in TAGGED]
    six = hsb3.sign_steps(SIX, bytes(range(32)), SIX_AUX)
    pairs += [("signature of key 6", six.signature.hex(), SIX_SIGNATURE), ("R.y is even", six.r_odd, False)]
    for secret, d, vkey in SECRETS:
        found = hsb3.key_of_secret(secret)
        pairs += [(f"key of {secret!r}", f"{found.d:064x}", d), ("its text", found.vkey, vkey)]
    return pairs


def cases() -> list[Case]:
    """The packets that were known, as cases."""
    found: list[Case] = []
    for unit, times, text, length in BLOBS:
        repeat = {"packet": Blob(unit * times).encode()} if times == 1 else {"unit": unit, "times": times}
        found.append({"name": f"Blob of {len(unit) * times} bytes", "hash": text, "length": length, **repeat})
    for plex, text, length in PLEXES:
        found.append({"name": f"Plex at {plex.location}", "hash": text, "length": length, "packet": plex.encode()})
    for name, one in (("Seal", parse(SEAL)), ("second Seal", second_seal())):
        found.append({"name": name, "hash": one.hash, "length": len(one.encode()), "packet": one.encode()})
    return [{**case, "cid": str(car.cid_of(case["hash"]))} for case in found]
