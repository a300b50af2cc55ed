"""What the demo's terminal shows of Slack."""

import io

from rich.console import Console

from daemon.demo.screen import Screen


def shown(*changes: tuple[str, dict[str, str]]) -> str:
    out = io.StringIO()
    screen = Screen(Console(file=out, width=100))
    for what, message in changes:
        screen.slack(what, message)
    return out.getvalue()


FIRING = {"ts": "1.0", "text": "🟠 WARNING blocking_chain: 3 sessions blocked"}
WORSE = {"ts": "1.0", "text": "🔴 CRITICAL blocking_chain: 9 sessions blocked"}
RESOLVED = {"ts": "1.0", "text": "✅ Resolved after 12s"}


def test_new_message_is_shown() -> None:
    assert "3 sessions blocked" in shown(("posted", FIRING))


def test_edit_alone_is_not_shown() -> None:
    """A refresh changes figures every few seconds; the terminal would be full of it."""
    assert "9 sessions" not in shown(("posted", FIRING), ("edited", WORSE))


def test_what_got_worse_is_shown_with_its_diagnosis_as_it_is_now() -> None:
    reply = {"ts": "2.0", "thread_ts": "1.0", "text": "🔴 Worse: warning → critical"}
    text = shown(("posted", FIRING), ("edited", WORSE), ("posted", reply))
    assert text.index("3 sessions") < text.index("9 sessions") < text.index("Worse: warning")


def test_resolve_is_shown_once() -> None:
    reply = {"ts": "2.0", "thread_ts": "1.0", "text": "✅ Resolved"}
    text = shown(("posted", FIRING), ("edited", RESOLVED), ("posted", reply))
    assert text.count("Resolved") == 1


def test_reply_to_a_message_that_is_gone_is_shown_alone() -> None:
    assert "Worse" in shown(("posted", {"ts": "2.0", "thread_ts": "1.0", "text": "Worse"}))


def test_text_of_a_database_is_no_markup() -> None:
    assert "[bold red]x[/]" in shown(("posted", {"ts": "1.0", "text": "query [bold red]x[/]"}))
