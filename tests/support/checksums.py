"""Data checksums of a private server, switched by the server's own tool."""

import subprocess

from pgvigil.scratch.server import ScratchServer


def switch(server: ScratchServer, how: str) -> None:
    """`--enable` or `--disable`; the server is stopped for it and started again."""
    server.stop()
    owner = server.data.stat()
    subprocess.run(
        [server.binaries.program("pg_checksums"), how, "-D", server.data],
        check=True,
        capture_output=True,
        user=owner.st_uid,
        group=owner.st_gid,
        cwd=server.data,
    )
    server.start_again()
