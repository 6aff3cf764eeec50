"""Where things lie in a repository, and what thin files hold. Paths are relative texts with `/`."""

from . import headers, texts
from .errors import Bad, require
from .packet import Lines, Packet, Plex, Seal, markline

EMPTY_BLOB = "B.svyLzSM7ffc91i~XDbkMnuOsdjsw_6GrXpTSckqHlpO.H3"
FOLDERS = ("hash/B", "hash/P", "hash/S", "ref/B", "ref/P", "index", "detach", ".tmp")


def hash_path(text: str) -> str:
    """The file of a packet."""
    return f"hash/{text[0]}/{text[2:4]}/{text[4:]}"


def ref_folder(text: str) -> str:
    """The directory of what refers to a Blob or a Plex."""
    return f"ref/{text[0]}/{text[2:4]}/{text[4:45]}"


def ref_blob(blob: str, plex: str) -> str:
    """The entry from a Blob to a Plex."""
    return f"{ref_folder(blob)}/{plex}"


def ref_plex(plex: str, seal: str, vkey: str) -> str:
    """The entry from a Plex to a Seal."""
    return f"{ref_folder(plex)}/{seal}/{vkey}"


def versions(plex: Plex) -> str:
    """The directory `|` of a coordinate."""
    return f"index/{plex.group}/{plex.app}/{plex.location}/|"


def version(found: Plex | Seal) -> str:
    """The index entry of a packet, relative to the directory `|`."""
    if isinstance(found, Seal):
        return f"seal/{found.vkey}/{found.plex.tai}/{found.hash}"
    return f"plex/{found.tai}/{found.hash}"


def rank(entry: str) -> tuple[str, str]:
    """What entries below `|` are compared by: the later stamp wins, then the greater hash."""
    parts = entry.split("/")
    return parts[-2], parts[-1]


def tips(entries: list[str]) -> dict[str, str]:
    """Links below `|` and what they must say, for the index entries that are there."""
    found = {}
    folders = {""} | {f"{entry.split('/')[0]}/" for entry in entries}
    folders |= {"/".join(entry.split("/")[:2]) + "/" for entry in entries if entry.startswith("seal/")}
    for folder in sorted(folders):
        below = [entry for entry in entries if entry.startswith(folder)]
        if below:
            found[f"{folder}tip"] = max(below, key=rank).removeprefix(folder)
    return found


def file_bytes(found: Packet, own: bool = True) -> bytes:
    """What the file of a packet holds; `own` is whether a thin file starts with its markline."""
    if isinstance(found, Seal):
        return (markline(found.hash) if own else b"") + found.seal_lines() + markline(found.plex.hash)
    if isinstance(found, Plex):
        return (markline(found.hash) if own else b"") + found.header_lines() + markline(found.blob.hash)
    return found.data


def thin(data: bytes, text: str) -> tuple[bytes, str]:
    """Header lines of the thin file of `text`, and the hash text on its last line."""
    kind, inner = text[0], {"P": "B", "S": "P"}[text[0]]
    lines = Lines(data)
    if lines.at_mark():
        own, at = lines.mark(kind)
        require(own == text, "markline", "not that of the path", at)
    start = lines.at
    if kind == "S":
        lines.header("Seal-By")
        lines.header("Seal-Sig")
    else:
        while not lines.at_mark():
            line, at = lines.line()
            headers.split(line, at)
    end = lines.at
    last, _ = lines.mark(inner)
    require(lines.at == len(data), "trailing", f"{len(data) - lines.at} bytes", lines.at)
    return data[start:end], last


def is_hash_name(name: str, kind: str, folder: str) -> str | None:
    """The hash text of a file of `hash/`, or of a directory of `ref/` with `.H3` put behind it."""
    text = f"{kind}.{folder}{name}"
    try:
        texts.payload(text, kind)
    except Bad:
        return None
    return text
