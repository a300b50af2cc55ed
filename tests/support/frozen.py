"""A file system of its own that can be frozen: whoever writes to it then hangs in the kernel, as on a dead disk."""

import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.reporting import not_run

MOST_S = 30


class Disk:
    """`folder` is its root."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Until the end of the block nothing is written, and who tries cannot even be killed.

        After MOST_S it ends by itself: a test that writes to it could not end it.
        """
        # A process of its own: a thread of ours could hang with whoever waits for the disk.
        script = f'sleep {MOST_S} & trap "kill $!; exit" TERM; wait $!; fsfreeze --unfreeze "$1"'
        guard = subprocess.Popen(["sh", "-c", script, "sh", self.folder], stderr=subprocess.DEVNULL)
        subprocess.run(["fsfreeze", "--freeze", self.folder], check=True)
        try:
            yield
        finally:
            # Not to be checked: the guard may have been first.
            subprocess.run(["fsfreeze", "--unfreeze", self.folder], capture_output=True, check=False)
            guard.terminate()
            guard.wait()

    @contextmanager
    def slow(self, for_s: float) -> Iterator[None]:
        """Until the end of the block each write takes up to `for_s`."""
        over = threading.Event()

        def freeze_again_and_again() -> None:
            while not over.is_set():
                with self.frozen():
                    over.wait(for_s)
                over.wait(0.02)

        thread = threading.Thread(target=freeze_again_and_again)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


@contextmanager
def freezable_disk() -> Iterator[Disk]:
    """64 MB, ext4, in a file."""
    if os.geteuid() != 0:
        not_run("only root can mount a file system")
    with TemporaryDirectory() as holder:
        image, folder = Path(holder) / "image", Path(holder) / "disk"
        folder.mkdir()
        image.write_bytes(b"")
        os.truncate(image, 64 * 1024 * 1024)
        made = subprocess.run(["mkfs.ext4", "-q", "-F", image], capture_output=True, check=False)
        mounted = subprocess.run(["mount", "-o", "loop", image, folder], capture_output=True, check=False)
        if made.returncode or mounted.returncode:
            not_run("a file system in a file cannot be mounted here")
        try:
            yield Disk(folder)
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)
