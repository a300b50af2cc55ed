"""How the value of an incident went: a few points kept with it, and drawn as a line. Pure."""

from collections.abc import Sequence
from datetime import datetime
from math import isfinite

from pgvigil.model.series import Point

MOST = 48  # points that an incident keeps
WIDTH = 24  # characters, or steps of a drawing
_FEWEST = 3  # points; two are told by their numbers as well
_BARS = "▁▂▃▄▅▆▇█"

Course = tuple[Point, ...]


def grown(course: Course, at: datetime, value: float | None) -> Course:
    """With the value of now; the same as before needs no point, since a value holds until the next one."""
    if value is None or not isfinite(value) or (course and course[-1].value == value):
        return course
    longer = (*course, Point(at, value))
    return longer if len(longer) <= MOST else _halved(longer)


def _halved(course: Course) -> Course:
    """The first and the last, and of each four between them the least and the largest: neither end is ever lost."""
    inner = course[1:-1]
    kept = [course[0]]
    for place in range(0, len(inner), 4):
        four = sorted(inner[place : place + 4], key=lambda point: point.value)
        kept += sorted({four[0], four[-1]})
    return (*kept, course[-1])


def heights(course: Course, until: datetime, steps: int = WIDTH) -> Sequence[float]:
    """The course in steps of equal time up to `until`, each the largest value that held in it, from 0 (the least) to 1
    (the largest). Empty where there is too little to draw.
    """
    if len(course) < _FEWEST or until <= course[0].at:
        return ()
    began, each_s = course[0].at, (until - course[0].at).total_seconds() / steps
    largest: list[float | None] = [None] * steps
    for point in course:
        step = min(steps - 1, max(0, int((point.at - began).total_seconds() / each_s)))
        held = largest[step]
        largest[step] = point.value if held is None else max(held, point.value)
    values = _held(largest, course, began.timestamp(), each_s)
    least, most = min(point.value for point in course), max(point.value for point in course)
    return [(value - least) / (most - least) for value in values]


def _held(largest: Sequence[float | None], course: Course, began_s: float, each_s: float) -> list[float]:
    """A step without a point of its own has the value that the last point before it brought."""
    stamps = [point.at.timestamp() for point in course]
    found, place = [], 0
    for step, value in enumerate(largest):
        while place + 1 < len(course) and stamps[place + 1] < began_s + step * each_s:
            place += 1
        found.append(course[place].value if value is None else value)
    return found


def drawn(course: Course, until: datetime) -> str:
    """The course in block letters; "" where there is too little to draw."""
    return "".join(_BARS[round(height * (len(_BARS) - 1))] for height in heights(course, until))
