"""Incidents that are one happening when several of them begin together."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Together:
    """Of one target, and with `in_one_database` of one database of it: `least` that begin within `within_s` are told as
    one. Two are enough where their `Evidence.share_percent` come to `least_share_percent`.

    `name` is what people read ("server-wide slow-down").
    """

    name: str
    least: int
    within_s: float
    least_share_percent: float | None = None
    in_one_database: bool = False
