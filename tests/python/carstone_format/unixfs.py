"""UnixFS nodes and trees (format section 7.5)."""

from dataclasses import dataclass, field

from .cid import RAW, SHA2_256, Cid, cid_of, encode_varint, node_cid
from .murmur3 import murmur3_x64_64

CHUNK = 1_048_576
_DIRECTORY, _FILE, _SYMLINK, _SHARD = 1, 2, 4, 5


@dataclass(frozen=True)
class Profile:
    """What decides the shape of trees, but for how files are cut. `shard`: what is counted, and the most of it that one node may
    have."""

    cid_version: int = 1
    raw_leaves: bool = True
    width: int = 1024
    shard: tuple[str, int] = ("node-bytes", 262_144)
    fanout: int = 256
    function: int = SHA2_256


V1_2025 = Profile()
V0_2015 = Profile(0, False, 174, ("link-bytes", 262_144))


@dataclass(frozen=True)
class Link:
    """A link to a DAG: its root, the bytes of all its blocks, and for files the content size."""

    cid: Cid
    total: int
    size: int = 0


@dataclass
class Node:
    """A dag-pb block."""

    cid: Cid
    data: bytes


@dataclass
class Built:
    """A DAG that was built: its root and its dag-pb blocks, children first."""

    root: Link
    nodes: list[Node] = field(default_factory=list)


def _bytes_field(number: int, value: bytes) -> bytes:
    return bytes([number << 3 | 2]) + encode_varint(len(value)) + value


def _int_field(number: int, value: int) -> bytes:
    return bytes([number << 3]) + encode_varint(value)


def encode_node(links: list[tuple[bytes, Link]], data: bytes) -> bytes:
    """A PBNode: links first, then data."""
    out = b""
    for name, link in links:
        body = _bytes_field(1, link.cid.raw) + _bytes_field(2, name) + _int_field(3, link.total)
        out += _bytes_field(2, body)
    return out + _bytes_field(1, data)


def _finish(profile: Profile, links: list[tuple[bytes, Link]], data: bytes, size: int = 0) -> tuple[Link, Node]:
    block = encode_node(links, data)
    cid = node_cid(profile.cid_version, block, profile.function)
    return Link(cid, len(block) + sum(link.total for _, link in links), size), Node(cid, block)


def leaf(content: bytes, function: int = SHA2_256) -> Link:
    """The link to a raw leaf."""
    return Link(cid_of(RAW, content, function), len(content), len(content))


def wrapped_leaf(profile: Profile, content: bytes) -> tuple[Link, bytes]:
    """The link to a leaf, and its block: content of its own, or a node around it."""
    if profile.raw_leaves:
        return leaf(content, profile.function), content
    inside = _bytes_field(2, content) if content else b""
    link, node = _finish(profile, [], _int_field(1, _FILE) + inside + _int_field(3, len(content)), len(content))
    return link, node.data


def build_file(leaves: list[Link], profile: Profile = V1_2025) -> Built:
    """The balanced tree over the leaves of a file. Nodes of a level stand before those of the next."""
    nodes: list[Node] = []
    level = leaves
    while len(level) > 1:
        above = []
        for at in range(0, len(level), profile.width):
            link, node = _file_node(profile, level[at : at + profile.width])
            above.append(link)
            nodes.append(node)
        level = above
    return Built(level[0], nodes)


def _file_node(profile: Profile, children: list[Link]) -> tuple[Link, Node]:
    size = sum(child.size for child in children)
    data = _int_field(1, _FILE) + _int_field(3, size) + b"".join(_int_field(4, child.size) for child in children)
    return _finish(profile, [(b"", child) for child in children], data, size)


def symlink(target: bytes, profile: Profile = V1_2025) -> tuple[Link, Node]:
    """The node of a symlink."""
    return _finish(profile, [], _int_field(1, _SYMLINK) + _bytes_field(2, target))


