"""Signals to a server and all of its backends, and what a killed server leaves in the kernel."""

import contextlib
import ctypes
import signal
import time
from collections.abc import Iterable
from pathlib import Path

import psutil


def family(pid: int) -> list[psutil.Process]:
    """The process and its descendants, parents first; empty when it is gone."""
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def send(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    """Signal each; one that has ended meanwhile is passed over."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def stop_family(pid: int) -> None:
    """SIGSTOP the postmaster first, so that it starts no backend that we would miss."""
    send(family(pid)[:1], signal.SIGSTOP)
    send(family(pid)[1:], signal.SIGSTOP)


def continue_family(pid: int) -> None:
    send(reversed(family(pid)), signal.SIGCONT)


def kill_family(pid: int, *, deadline_s: float = 10.0) -> None:
    """SIGKILL all and wait until they run no more; an orphan may stay a zombie until init looks."""
    members = family(pid)
    send(members, signal.SIGKILL)
    give_up_at = time.monotonic() + deadline_s
    while any(_runs(member) for member in members) and time.monotonic() < give_up_at:
        time.sleep(0.005)


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def started_on(data: Path) -> list[psutil.Process]:
    """Processes that have the data directory as an argument: initdb and the postmaster."""
    everything = psutil.process_iter(["cmdline"])
    return [process for process in everything if str(data) in (process.info["cmdline"] or ())]


def release_shared_memory(data: Path) -> None:
    """Remove the System V segment of a server that was killed; its id stands in postmaster.pid, line 7.

    A server that ended by itself removed both, and then there is nothing to do.
    """
    try:
        line = (data / "postmaster.pid").read_text(encoding="ascii").splitlines()[6]
        segment = int(line.split()[1])
    except (OSError, IndexError, ValueError):
        return
    remove = 0  # IPC_RMID, the same on Linux and macOS
    ctypes.CDLL(None, use_errno=True).shmctl(segment, remove, None)
