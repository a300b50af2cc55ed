"""What is built and installed is exactly what the source tree holds."""

import zipfile
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from pgvigil import __version__
from tests.support.source import PACKAGES, PYPROJECT, ROOT
from tests.support.wheel import build


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    with zipfile.ZipFile(build(tmp_path_factory.mktemp("wheel"))) as archive:
        yield archive


def source_files() -> set[str]:
    files = (
        path.relative_to(ROOT)
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file()
    )
    return {
        str(path) for path in files if not any(part.startswith((".", "__pycache__")) for part in path.parts)
    }


def test_wheel_has_our_packages_at_its_top_level_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    top = {name.partition("/")[0] for name in wheel.namelist()}
    metadata = f"pgvigil-{__version__}.dist-info"
    assert top == {*PACKAGES, metadata}


def test_wheel_holds_every_file_of_the_packages(wheel: zipfile.ZipFile) -> None:
    """Templates, SQL, migrations and typing markers included."""
    assert {name for name in wheel.namelist() if ".dist-info/" not in name} == source_files()


def test_wheel_says_that_it_is_typed(wheel: zipfile.ZipFile) -> None:
    assert {f"{package}/py.typed" for package in PACKAGES} <= set(wheel.namelist())


def test_wheel_installs_the_command(wheel: zipfile.ZipFile) -> None:
    (entry_points,) = (name for name in wheel.namelist() if name.endswith(".dist-info/entry_points.txt"))
    assert "pgvigil = daemon.cli:main" in wheel.read(entry_points).decode()


def test_every_package_of_the_source_tree_is_built_and_checked() -> None:
    found = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert found == set(PACKAGES)
    assert PYPROJECT["tool"]["mypy"]["packages"] == list(PACKAGES)
    assert set(PACKAGES) <= set(PYPROJECT["tool"]["hatch"]["build"]["targets"]["sdist"]["include"])


def test_no_other_distribution_shadows_our_packages() -> None:
    """Plain names such as `daemon` are taken elsewhere too; then the last one installed wins."""
    owners = packages_distributions()
    assert {
        package: owners[package] for package in PACKAGES if set(owners.get(package, ())) - {"pgvigil"}
    } == {}


def test_source_is_imported_from_this_tree() -> None:
    assert [Path(__import__(package).__file__ or "").parent.parent for package in PACKAGES] == [ROOT] * len(
        PACKAGES
    )
