"""Somebody acts from the page: what the daemon as a whole makes of it."""

from pathlib import Path

from tests.support import oncall
from tests.support.daemons import running_daemon
from tests.support.pressing import Answer, Presser

DOWN = """
[[targets]]
name = "gone"
dsn = "host=127.0.0.1 port=1 dbname=postgres user=pgvigil"
[rules.target_down]
for = "1s"
"""


def test_what_is_pressed_on_the_page_holds_and_ends_with_the_token(tmp_path: Path) -> None:
    """Taken on, judged, silenced, told again; after a reload without the token the same form does nothing."""
    with running_daemon(tmp_path, DOWN + oncall.ana("read", "act", "silence")) as daemon:
        page = f"/incidents/{daemon.wait_incident('target_down', 'firing')['id']}"
        name = page.rpartition("/")[2]
        ana = Presser(daemon.url)
        assert ana.log_in(oncall.TOKEN).status == 303

        def seen(answer: Answer) -> str:
            assert answer.status == 303, answer.text
            return ana.get("/" + answer.to.removeprefix("../../")).text

        def press(wanted: dict[str, str], on: str = page, **typed: str) -> str:
            return seen(ana.press(on, wanted, **typed))

        path, fields = ana.form("/", action="acknowledge")
        assert f"{name} is acknowledged by ana</p>" in seen(ana.post(path, fields))
        assert "this was done already, by ana at" in seen(ana.post(path, fields))
        assert daemon.incident(name)["acknowledged_by"] == "ana"
        assert f"{name} is no longer acknowledged by ana</p>" in press({"action": "unacknowledge"})
        assert f"{name} is useful to ana: thank you</p>" in press({"action": "useful"})
        text = press({"action": "silence"}, **{"for": "8h"}, note="moved")
        assert f"SIL-1 by ana keeps {name} quiet</p>" in text
        assert "Silenced by SIL-1 of ana" in text
        assert "Useful to ana (page)" in text
        assert daemon.incident(name)["silenced_by"] == "SIL-1"
        assert "SIL-1 has ended, by ana</p>" in press({"to": "silences/SIL-1/expire"}, on="/")
        assert daemon.incident(name)["silenced_by"] is None
        text = ana.get(page).text
        assert "<b>acknowledged</b>" in text
        assert "by ana (page)" in text
        assert "severity critical" in text

        path, fields = ana.form(page, action="acknowledge")
        daemon.reload(DOWN)
        assert "its token is no longer in the configuration" in ana.get(page).text
        assert ana.post(path, fields).to.startswith("../../login?")
        assert daemon.incident(name)["acknowledged_by"] is None
