"""The deadline that needs nothing of the peer."""

import os
import socket
import threading
import time

import pytest

from pgvigil.postgres import deadlines


def test_a_thread_that_waits_for_a_silent_peer_is_freed() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, deadlines.limit(ours.fileno(), 0.05) as guard:
        assert ours.recv(1) == b""  # would wait for ever
        assert guard.expired


def test_a_call_that_ends_in_time_is_left_alone() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        with deadlines.limit(ours.fileno(), 0.02) as guard:
            pass
        with deadlines.limit(theirs.fileno(), 0.05):  # due later: by then the first was passed over
            assert theirs.recv(1) == b""
        assert not guard.expired


def test_a_reused_descriptor_is_not_shut_down_for_another() -> None:
    """The library below closes its socket in the middle, and somebody else gets the same number."""
    ours, theirs = socket.socketpair()
    stranger, peer = socket.socketpair()
    watched, waiting = socket.socketpair()
    with theirs, stranger, peer, watched, waiting:
        number = ours.detach()
        with deadlines.limit(number, 0.05) as guard:
            os.dup2(stranger.fileno(), number)
            with deadlines.limit(waiting.fileno(), 0.1):
                waiting.recv(1)
            assert guard.expired
            assert theirs.recv(1) == b""
            peer.send(b"x")
            assert os.read(number, 1) == b"x"
        os.close(number)


def test_limits_expire_in_the_order_of_their_deadlines() -> None:
    """A short limit that comes after a long one is not kept waiting by it."""
    long, long_peer = socket.socketpair()
    short, short_peer = socket.socketpair()
    with long, long_peer, short, short_peer, deadlines.limit(long.fileno(), 60) as patient:
        with deadlines.limit(short.fileno(), 0.05):
            assert short.recv(1) == b""
        assert not patient.expired


def test_many_limits_share_one_thread() -> None:
    pairs = [socket.socketpair() for _ in range(40)]
    for ours, theirs in pairs:
        with deadlines.limit(ours.fileno(), 0.01):
            ours.recv(1)
        ours.close()
        theirs.close()
    assert [thread.name for thread in threading.enumerate()].count("pgvigil-deadlines") == 1


def test_a_peer_that_has_gone_already_does_not_stop_the_watchdog() -> None:
    ours, theirs = socket.socketpair()
    theirs.close()
    ours.shutdown(socket.SHUT_RDWR)
    with ours, deadlines.limit(ours.fileno(), 60) as guard:
        guard.cut()
    test_a_thread_that_waits_for_a_silent_peer_is_freed()


def test_a_descriptor_is_given_back_each_time() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        with deadlines.limit(ours.fileno(), 60) as guard:
            taken = guard._descriptor
        assert taken is not None
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(taken)


def test_limits_that_ended_wake_nobody() -> None:
    """Hundreds of them end each second: the one thread passes over all that it finds ended, in one look."""
    watchdog = deadlines._Watchdog()
    watchdog._thread = threading.current_thread()  # the test looks itself
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for _ in range(100):
            ended = deadlines.Limit(ours.fileno())
            ended.end()
            watchdog.watch(ended, time.monotonic())
        running = deadlines.Limit(ours.fileno())
        watchdog.watch(running, time.monotonic() + 0.05)
        assert watchdog._next() is running
        assert watchdog._due == []
        running.end()
