"""`pgvigil config`: what a person and a program see."""

import json
import tomllib
from pathlib import Path

import pytest

from daemon.cli import codes, main

Capture = pytest.CaptureFixture[str]

GOOD = '[[targets]]\nname = "one"\ndsn = "host=db1"\n'


def written(directory: Path, text: str) -> list[str]:
    (directory / "pgvigil.toml").write_text(text)
    return ["config", "check", "-c", str(directory / "pgvigil.toml")]


def test_a_configuration_that_works_is_counted(tmp_path: Path, capsys: Capture) -> None:
    assert main(written(tmp_path, GOOD)) == codes.WARNING
    *notes, last = capsys.readouterr().out.splitlines()
    assert "pgvigil.toml: ok (1 target, " in last
    assert any(note.startswith("note: No sink is configured") for note in notes)


def test_every_error_goes_to_standard_error_and_is_64(tmp_path: Path, capsys: Capture) -> None:
    assert main(written(tmp_path, "[demon]\n[daemon]\nworkers = 0\n")) == codes.SETUP
    first, second = capsys.readouterr().err.splitlines()
    assert first.endswith('pgvigil.toml:1: demon: unknown key; did you mean "daemon"?')
    assert "pgvigil.toml:3: daemon.workers = 0: " in second


def test_errors_as_json(tmp_path: Path, capsys: Capture) -> None:
    assert main([*written(tmp_path, "[daemon]\nworkers = 0\n"), "--json"]) == codes.SETUP
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"] is False
    (error,) = answer["errors"]
    assert (error["line"], error["key"], error["value"]) == (2, "daemon.workers", "0")


def test_problems_as_json(tmp_path: Path, capsys: Capture) -> None:
    assert main([*written(tmp_path, GOOD), "--json"]) == codes.WARNING
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"] is True
    assert [problem["slug"] for problem in answer["problems"]] == ["no-sinks"]


def test_what_does_not_keep_it_from_running_is_a_warning_unless_that_is_all_that_is_asked(
    tmp_path: Path, capsys: Capture
) -> None:
    """A service that checks its file before it starts must not stay away for a note."""
    assert main(written(tmp_path, GOOD)) == codes.WARNING
    assert "note: No sink is configured" in capsys.readouterr().out
    assert main([*written(tmp_path, GOOD), "--errors-only"]) == codes.OK
    whole = GOOD + '[sinks.here]\nkind = "console"\n'
    assert main(written(tmp_path, whole)) == codes.OK


def test_the_file_can_come_from_the_environment(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    *command, _flag, file = written(tmp_path, GOOD)
    monkeypatch.setenv("PGVIGIL_CONFIG", file)
    monkeypatch.setenv("PGVIGIL_DAEMON__WORKERS", "none")
    assert main(command) == codes.SETUP
    assert "environment variable PGVIGIL_DAEMON__WORKERS" in capsys.readouterr().err


def test_the_example_is_a_configuration(tmp_path: Path, capsys: Capture) -> None:
    assert main(["config", "example"]) == codes.OK
    assert main(written(tmp_path, capsys.readouterr().out)) == codes.OK


def properties(schema: dict[str, object], text: dict[str, object], path: str = "") -> list[str]:
    """The keys of `text` that `schema` does not know."""
    known = schema.get("properties", {})
    assert isinstance(known, dict)
    unknown = []
    for key, value in text.items():
        if key not in known and "additionalProperties" in schema and schema["additionalProperties"] is False:
            unknown.append(f"{path}{key}")
        elif isinstance(value, dict) and key in known:
            unknown += properties(known[key], value, f"{path}{key}.")
    return unknown


def test_the_schema_knows_every_key_of_the_example(capsys: Capture) -> None:
    assert main(["config", "schema"]) == codes.OK
    schema = json.loads(capsys.readouterr().out)
    assert main(["config", "example"]) == codes.OK
    example = capsys.readouterr().out
    sections = "\n".join(
        line.lstrip("#") if line.startswith("#") and not line.startswith("# ") else line
        for line in example.split("# Every rule's section")[0].splitlines()
    )
    assert properties(schema, tomllib.loads(sections)) == []
    assert schema["properties"]["daemon"]["properties"]["listen"]["default"] == "127.0.0.1:9642"
    assert properties(schema, {"demon": 1}) == ["demon"]
