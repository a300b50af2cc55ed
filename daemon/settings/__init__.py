"""The configuration: read, checked as a whole, frozen."""

from daemon.settings.errors import ConfigError, ConfigErrors
from daemon.settings.loader import load
from daemon.settings.sections import (
    CollectorSettings,
    DaemonSettings,
    MetricsSettings,
    RetentionSettings,
    TargetSettings,
)
from daemon.settings.settings import BoundSink, Settings

__all__ = [
    "BoundSink",
    "CollectorSettings",
    "ConfigError",
    "ConfigErrors",
    "DaemonSettings",
    "MetricsSettings",
    "RetentionSettings",
    "Settings",
    "TargetSettings",
    "load",
]
