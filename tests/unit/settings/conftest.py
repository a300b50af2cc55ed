"""A few plug-ins of our own, so that these tests do not change when a real one does."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field

from daemon.settings import ConfigErrors, Settings
from daemon.settings.loader import load
from daemon.settings.plugins import Plugins
from pgvigil.model.finding import NOTHING, Judgement
from pgvigil.plugins import (
    Collector,
    DurationParams,
    LaneKind,
    Params,
    Rule,
    RuleDoc,
    SeverityParams,
    SinkKind,
)
from pgvigil.units import DurationS

DOC = RuleDoc(meaning="m", magnitude="", why_these_defaults="w", evidence="e", what_to_do="d")


class SlowParams(DurationParams):
    warning: DurationS | None = 0.5
    critical: DurationS | None = 5.0
    min_calls: int = Field(5, ge=1, le=1000, description="Calls in the interval.")


class HookParams(Params):
    token_file: Path = Field(description="File with the token.")
    channel: str = Field("#ops", description="Where to.")


def judge(*_: object) -> Judgement:
    return Judgement((), NOTHING)


def rule(name: str, params: type[Any]) -> Rule[Any]:
    return Rule(name=name, watches=("statements",), params=params, evaluate=judge, doc=DOC)


def _collector(name: str, interval_s: float) -> Collector[Any]:
    return Collector(
        name=name,
        summary="s",
        lane=LaneKind.SERVER,
        interval_s=interval_s,
        timeout_s=5,
        queries=(),
        read=lambda _reader: None,
    )


PLUGINS = Plugins(
    collectors={name: _collector(name, s) for name, s in (("activity", 10), ("statements", 60))},
    rules={
        "slow_query": rule("slow_query", SlowParams),
        "target_down": rule("target_down", SeverityParams),
    },
    sinks={"hook": SinkKind(name="hook", summary="s", params=HookParams, build=lambda *_: None)},  # type: ignore[arg-type,return-value]
)

Load = Callable[..., Settings]


@pytest.fixture
def load_text(tmp_path: Path) -> Load:
    """Loads `text` as pgvigil.toml, beside whatever other files are named."""

    def loaded(text: str, environ: dict[str, str] | None = None, **files: str) -> Settings:
        for name, content in files.items():
            (tmp_path / f"{name}.toml").write_text(content)
        (tmp_path / "pgvigil.toml").write_text(text)
        return load(tmp_path / "pgvigil.toml", environ or {}, PLUGINS)

    return loaded


@pytest.fixture
def errors_of(load_text: Load, tmp_path: Path) -> Callable[..., list[str]]:
    """The errors of a text as people read them, without the directory."""

    def listed(text: str, environ: dict[str, str] | None = None, **files: str) -> list[str]:
        with pytest.raises(ConfigErrors) as caught:
            load_text(text, environ, **files)
        return [str(error).replace(f"{tmp_path}/", "") for error in caught.value.errors]

    return listed
