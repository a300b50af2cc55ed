"""Groups and inhibitions: taken as written, or refused with the key and a way out."""

import pytest

from alerts.relations import Grouping, Inhibition, Relations
from alerts.routes import pairs
from daemon.settings import ConfigErrors
from pgvigil.model.together import Together
from tests.unit.settings.conftest import Load

HEAD = '[[targets]]\nname = "one"\ndsn = "host=x"\n'
GROUP = """
[[groups]]
name = "nightly-load"
match = { rule = ["long_transaction", "dead_tuples"] }
by = "database"
within = "10m"
least = 3
"""
INHIBITION = """
[[inhibitions]]
source = { rule = "disk_full_soon", severity = "critical" }
match = { severity = "warning" }
"""


def test_they_are_read_with_their_defaults(load_text: Load) -> None:
    together = Together(name="nightly-load", least=3, within_s=600.0)
    match = {"rule": ("long_transaction", "dead_tuples")}
    source = {"rule": ("disk_full_soon",), "severity": ("critical",)}
    assert load_text(HEAD + GROUP + INHIBITION).relations == Relations(
        (Grouping(match=pairs(match), by=("database",), together=together),),
        (Inhibition(source=pairs(source), match=pairs({"severity": ("warning",)}), equal=("target",)),),
    )
    assert load_text(HEAD).relations == Relations()


@pytest.mark.parametrize(
    ("written", "instead", "said"),
    [
        ('name = "nightly-load"', "", "groups[0].name: is needed here"),
        ("least = 3", "least = 1", "groups[0].least"),
        ('within = "10m"', 'within = "2d"', "groups[0].within"),
        ('match = { rule = ["long_transaction", "dead_tuples"] }', "match = {}", "groups[0].match"),
        ('by = "database"', 'bye = "database"', "unknown key"),
        (INHIBITION, GROUP, "is already the name of another group"),
        ('source = { rule = "disk_full_soon", severity = "critical" }', "", "inhibitions[0].source"),
        (
            'source = { rule = "disk_full_soon", severity = "critical" }',
            'source = { severity = "warning" }\nequal = ["target", "database", "rule", "subject"]',
            "nothing inhibits itself",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(load_text: Load, written: str, instead: str, said: str) -> None:
    text = HEAD + GROUP + INHIBITION
    assert written in text
    with pytest.raises(ConfigErrors) as refused:
        load_text(text.replace(written, instead))
    assert said in str(refused.value)
