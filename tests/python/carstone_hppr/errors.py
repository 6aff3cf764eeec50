"""What is wrong with bytes or a text: a short stable name, and where."""


class Bad(Exception):
    """A rule does not hold. `at` is the offset of the line that breaks it, or of the byte where there are no lines."""

    def __init__(self, name: str, detail: str, at: int = 0) -> None:
        super().__init__(f"{name} at byte {at}: {detail}")
        self.name = name
        self.detail = detail
        self.at = at


def require(holds: bool, name: str, detail: str, at: int = 0) -> None:
    """Raise `Bad` unless `holds`."""
    if not holds:
        raise Bad(name, detail, at)
