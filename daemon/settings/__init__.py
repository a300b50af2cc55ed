"""The configuration: read, checked as a whole, frozen."""

from daemon.settings.errors import ConfigError, ConfigErrors
from daemon.settings.loader import load
from daemon.settings.rulebook import BoundRule
from daemon.settings.sections import (
    CollectorSettings,
    DaemonSettings,
    MetricsSettings,
    RouteSettings,
    TargetSettings,
)
from daemon.settings.settings import BoundSink, Settings

__all__ = [
    "BoundRule",
    "BoundSink",
    "CollectorSettings",
    "ConfigError",
    "ConfigErrors",
    "DaemonSettings",
    "MetricsSettings",
    "RouteSettings",
    "Settings",
    "TargetSettings",
    "load",
]
