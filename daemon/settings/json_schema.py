"""The JSON schema of a configuration file, for editors."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from daemon.settings.describe import key_docs, schema_of
from daemon.settings.maintenance import MaintenanceSettings
from daemon.settings.plugins import Plugins, collector_section
from daemon.settings.relations import GroupSettings, InhibitSettings
from daemon.settings.routing import RouteSettings
from daemon.settings.rulebook import INSTANCES, OVERRIDES, TEMPLATE
from daemon.settings.sections import (
    DaemonSettings,
    MetricsSettings,
    PersonSettings,
    RetentionSettings,
    TargetSettings,
    TokenSettings,
)


def json_schema(plugins: Plugins) -> dict[str, Any]:
    """A JSON schema (draft 2020-12) that names every key that `plugins` and pgvigil itself have."""
    collectors = {name: collector_section(each) for name, each in plugins.collectors.items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "pgvigil's configuration",
        **_closed(
            {
                "include": {"type": "array", "items": {"type": "string"}},
                "daemon": _section(DaemonSettings),
                "metrics": _section(MetricsSettings),
                "retention": _section(RetentionSettings),
                "targets": {"type": "array", "items": _section(TargetSettings)},
                "collectors": _closed({name: _section(model) for name, model in collectors.items()}),
                "rules": _closed({name: _rule(name, rule.params) for name, rule in plugins.rules.items()}),
                "sinks": {
                    "type": "object",
                    "additionalProperties": {
                        "anyOf": [_sink(k.name, k.params) for k in plugins.sinks.values()]
                    },
                },
                "routes": {"type": "array", "items": _section(RouteSettings)},
                "tokens": {"type": "array", "items": _section(TokenSettings)},
                "people": {"type": "array", "items": _section(PersonSettings)},
                "maintenance": {"type": "array", "items": _section(MaintenanceSettings)},
                "groups": {"type": "array", "items": _section(GroupSettings)},
                "inhibitions": {"type": "array", "items": _section(InhibitSettings)},
            }
        ),
    }


def _closed(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": dict(properties)}


def _section(model: type[BaseModel]) -> dict[str, Any]:
    """A section's schema with its definitions put in place, so that schemas can be nested."""
    schema = schema_of(model)
    inlined = dict(_inlined(schema, schema.pop("$defs", {})))
    for doc in key_docs(model):  # defaults as a file would hold them
        prop = {key: value for key, value in inlined["properties"][doc.key].items() if key != "default"}
        inlined["properties"][doc.key] = prop if doc.default is None else {**prop, "default": doc.default}
    return inlined


def _inlined(value: Any, definitions: Mapping[str, Any]) -> Any:
    if isinstance(value, list):
        return [_inlined(item, definitions) for item in value]
    if not isinstance(value, dict):
        return value
    if "$ref" in value:
        name = str(value["$ref"]).rpartition("/")[2]
        return {**_inlined(definitions[name], definitions), **{k: v for k, v in value.items() if k != "$ref"}}
    return {key: _inlined(inner, definitions) for key, inner in value.items()}


def _rule(name: str, params: type[BaseModel]) -> dict[str, Any]:
    schema = _section(params)
    override = {**schema, "required": []}
    with_overrides = {
        **schema,
        "properties": {
            **schema["properties"],
            OVERRIDES: {"type": "object", "additionalProperties": override},
        },
    }
    if name != TEMPLATE:
        return with_overrides
    return _closed({INSTANCES: {"type": "object", "additionalProperties": with_overrides}})


def _sink(kind: str, params: type[BaseModel]) -> dict[str, Any]:
    schema = _section(params)
    return {
        **schema,
        "properties": {"kind": {"const": kind}, **schema["properties"]},
        "required": ["kind", *schema.get("required", [])],
    }
