"""Plays the story: makes trouble, waits until pgvigil has seen it, puts it right, waits until that is seen."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from daemon.board import Board
from daemon.demo.screen import Screen
from daemon.demo.story import Scene
from pgvigil.model.incident import State
from pgvigil.postgres import plain
from pgvigil.scratch.errors import ScratchError

_PATIENCE_S = 20.0  # for one thing to be seen; a busy machine may take this long
_LOOK_S = 0.1
_BETWEEN_ROUNDS_S = 60.0


class Director:
    """Runs on the caller's thread until `stop` is set or `deadline_s` on the monotonic clock has passed."""

    def __init__(
        self,
        scenes: Sequence[Scene],
        board: Board,
        screen: Screen,
        stop: threading.Event,
        deadline_s: float,
        *,
        to_read_s: float = 2.0,  # so that Slack has the end, one message a second, before the next scene begins
    ) -> None:
        self._scenes = scenes
        self._board = board
        self._screen = screen
        self._stop = stop
        self._deadline_s = deadline_s
        self._to_read_s = to_read_s

    def play(self) -> None:
        """Round after round, as long as another one fits in; then quiet until the end."""
        while not self._over:
            began_s = time.monotonic()
            self._round()
            took_s = time.monotonic() - began_s
            left_s = self._deadline_s - time.monotonic()
            again = left_s >= _BETWEEN_ROUNDS_S + took_s
            if not self._over:
                more = f"it begins again in {_BETWEEN_ROUNDS_S:.0f} s" if again else "quiet until the end"
                self._screen.say(f"That was the story; {more}. pgvigil keeps watching.")
            self._wait(lambda: False, _BETWEEN_ROUNDS_S if again else left_s)

    @property
    def _over(self) -> bool:
        return self._stop.is_set() or time.monotonic() >= self._deadline_s

    def _round(self) -> None:
        try:
            for scene in self._scenes:
                self._trouble(scene)
                if not scene.lasting:
                    self._relief(scene)
            for scene in self._scenes:
                if scene.lasting:
                    self._relief(scene)
        finally:
            for scene in reversed(self._scenes):
                with contextlib.suppress(plain.Error, ScratchError):
                    scene.undo()

    def _trouble(self, scene: Scene) -> None:
        if self._over:
            return
        self._screen.say(scene.title)
        with self._excused():
            scene.begin()
        self._wait(lambda: all(self._fires(rule, scene) for rule in scene.rules), _PATIENCE_S)
        self._wait(lambda: False, scene.hold_s)

    def _relief(self, scene: Scene) -> None:
        if self._over:
            return
        self._screen.say(scene.remedy)
        with self._excused():
            scene.undo()
        self._wait(lambda: not any(self._open(rule) for rule in scene.rules), _PATIENCE_S)
        self._wait(lambda: False, self._to_read_s)

    @contextlib.contextmanager
    def _excused(self) -> Iterator[None]:
        try:
            yield
        except (plain.Error, ScratchError) as error:
            self._screen.say(f"(that did not work: {error})")

    def _fires(self, rule: str, scene: Scene) -> bool:
        return any(
            incident.rule == rule and incident.state is State.FIRING and incident.severity >= scene.until
            for view in self._board.targets
            for incident in view.incidents
        )

    def _open(self, rule: str) -> bool:
        return any(
            incident.rule == rule and incident.open
            for view in self._board.targets
            for incident in view.incidents
        )

    def _wait(self, seen: Callable[[], bool], at_most_s: float) -> None:
        give_up_s = min(time.monotonic() + at_most_s, self._deadline_s)
        while not seen() and time.monotonic() < give_up_s and not self._stop.wait(_LOOK_S):
            pass
