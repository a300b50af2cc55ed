"""The demo's story is played in order, and undone however it ends."""

import io
import threading
import time

from rich.console import Console

from daemon.board import Board, TargetView
from daemon.demo.director import Director
from daemon.demo.screen import Screen
from daemon.demo.story import Scene
from pgvigil.model.incident import State
from pgvigil.model.level import Level
from pgvigil.postgres import plain
from tests.support.polling import poll
from tests.support.views import incident


class Stage:
    """Scenes that write down what was done, and a board that shows their incidents at once."""

    def __init__(
        self, *rules: str, lasting: str = "", failing: str = "", level: Level = Level.WARNING
    ) -> None:
        self.board = Board()
        self.done: list[str] = []
        self.out = io.StringIO()
        self.stop = threading.Event()
        self._level = level
        self._open: set[str] = set()
        self._failing = failing
        self.scenes = [
            Scene(
                title=f"{rule} begins",
                begin=lambda rule=rule: self._begin(rule),
                remedy=f"{rule} ends",
                undo=lambda rule=rule: self._undo(rule),
                rules=(rule,),
                hold_s=0,
                lasting=rule == lasting,
            )
            for rule in rules
        ]

    def _begin(self, rule: str) -> None:
        self.done.append(f"+{rule}")
        if rule == self._failing:
            raise plain.Error("no")
        self._show(self._open | {rule})

    def _undo(self, rule: str) -> None:
        self.done.append(f"-{rule}")
        self._show(self._open - {rule})

    def _show(self, rules: set[str]) -> None:
        self._open = rules
        incidents = tuple(
            incident(rule=rule, state=State.FIRING, severity=self._level, peak=self._level) for rule in rules
        )
        self.board.publish(TargetView(name="shop-demo", labels={}, incidents=incidents))

    def play(self, seconds: float) -> None:
        screen = Screen(Console(file=self.out, width=100))
        Director(self.scenes, self.board, screen, self.stop, time.monotonic() + seconds, to_read_s=0).play()


def test_scenes_play_in_order_and_the_lasting_one_is_relieved_last() -> None:
    stage = Stage("a", "b", "c", lasting="a")
    playing = threading.Thread(target=stage.play, args=(60,))
    playing.start()
    poll(lambda: "a ends" in stage.out.getvalue(), message="the lasting scene has ended")
    stage.stop.set()
    playing.join()
    assert stage.done[:6] == ["+a", "+b", "-b", "+c", "-c", "-a"]
    assert stage.out.getvalue().index("c ends") < stage.out.getvalue().index("a ends")


def test_everything_is_undone_when_asked_to_stop_in_the_middle() -> None:
    stage = Stage("a", "b", level=Level.HOLD)  # never seen as firing, so the first scene waits
    threading.Timer(0.2, stage.stop.set).start()
    stage.play(60)
    assert stage.done == ["+a", "-b", "-a"]


def test_scene_that_fails_is_said_and_the_story_goes_on() -> None:
    stage = Stage("a", "b", failing="a")
    threading.Timer(0.3, stage.stop.set).start()
    stage.play(60)
    assert "that did not work" in stage.out.getvalue()


def test_story_ends_at_its_deadline_even_if_nothing_is_ever_seen() -> None:
    stage = Stage("a", level=Level.HOLD)
    began_s = time.monotonic()
    stage.play(0.3)
    assert time.monotonic() - began_s < 10
    assert stage.done == ["+a", "-a"]