def build_directory(children: dict[bytes, Link], profile: Profile = V1_2025) -> Built:
    """The node of a directory over its named children, or its HAMT when it is above the threshold."""
    links = sorted(children.items())
    root, node = _finish(profile, links, _int_field(1, _DIRECTORY))
    what, most = profile.shard
    size = {"node-bytes": len(node.data), "entries": len(links),
            "link-bytes": sum(len(name) + len(link.cid.raw) for name, link in links)}[what]
    if size <= most:
        return Built(root, [node])
    return _build_shard(profile, [(int.from_bytes(murmur3_x64_64(name), "big"), name, link) for name, link in links], 64)


def _build_shard(profile: Profile, values: list[tuple[int, bytes, Link]], left: int) -> Built:
    bits = profile.fanout.bit_length() - 1
    slots: dict[int, list[tuple[int, bytes, Link]]] = {}
    for value in values:
        slots.setdefault(value[0] >> (left - bits) & (profile.fanout - 1), []).append(value)
    nodes: list[Node] = []
    links: list[tuple[bytes, Link]] = []
    bitmap = 0
    for slot in sorted(slots):
        bitmap |= 1 << slot
        prefix = f"{slot:0{(bits + 3) // 4}X}".encode()
        inside = slots[slot]
        if len(inside) == 1:
            links.append((prefix + inside[0][1], inside[0][2]))
            continue
        child = _build_shard(profile, inside, left - bits)
        nodes += child.nodes
        links.append((prefix, child.root))
    bytes_set = bitmap.to_bytes((bitmap.bit_length() + 7) // 8, "big")
    data = _int_field(1, _SHARD) + _bytes_field(2, bytes_set) + _int_field(5, 0x22) + _int_field(6, profile.fanout)
    root, node = _finish(profile, links, data)
    return Built(root, nodes + [node])


@dataclass
class Tree:
    """The directory nodes of a whole tree."""

    root: Link
    nodes: list[Node]
    directories: dict[bytes, Link]


def children_of(files: dict[bytes, Link], directories: set[bytes]) -> dict[bytes, dict[bytes, Link]]:
    """The named entries that are no directories, by directory and name.

    `files` are files, symlinks and hard links by path; `directories` are the announced directories. What has a
    component that is not UTF-8 is left out.
    """
    children: dict[bytes, dict[bytes, Link]] = {b"": {}}
    wanted = {path for path in directories if is_text(path)}
    named = {path: link for path, link in files.items() if is_text(path)}
    for path in list(wanted) + [parent_of(path) for path in named]:
        while path not in children:
            children[path] = {}
            path = parent_of(path)
    for path, link in named.items():
        children[parent_of(path)][name_of(path)] = link
    return children


def build_tree(files: dict[bytes, Link], directories: set[bytes], profile: Profile = V1_2025) -> Tree:
    """Directory nodes over all that `children_of` finds, children before parents, the root last."""
    children = children_of(files, directories)
    nodes: list[Node] = []
    links: dict[bytes, Link] = {}
    for path in sorted(children, key=lambda path: (-depth_of(path), components(path))):
        built = build_directory(children[path], profile)
        nodes += built.nodes
        links[path] = built.root
        if path:
            children[parent_of(path)][name_of(path)] = built.root
    return Tree(links[b""], nodes, links)


def is_text(path: bytes) -> bool:
    """Whether a path is UTF-8."""
    try:
        path.decode()
    except UnicodeDecodeError:
        return False
    return True


def components(path: bytes) -> list[bytes]:
    """The components of a path; none for the root. Paths are sorted by this."""
    return path.split(b"/") if path else []


def depth_of(path: bytes) -> int:
    """The number of components."""
    return len(components(path))


def parent_of(path: bytes) -> bytes:
    """The path of the directory that holds the entry."""
    return path.rpartition(b"/")[0]


def name_of(path: bytes) -> bytes:
    """The last component."""
    return path.rpartition(b"/")[2]
