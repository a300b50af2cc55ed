"""`pgvigil rules`: what is judged, what to do about it, and what it would have made of other readings."""

import textwrap
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from typing import Annotated, Any

import typer

from alerts.company import described
from daemon.cli import backtest, dead, rehearse
from daemon.cli.common import DEFAULT_CONFIG, AsJson, ConfigFile, command_app, load_settings, print_json
from daemon.settings.describe import KeyDoc, key_docs
from daemon.settings.errors import nearest
from daemon.settings.generate.plugin_pages import FEED_OF_INSTANCE, first_sentence, levels, section_name
from daemon.settings.generate.toml import value_text
from daemon.settings.plugins import Plugins
from pgvigil.plugins import Rule
from pgvigil.store.store import Store

app = command_app("List and explain the rules.", group=True)
WIDTH = 80


app.command("test")(rehearse.try_out)
app.command("capture")(rehearse.capture)
app.command("backtest")(backtest.backtest)
app.command("dead")(dead.dead)


@app.callback()
def rules() -> None:
    """List and explain the rules."""


@app.command("list")
def list_rules(*, json: AsJson = False) -> None:
    """Name every rule with its first sentence and its levels."""
    found = Plugins.installed().rules
    if json:
        print_json({"rules": [_summary(rule) for rule in found.values()]})
        return
    width = max(map(len, found), default=0)
    for name, rule in found.items():
        typer.echo(f"{name:<{width}}  {levels(rule)}")
        typer.echo("\n".join(_indented(first_sentence(rule.doc.meaning), width + 2)))


@app.command()
def explain(name: Annotated[str, typer.Argument(help="The rule's name.")], *, json: AsJson = False) -> None:
    """Say what a rule means, what it measures, its parameters, what to do, and how to silence it."""
    found = Plugins.installed().rules
    rule = found.get(name.partition(".")[0])
    if rule is None:
        raise typer.BadParameter(f"there is no rule {name!r}; {nearest(name, tuple(found))}")
    if json:
        print_json({**_summary(rule), **_details(rule)})
    else:
        typer.echo("\n".join(explanation(rule)))


@app.command()
def report(
    *,
    config: ConfigFile = DEFAULT_CONFIG,
    json: AsJson = False,
) -> None:
    """Say of each rule how many incidents it had, and how many people found them useful or noise."""
    with closing(Store.open(load_settings(config).daemon.store.reveal(), exclusive=False)) as store:
        found = store.incidents.feedback()
    if json:
        print_json({"rules": [asdict(one) for one in found]})
        return
    rows = [("rule", "incidents", "useful", "noise")]
    rows += [(one.rule, str(one.incidents), str(one.useful), str(one.noise)) for one in found]
    width = max(len(row[0]) for row in rows)
    for name, *counts in rows:
        typer.echo(f"{name:<{width}}" + "".join(f"  {count:>9}" for count in counts))


def _summary(rule: Rule[Any]) -> dict[str, Any]:
    return {
        "name": rule.name,
        "meaning": rule.doc.meaning,
        "watches": list(rule.watches),
        "magnitude": rule.doc.magnitude,
        "defaults": {doc.key: doc.default for doc in key_docs(rule.params)},
    }


def _details(rule: Rule[Any]) -> dict[str, Any]:
    parameters = [
        {"key": doc.key, "takes": doc.takes, "default": doc.default, "meaning": doc.description}
        for doc in key_docs(rule.params)
    ]
    return {
        "parameters": parameters,
        "why_these_defaults": rule.doc.why_these_defaults,
        "evidence": rule.doc.evidence,
        "how_to_look": rule.doc.how_to_look,
        "what_to_do": rule.doc.what_to_do,
        "absorbs": sorted(rule.absorbs),
        "together": None if rule.together is None else described(rule.together),
        "section": section_name(rule),
    }


def explanation(rule: Rule[Any]) -> Iterator[str]:
    """The lines of `explain`."""
    yield rule.name
    yield from _paragraph(rule.doc.meaning)
    yield from _titled("Measures", rule.doc.magnitude or "Nothing: it has a severity.")
    yield from _titled("Judges", ", ".join(rule.watches) or FEED_OF_INSTANCE)
    yield from ("", f"Parameters, in [{section_name(rule)}]")
    yield from _parameters(rule)
    yield from _titled("Why these defaults", rule.doc.why_these_defaults)
    yield from _titled("Evidence", rule.doc.evidence)
    if rule.absorbs:
        absorbed = ", ".join(sorted(rule.absorbs))
        yield from _titled("Takes in", f"what these say of the same session, statement or server: {absorbed}")
    if rule.together is not None:
        yield from _titled("Told as one", described(rule.together))
    if rule.doc.how_to_look:
        yield from ("", "How to look", textwrap.indent(rule.doc.how_to_look.strip(), "  "))
    yield from _titled("What to do", rule.doc.what_to_do)
    yield from ("", "How to silence it")
    section = section_name(rule)
    yield from (f"  [{section}]", "  enabled = false", "", "  or for some targets:")
    yield from (f'  [{section}.overrides."orders-*"]   # or "env=test", by a label', "  enabled = false")


def _parameters(rule: Rule[Any]) -> Iterator[str]:
    docs = key_docs(rule.params)
    width = max(len(doc.key) for doc in docs)
    for doc in docs:
        yield f"  {doc.key:<{width}}  {_default(doc)}  ({doc.takes})"
        yield from _indented(doc.description, width + 4)


def _default(doc: KeyDoc) -> str:
    if doc.required:
        return "needed"
    return "not set" if doc.default is None else value_text(doc.default)


def _titled(title: str, text: str) -> Iterator[str]:
    yield from ("", title)
    yield from _paragraph(text)


def _paragraph(text: str) -> list[str]:
    return _indented(text, 2)


def _indented(text: str, by: int) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=" " * by, subsequent_indent=" " * by)
