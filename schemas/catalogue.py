"""All checks there are: the files of `schemas/checks/`."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from schemas.check import Check, parse


@cache
def checks() -> Mapping[str, Check]:
    """By name, in alphabetical order. Raises HeaderError."""
    folder = files("schemas") / "checks"
    texts = {
        each.name.removesuffix(".sql"): each.read_text(encoding="utf-8")
        for each in folder.iterdir()
        if each.name.endswith(".sql")
    }
    return MappingProxyType({name: parse(name, texts[name]) for name in sorted(texts)})
