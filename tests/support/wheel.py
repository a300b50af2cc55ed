"""The wheel as it would be published, built from this tree."""

import subprocess
import sys
import zipfile
from pathlib import Path

from tests.support.source import ROOT


def build(directory: Path) -> Path:
    """The wheel, built below `directory`; fails with the build's own words."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(directory)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return next(directory.glob("*.whl"))


def unpack(wheel: Path, directory: Path) -> Path:
    """What an installation would put into site-packages: a folder for PYTHONPATH."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(directory)
    return directory
