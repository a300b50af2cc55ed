"""PostgreSQL's releases and ends of life, from `releases.toml` beside this file."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Release:
    """One minor release of a major version."""

    minor: int
    date: date
    security: bool


@dataclass(frozen=True, slots=True)
class Releases:
    """`minors` of a major version are the newest first; what came after `as_of` is not known."""

    as_of: date
    minors: Mapping[int, tuple[Release, ...]]
    end_of_life: Mapping[int, date]

    def missed(self, version_num: int) -> tuple[Release, ...]:
        """Those that are newer than the server's, the newest first; none that are known: not behind."""
        major, minor = split(version_num)
        return tuple(each for each in self.minors.get(major, ()) if each.minor > minor)


def split(version_num: int) -> tuple[int, int]:
    """Major and minor of `server_version_num`, from PostgreSQL 10 on: 150018 is (15, 18)."""
    return version_num // 10000, version_num % 10000


@cache
def releases() -> Releases:
    """What the file says."""
    return parse(Path(__file__).with_name("releases.toml").read_text(encoding="utf-8"))


def parse(text: str) -> Releases:
    """Raises ValueError, KeyError or TypeError for a file that is not as it should be."""
    known = tomllib.loads(text)
    minors: dict[int, list[Release]] = {}
    for each in known["releases"]:
        for major, minor in each["minors"].items():
            minors.setdefault(int(major), []).append(Release(minor, each["date"], each["security"]))
    return Releases(
        as_of=known["as_of"],
        minors={
            major: tuple(sorted(of, key=lambda one: one.minor, reverse=True)) for major, of in minors.items()
        },
        end_of_life={int(major): day for major, day in known["end_of_life"].items()},
    )
