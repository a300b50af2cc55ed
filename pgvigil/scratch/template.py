"""An initialised data directory per installation, made once and copied: initdb takes 0.5-1 s, a copy 50 ms."""

import shutil
import threading
from pathlib import Path

from pgvigil.scratch import tidy
from pgvigil.scratch.account import Account
from pgvigil.scratch.binaries import Binaries
from pgvigil.scratch.errors import NotStartedError
from pgvigil.scratch.guard import GUARD

_INITDB = ("--no-sync", "--encoding=UTF8", "--locale=C", "--username=postgres")
_INITDB_TIMEOUT_S = 120

_lock = threading.Lock()
_made: dict[Path, Path] = {}


def data_directory(binaries: Binaries, account: Account, data: Path, password: str | None) -> None:
    """Make `data` an initialised data directory: trust authentication, or scram where a password is given."""
    if password is not None:
        _initialise_with_password(binaries, account, data, password)
        return
    with _lock:
        template = _template(binaries, account)
    copy = account.run(["cp", "-Rp", str(template), str(data)], timeout_s=_INITDB_TIMEOUT_S)
    if copy.returncode != 0:
        raise NotStartedError(f"could not copy the initialised data directory: {copy.stderr.strip()}")


def _template(binaries: Binaries, account: Account) -> Path:
    home = _made.get(binaries.bindir)
    if home is None or not home.is_dir():
        home = account.make_directory("pgvigil-template-")
        GUARD.protect(home, lambda: _forget(binaries.bindir))
        _initialise(binaries, account, home / tidy.DATA, ("--auth=trust",))
        _made[binaries.bindir] = home
    return home / tidy.DATA


def _forget(bindir: Path) -> None:
    home = _made.pop(bindir, None)
    if home is not None:
        tidy.remove(home)
        GUARD.release(home)


def _initialise_with_password(binaries: Binaries, account: Account, data: Path, password: str) -> None:
    secret = data.with_name("password")
    secret.touch(mode=0o600)
    secret.write_text(password + "\n", encoding="utf-8")
    if account.uid is not None:
        shutil.chown(secret, account.uid, account.gid)
    try:
        _initialise(binaries, account, data, ("--auth=scram-sha-256", f"--pwfile={secret}"))
    finally:
        secret.unlink()


def _initialise(binaries: Binaries, account: Account, data: Path, options: tuple[str, ...]) -> None:
    ran = account.run(
        [binaries.program("initdb"), *_INITDB, *options, "-D", str(data)],
        timeout_s=_INITDB_TIMEOUT_S,
        directory=data.parent,
    )
    if ran.returncode != 0:
        raise NotStartedError(f"initdb of {binaries.version} failed: {(ran.stderr or ran.stdout).strip()}")
