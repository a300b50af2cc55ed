"""Environment variables over the file: `PGVIGIL_DAEMON__LISTEN` is `listen` of `[daemon]`."""

from collections.abc import Mapping
from typing import Any

from pydantic_settings import BaseSettings, EnvSettingsSource

from daemon.settings.describe import keys_of
from daemon.settings.errors import Origin, Report, nearest
from daemon.settings.sections import DaemonSettings, MetricsSettings, RetentionSettings

PREFIX = "PGVIGIL_"
SECTIONS = {"daemon": DaemonSettings, "metrics": MetricsSettings, "retention": RetentionSettings}


class _Scalars(BaseSettings):
    """Tells the reader of the environment which variables there can be."""

    daemon: DaemonSettings
    metrics: MetricsSettings
    retention: RetentionSettings


def overlay(document: dict[str, Any], environ: Mapping[str, str], report: Report) -> None:
    """Puts the values of `environ` over those of `document`; lists of tables come from files only."""
    ours = {name.lower(): name for name in sorted(environ) if name.upper().startswith(PREFIX)}
    source = EnvSettingsSource(_Scalars, env_prefix=PREFIX, env_nested_delimiter="__")
    source.env_vars = {lowered: environ[name] for lowered, name in ours.items() if _known(name, report)}
    for section, values in source().items():
        table = document.setdefault(section, {})
        report.origins.setdefault((section,), Origin("environment", 0))
        if not isinstance(table, dict):
            continue
        for key, value in values.items():
            table[key] = value
            name = ours[f"{PREFIX}{section}__{key}".lower()]
            report.origins[section, key] = Origin(f"environment variable {name}", 0)


def _known(name: str, report: Report) -> bool:
    """Whether `name` sets a key; reports those that look as if they should.

    Variables of other forms are let be: a cluster sets some for each service (`PGVIGIL_PORT`).
    """
    section, nested, key = name.removeprefix(PREFIX).lower().partition("__")
    place = Origin(f"environment variable {name}", 0)
    if not nested:
        for known, model in SECTIONS.items():
            if (meant := section.removeprefix(f"{known}_")) != section and meant in keys_of(model):
                wanted = f"{PREFIX}{known}__{meant}".upper()
                report.add_at(place, "is not read", hint=f"two underscores after the section: {wanted}")
        return False
    if section not in SECTIONS:
        report.add_at(
            place,
            f"[{section}] is read from files only",
            hint=f"sections that variables can set: {', '.join(SECTIONS)}",
        )
        return False
    if key not in keys_of(SECTIONS[section]):
        report.add_at(place, "unknown key", hint=nearest(key, keys_of(SECTIONS[section])))
        return False
    return True
