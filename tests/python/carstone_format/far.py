"""Checks the far region against the content: directory nodes, manifest, index, tail (format section 7.6)."""

from typing import Any

from . import dag, records, unixfs
from .car import Section
from .cid import RAW, Cid, decode_cid, decode_varint
from .errors import require
from .pack_writer import MANIFEST_KEYS, byte_len, prefix_len
from .records import DIRECTORY, FILE, HARD_LINK, INDEX, MANIFEST, SYMLINK, is_uint
from .walk import Entry, Walk


class Far:
    """The far region of a walked stream; the constructor checks all of it."""

    def __init__(self, walk: Walk, mark: int | None) -> None:
        require(walk.tail is not None, "missing", "7.6", "tail record")
        section, self.tail = walk.tail
        require(mark == section.position, "mark", "6", f"mark {mark}, tail record at {section.position}")
        self.walk = walk
        self.at = {section.position: section for section in walk.sections}
        self.leaf_at = [section for section in walk.content if section.cid.codec == RAW]
        self.leaf_number = {section.position: n for n, section in enumerate(self.leaf_at)}
        files = {entry.path: entry.link for entry in walk.kept() if entry.link is not None}
        directories = {entry.path for entry in walk.kept() if entry.kind == DIRECTORY}
        roots = self.tail.get("r")
        one = isinstance(roots, list) and len(roots) == 1 and isinstance(roots[0], Cid)
        require(one, "tail", "7.6", "r is not one link")
        nodes = {cid: section.data for cid, section in walk.blocks.items()}
        self.tree = dag.read_tree(roots[0], nodes, files, directories)
        self.start = self._directory_nodes()
        self._manifest()
        self._index()
        self._tail()

    def _directory_nodes(self) -> int:
        """Check the directory nodes; returns where the far region starts."""
        wanted = {node.cid: node for node in self.tree.nodes}
        nodes: list[Section] = []
        for section in reversed(self.walk.content):
            if section.cid not in wanted or section.cid in self.walk.inner:
                break
            nodes.insert(0, section)
        order = [section.cid for section in nodes]
        for cid in wanted:
            require(cid in order, "missing", "7.5", f"directory node {cid} in the far region")
        require(len(order) == len(set(order)), "order", "7.6", "a directory node stands twice")
        require(order[-1] == self.tree.root.cid, "order", "7.5", "the root directory is not the last directory node")
        seen: set[Cid] = set()
        for section in nodes:
            for link in _links(section.data):
                require(link not in wanted or link in seen, "order", "7.5", f"{link} stands behind its parent")
            seen.add(section.cid)
        unfinished = any(entry.abandoned for entry in self.walk.entries.values())
        stray = self.walk.stray_nodes(set(wanted))
        require(unfinished or not stray, "stray", "7", f"{len(stray)} blocks belong to nothing")
        return nodes[0].position

    # Page trees.

    def _levels(self, kind: int, root: Any, name: str) -> list[list[Section]]:
        """The pages of a tree by level, checked for order."""
        levels: list[list[Section]] = []
        for page in self.walk.pages[kind]:
            level = self.walk.page_fields[page.position].get("l")
            require(is_uint(level) and level <= len(levels), "order", "7.6", f"{name} page at {page.position}: level")
            require(level >= len(levels) - 1, "order", "7.6", f"{name} page at {page.position} behind the next level")
            if level == len(levels):
                levels.append([])
            levels[level].append(page)
        require(bool(levels), "missing", "7.6", f"{name} pages")
        alone = len(levels[-1]) == 1 and levels[-1][0].position == root
        require(alone, "root", "7.6", f"{name} root page is not at {root}")
        require(all(len(level) > 1 for level in levels[:-1]), "order", "7.6", f"{name}: parent of a single page")
        return levels

    def _manifest(self) -> None:
        levels = self._levels(MANIFEST, self.tail.get("m"), "manifest")
        listed: list[dict[str, Any]] = []
        heads: list[list[Any]] = []
        for page in levels[0]:
            entries = self._list(page, "e")
            require(all(isinstance(entry, dict) for entry in entries), "manifest", "7.6", "entry is not a map")
            listed += entries
            heads.append([entries[0].get("p"), page.position])
        for level in levels[1:]:
            found: list[Any] = []
            above = []
            for page in level:
                entries = self._list(page, "e")
                found += entries
                above.append([entries[0][0], page.position])
            require(found == heads, "manifest", "7.6", "parent pages do not list their children in order")
            heads = above
        self._check_paths(listed)
        entries = {entry.path: entry for entry in self.walk.kept()}
        for item in listed:
            self._manifest_entry(item, entries.get(item["p"]))

    def _list(self, page: Section, key: str) -> list[Any]:
        value = self.walk.page_fields[page.position].get(key)
        require(isinstance(value, list) and bool(value), "manifest", "7.6", f"page at {page.position} is empty")
        return value

    def _check_paths(self, listed: list[dict[str, Any]]) -> None:
        paths = []
        for item in listed:
            records.check_path(item.get("p"), "manifest entry")
            records.require_known(item, f"manifest entry {item['p']!r}")
            paths.append(item["p"])
        keys = [unixfs.components(path) for path in paths]
        ordered = all(before < after for before, after in zip(keys, keys[1:]))
        require(ordered, "manifest", "7.6", "entries are not sorted by path")
        expected = {b""} | {entry.path for entry in self.walk.kept()}
        for path in list(expected):
            while path:
                path = unixfs.parent_of(path)
                expected.add(path)
        difference = sorted(expected ^ set(paths))
        require(not difference, "manifest", "7.6", f"manifest and entries differ in {difference[:3]}")

    def _manifest_entry(self, item: dict[str, Any], entry: Entry | None) -> None:
        path = item["p"]
        where = f"manifest entry {path!r}"
        if entry is None:
            expected: dict[str, Any] = {"k": DIRECTORY, "p": path}
        else:
            expected = {key: entry.fields[key] for key in MANIFEST_KEYS if key in entry.fields}
            expected |= {"b": entry.batch_at, "i": entry.id}
            if entry.kind == FILE:
                expected["z"] = entry.size
                linked = unixfs.is_text(path) and entry.link.cid.codec == RAW
                if not linked:
                    expected["h"] = entry.sha256
        for key in (*MANIFEST_KEYS, "b", "h", "i"):
            right = item.get(key) == expected.get(key)
            require(right, "manifest", "7.6", f"{where}: {key} is {item.get(key)!r}, not {expected.get(key)!r}")
        if "c" in item:
            self._through_nodes(item, entry, where)
        else:
            self._runs(item.get("r", []), entry, path, where)

    def _through_nodes(self, item: dict[str, Any], entry: Entry | None, where: str) -> None:
        """An entry with `c`: a file of very many runs, read through its nodes."""
        many = entry is not None and entry.kind == FILE and len(entry.pieces) > records.MAX_RUNS
        require(many and "r" not in item, "runs", "7.6", f"{where}: c without more than {records.MAX_RUNS} runs")
        require(item["c"] == entry.link.cid, "manifest", "7.6", f"{where}: c is not {entry.link.cid}")

    def _runs(self, runs: Any, entry: Entry | None, path: bytes, where: str) -> None:
        shaped = isinstance(runs, list) and len(runs) % 2 == 0 and all(is_uint(number) for number in runs)
        require(shaped, "runs", "7.6", where)
        kind = entry.kind if entry else DIRECTORY
        if kind == HARD_LINK:
            require(not runs, "runs", "7.6", f"{where}: hard link with runs")
        elif kind in (DIRECTORY, SYMLINK):
            link = self.tree.directories.get(path) if kind == DIRECTORY else entry.link
            expected = [] if link is None else [0, self.walk.blocks[link.cid].position]
            same = runs == expected or (expected and self._is_block(runs, link.cid))
            require(same, "runs", "7.6", f"{where}: {runs}, not {expected}")
        elif not (entry.size == 0 and not runs):
            require(len(runs) <= 2 * records.MAX_RUNS, "runs", "7.6", f"{where}: {len(runs) // 2} runs")
            self._file_runs(runs, entry, where)

    def _is_block(self, runs: list[int], cid: Cid) -> bool:
        """Whether a pair points at any copy of a block."""
        return len(runs) == 2 and runs[0] == 0 and runs[1] in self.at and self.at[runs[1]].cid == cid

    def _file_runs(self, runs: list[int], entry: Entry, where: str) -> None:
        offsets, positions = runs[::2], runs[1::2]
        grows = all(before < after for before, after in zip(offsets, offsets[1:]))
        require(bool(runs) and offsets[0] == 0 and grows, "runs", "7.6", f"{where}: offsets {offsets[:8]}")
        found: list[Cid] = []
        for offset, position, end in zip(offsets, positions, [*offsets[1:], entry.size]):
            require(position in self.leaf_number, "runs", "7.6", f"{where}: no leaf at {position}")
            number = self.leaf_number[position]
            first = True
            while offset < end or (first and entry.size == 0):
                require(number < len(self.leaf_at), "runs", "7.6", f"{where}: run at {position} passes the last leaf")
                leaf = self.leaf_at[number]
                found.append(leaf.cid)
                offset, number, first = offset + len(leaf.data), number + 1, False
            require(offset == end, "runs", "7.6", f"{where}: run at {position} does not end at {end}")
        leaves = [entry.pieces[at][0].cid for at in sorted(entry.pieces)]
        require(found == leaves, "runs", "7.6", f"{where}: runs give other leaves")

    def _index(self) -> None:
        levels = self._levels(INDEX, self.tail.get("x"), "index")
        sections = self.walk.content
        prefix = prefix_len(len(sections))
        width = byte_len(max(section.position for section in sections))
        rows = sorted((section.cid.digest[:prefix].ljust(prefix, b"\0"), section.position) for section in sections)
        size = width
        for level in levels:
            found: list[tuple[bytes, int]] = []
            heads = []
            for page in level:
                page_rows = self._index_rows(page, prefix, width, size)
                found += page_rows
                heads.append((page_rows[0][0], page.position))
            require(found == rows, "index", "7.6", "entries are not those of the content, sorted")
            rows, size = heads, 8

    def _index_rows(self, page: Section, prefix: int, width: int, size: int) -> list[tuple[bytes, int]]:
        fields = self.walk.page_fields[page.position]
        where = f"index page at {page.position}"
        right = fields.get("n") == prefix and fields.get("w") == width
        require(right, "index", "7.6", f"{where}: n {fields.get('n')}, w {fields.get('w')}; not {prefix}, {width}")
        data, step = fields.get("d"), prefix + size
        shaped = isinstance(data, bytes) and bool(data) and len(data) % step == 0
        require(shaped, "index", "7.6", f"{where}: d")
        return [(data[at : at + prefix], int.from_bytes(data[at + prefix : at + step], "little"))
                for at in range(0, len(data), step)]

    def _tail(self) -> None:
        total = sum(entry.size for entry in self.walk.kept() if entry.kind == FILE)
        expected = {"b": len(self.walk.content), "e": len(self.walk.kept()), "r": [self.tree.root.cid], "s": 0,
                    "z": total}
        for key, value in expected.items():
            require(self.tail.get(key) == value, "tail", "7.6", f"{key} is {self.tail.get(key)}, not {value}")


def _links(node: bytes) -> list[Cid]:
    """The CIDs a dag-pb node links to."""
    links = []
    at = 0
    while at < len(node):
        tag, at = decode_varint(node, at)
        length, at = decode_varint(node, at)
        if tag == 0x12:
            inner, pos = decode_varint(node, at)
            require(inner == 0x0A, "dag-pb", "7.5", "link does not start with its hash")
            size, pos = decode_varint(node, pos)
            links.append(decode_cid(node[pos : pos + size])[0])
        at += length
    return links
