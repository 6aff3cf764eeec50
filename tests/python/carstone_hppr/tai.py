"""TAI stamps, `<seconds>:<nanoseconds>`, and leap seconds."""

import re

from .errors import require

# From this second of Unix time on, TAI is ahead by so many seconds.
LEAPS = [
    (63072000, 10), (78796800, 11), (94694400, 12), (126230400, 13), (157766400, 14), (189302400, 15),
    (220924800, 16), (252460800, 17), (283996800, 18), (315532800, 19), (362793600, 20), (394329600, 21),
    (425865600, 22), (489024000, 23), (567993600, 24), (631152000, 25), (662688000, 26), (709948800, 27),
    (741484800, 28), (773020800, 29), (820454400, 30), (867715200, 31), (915148800, 32), (1136073600, 33),
    (1230768000, 34), (1341100800, 35), (1435708800, 36), (1483228800, 37),
]
BEFORE = 10
SHAPE = re.compile(r"[0-9]{10}:[0-9]{9}", re.ASCII)
MOST = 9_999_999_999


def is_tai(text: str) -> bool:
    """Whether a text has the shape of a stamp."""
    return SHAPE.fullmatch(text) is not None


def stamp(seconds: int, nanoseconds: int) -> str:
    """The text of a stamp on the TAI scale."""
    require(0 <= seconds <= MOST and 0 <= nanoseconds < 10**9, "tai", f"{seconds}:{nanoseconds}")
    return f"{seconds:010}:{nanoseconds:09}"


def parts(text: str) -> tuple[int, int]:
    """Seconds and nanoseconds of a stamp."""
    require(is_tai(text), "tai", text)
    return int(text[:10]), int(text[11:])


def of_unix(seconds: int, nanoseconds: int = 0) -> str:
    """The stamp of an instant of Unix time."""
    ahead = max((row for row in LEAPS if row[0] <= seconds), default=(0, BEFORE))[1]
    return stamp(seconds + ahead, nanoseconds)


def to_unix(text: str) -> tuple[int, int]:
    """The instant of a stamp in Unix time; a leap second has that of the second behind it."""
    seconds, nanoseconds = parts(text)
    ahead = max((row for row in LEAPS if row[0] + row[1] <= seconds), default=(0, BEFORE))[1]
    return seconds - ahead, nanoseconds
