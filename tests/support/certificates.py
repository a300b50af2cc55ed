"""Certificates of an authority of our own, made with the openssl command."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pgvigil.scratch.server import ScratchServer
from tests.support.reporting import not_run
from tests.support.servers import StartServer, installations

_CA = """
[ca]
default_ca = here
[here]
dir = {folder}
database = {folder}/index.txt
new_certs_dir = {folder}
serial = {folder}/serial
private_key = {folder}/ca.key
certificate = {folder}/ca.crt
default_md = sha256
policy = any
copy_extensions = copy
unique_subject = no
[any]
commonName = supplied
"""


class Authority:
    """Signs certificates for servers; its own is in `root`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()
        self.root = folder / "ca.crt"
        (folder / "ca.cnf").write_text(_CA.format(folder=folder), encoding="ascii")
        (folder / "index.txt").touch()
        (folder / "serial").write_text("01\n", encoding="ascii")
        self._key_and(["-x509", "-days", "30", "-subj", "/CN=test authority"], "ca.key", self.root)

    def sign(
        self, host: str, *, start: timedelta = timedelta(days=-10), end: timedelta = timedelta(days=10)
    ) -> tuple[Path, Path]:
        """Key and certificate for a server at that address, valid from `start` to `end`, counted from now."""
        request, certificate = self._folder / "server.csr", self._folder / "server.crt"
        address = ["-subj", f"/CN={host}", "-addext", f"subjectAltName=IP:{host}"]
        key = self._key_and(address, "server.key", request)
        now = datetime.now(UTC)
        dates = ["-startdate", _asn1(now + start), "-enddate", _asn1(now + end)]
        files = ["-config", self._folder / "ca.cnf", "-in", request, "-out", certificate]
        _openssl("ca", "-batch", "-notext", *dates, *files)
        return key, certificate

    def _key_and(self, what: Sequence[str], key: str, out: Path) -> Path:
        path = self._folder / key
        new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", path]
        _openssl("req", *new, "-out", out, *what)
        return path


def _openssl(*words: object) -> None:
    ran = subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


def _asn1(moment: datetime) -> str:
    return f"{moment:%Y%m%d%H%M%SZ}"


def start_with_tls(start: StartServer) -> ScratchServer:
    """A server that was built with TLS; give it a certificate by `install`."""
    majors = [
        each.major for each in installations() if b"libssl.so" in (each.bindir / "postgres").read_bytes()
    ]
    if not majors or shutil.which("openssl") is None:
        not_run("needs the openssl command and a server built with TLS", mendable=False)
    return start(majors[0])


def install(server: ScratchServer, key: Path, certificate: Path) -> None:
    """As a rotation does it: new files, and a reload."""
    owner = server.data.stat()
    for source, name in ((key, "server.key"), (certificate, "server.crt")):
        target = server.data / name
        shutil.copyfile(source, target)
        os.chown(target, owner.st_uid, owner.st_gid)
        target.chmod(0o600)
    server.reload({"ssl": "on"})
