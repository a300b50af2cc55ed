"""What a configuration means, and every error of a wrong one at once."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from daemon.settings import ConfigErrors, Settings, load
from daemon.settings.plugins import Plugins
from pgvigil.scratch.account import SHORT_TEMPORARY

Load = Callable[..., Settings]
ErrorsOf = Callable[..., list[str]]

TARGET = '[[targets]]\nname = "{}"\ndsn = "host=db1 user=pgvigil"\n'


def test_an_empty_file_is_all_defaults(load_text: Load) -> None:
    settings = load_text("")
    assert str(settings.daemon.listen) == "127.0.0.1:9642"
    assert settings.daemon.store.reveal() == "sqlite:////var/lib/pgvigil/pgvigil.db"
    assert settings.metrics.top_k == 20
    assert settings.collector("statements").interval_s == 60
    assert settings.collector("activity").enabled
    assert {problem.slug for problem in settings.problems} == {"no-targets", "no-sinks"}


def test_values_are_typed(load_text: Load, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("x")
    settings = load_text(
        TARGET.format("one")
        + 'databases = ["app_*", "pay"]\nexclude_databases = ["app_test*"]\nlabels = { env = "prod" }\n'
        '[collectors.activity]\ninterval = "1m30s"\n[collectors.statements]\nenabled = false\n'
        '[sinks.oncall]\nkind = "hook"\ntoken_file = "token"\n'
        '[[routes]]\nmatch = { severity = "critical", env = ["prod", "stage"] }\nsinks = ["oncall"]\n'
        'mention = "@here"\ncontinue = true\n[[routes]]\nsinks = ["oncall"]\n'
    )
    (target,) = settings.targets
    wanted = [name for name in ("app_1", "app_test2", "pay", "other") if target.wants_database(name)]
    assert wanted == ["app_1", "pay"]
    assert settings.collector("activity").interval_s == 90
    assert not settings.collector("statements").enabled
    kind, params = settings.sinks["oncall"]
    assert (kind.name, params.channel, params.token_file) == ("hook", "#ops", tmp_path / "token")
    first, _ = settings.routes
    assert first.match == {"severity": ("critical",), "env": ("prod", "stage")}
    assert (first.sinks, first.mention, first.go_on) == (("oncall",), "@here", True)
    assert [problem.slug for problem in settings.problems] == ["rule-cannot-fire"]


def test_a_database_whose_name_looks_like_a_pattern_is_named_by_itself(load_text: Load) -> None:
    [target] = load_text(
        TARGET.format("one").rstrip()
        + '\ndatabases = ["odd[1]*", "app_*"]\nexclude_databases = ["app_[x]"]\n'
    ).targets
    wanted = [
        name
        for name in ("odd[1]*", "odd1", "odd2", "app_x", "app_[x]", "app_y")
        if target.wants_database(name)
    ]
    assert wanted == ["odd[1]*", "odd1", "app_y"]


def test_every_error_is_reported_at_once_with_its_line(errors_of: ErrorsOf) -> None:
    assert errors_of(
        '[daemon]\nlisten = "0.0.0.0:9642"\nworkers = 1000\nlog_level = "inof"\nlog_formt = "json"\n'
        '[metrics]\ntop_k = "many"\n'
        '[[targets]]\nname = "one"\n[[targets]]\nname = "one"\ndsn = "host=a"\nenabeld = true\n'
        '[collectors.activty]\n[collectors.activity]\ninterval = "100ms"\n'
        "[rules.slow_qery]\n[rules.slow_query]\nwarning = 30\nmin_calls = 0\n"
        '[sinks.a]\nkind = "slak"\n[sinks.b]\nkind = "hook"\n[sinks.c]\n[[routes]]\nsinks = ["oncal"]\n[targtes]\n'
    ) == [
        ("pgvigil.toml:3: daemon.workers = 1000: is too much; allowed: a whole number, 1 to 256"),
        ('pgvigil.toml:4: daemon.log_level = "inof": is none of the choices; did you mean "info"?'),
        'pgvigil.toml:5: daemon.log_formt: unknown key; did you mean "log_format"?',
        (
            'pgvigil.toml:7: metrics.top_k = "many": should be a valid integer, unable to parse string as an'
            " integer; allowed: a whole number, 0 to 200"
        ),
        "pgvigil.toml:8: targets[0].dsn: is needed here; allowed: text",
        'pgvigil.toml:11: targets[1].name = "one": is already the name of another target; see pgvigil.toml:9',
        'pgvigil.toml:13: targets[1].enabeld: unknown key; did you mean "enabled"?',
        'pgvigil.toml:14: collectors.activty: unknown collector; did you mean "activity"?',
        (
            'pgvigil.toml:16: collectors.activity.interval = "100ms": is too little;'
            " allowed: a duration, 1s to 1d"
        ),
        'pgvigil.toml:17: rules.slow_qery: unknown rule; did you mean "slow_query"?',
        (
            "pgvigil.toml:19: rules.slow_query.warning = 30: 30 is not a duration; write a number with a unit,"
            ' such as "30s", "5m", "1m30s"'
        ),
        (
            "pgvigil.toml:20: rules.slow_query.min_calls = 0: is too little;"
            " allowed: a whole number, 1 to 1000"
        ),
        'pgvigil.toml:22: sinks.a.kind = "slak": unknown kind of sink; valid here: hook',
        "pgvigil.toml:23: sinks.b.token_file: is needed here; allowed: a path",
        "pgvigil.toml:25: sinks.c: needs a kind; valid here: hook",
        'pgvigil.toml:27: routes[0].sinks[0] = "oncal": no such sink; valid here: a, b, c',
        'pgvigil.toml:28: targtes: unknown key; did you mean "targets"?',
    ]


def test_listening_beyond_loopback_needs_a_token(
    errors_of: ErrorsOf, load_text: Load, tmp_path: Path
) -> None:
    (error,) = errors_of('[daemon]\nlisten = "0.0.0.0:9642"\n')
    assert "listens beyond this machine without authentication" in error
    assert error.startswith("pgvigil.toml:2: ")
    for safe in ("127.0.0.2:1", "[::1]:9642", "localhost:80"):
        load_text(f'[daemon]\nlisten = "{safe}"\n')
    (tmp_path / "token").write_text("x")
    load_text('[daemon]\nlisten = "0.0.0.0:9642"\napi_token_file = "token"\n')


@pytest.mark.parametrize("bad", ["9642", ":9642", "host", "::1:9642", "a:70000", "a:b", "[::1]"])
def test_an_address_that_is_none_is_refused(bad: str, errors_of: ErrorsOf) -> None:
    assert any("daemon.listen" in error for error in errors_of(f'[daemon]\nlisten = "{bad}"\n'))


def test_includes_are_merged(load_text: Load) -> None:
    settings = load_text(
        'include = ["t*.toml"]\n' + TARGET.format("main"),
        t2=TARGET.format("two") + '[collectors.activity]\ninterval = "2s"\n',
        t1=TARGET.format("one") + "[collectors.statements]\nenabled = false\n",
    )
    assert [target.name for target in settings.targets] == ["main", "one", "two"]
    assert settings.collector("activity").interval_s == 2
    assert not settings.collector("statements").enabled


def test_errors_of_an_include_name_its_file(errors_of: ErrorsOf) -> None:
    assert errors_of(
        'include = ["t*.toml", "u.toml"]\n' + TARGET.format("one"),
        t1='[[targets]]\nname = "two"\ndsn = "host=x"\n' + TARGET.format("one"),
        u='[daemon\nlisten = "x"',
    ) == [
        't1.toml:5: targets[2].name = "one": is already the name of another target; see pgvigil.toml:3',
        "u.toml:1: not valid TOML (column 8): Expected ']' at the end of a table declaration",
    ]


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("[[targets]]\nname = orders\n", 'text stands in quotes: key = "text"'),
        ('[daemon]\nlisten = "127.0.0.1:9642\n', "a quote is not closed on this line"),
        ("[daemon]\nworkers = 1\nworkers = 2\n", "the key stands here twice"),
        ("[daemon]\nallowed_hosts = [", "the file ends in the middle of a value"),
        ("[[targets]\n", "a list of tables begins with [[name]]"),
    ],
)
def test_what_is_commonly_wrong_with_the_syntax_is_said(text: str, hint: str, errors_of: ErrorsOf) -> None:
    (error,) = errors_of(text)
    assert "not valid TOML" in error
    assert error.endswith(hint)


def test_validators_speak_like_people(errors_of: ErrorsOf) -> None:
    assert errors_of(
        '[[targets]]\nname = "a b"\ndsn = "host=x"\n[[routes]]\nsinks = "x"\n[rules.target_down]\nseverity = "bad"\n'
    ) == [
        'pgvigil.toml:2: targets[0].name = "a b": is not allowed here; allowed: a name of letters, digits, _, . and -, at most 63',
        'pgvigil.toml:5: routes[0].sinks = "x": must be a list; allowed: a list of: text',
        'pgvigil.toml:7: rules.target_down.severity = "bad": is not allowed here; allowed: "info" or "warning" or "critical"',
    ]


def test_a_key_set_in_two_files_names_both(errors_of: ErrorsOf) -> None:
    assert errors_of(
        'include = ["t.toml"]\n[daemon]\nworkers = 3\n',
        t="[daemon]\n\nworkers = 4\n[collectors]\nactivity = 5\n",
    ) == [
        "t.toml:3: daemon.workers: already set in pgvigil.toml:3",
        "t.toml:5: collectors.activity = 5: must be a table; write [collectors.activity] and its keys below",
    ]


@pytest.mark.parametrize(
    ("include", "problem"),
    [
        ('"t.toml"', "must be a list of file patterns"),
        ("[1]", "must be a list of file patterns"),
        ('["missing.toml"]', "names no file"),
        ('[""]', "names no file"),
        ('["sub"]', "is a directory"),
    ],
)
def test_bad_include(include: str, problem: str, errors_of: ErrorsOf, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (error,) = errors_of(f"# first\ninclude = {include}\n")
    assert error.startswith("pgvigil.toml:2: include")
    assert problem in error


def test_an_include_cannot_include(errors_of: ErrorsOf) -> None:
    (error,) = errors_of('include = ["t.toml"]', t='include = ["u.toml"]')
    assert error == "t.toml:1: include: only the main file may include others"


def test_the_main_file_does_not_include_itself(load_text: Load) -> None:
    assert len(load_text('include = ["*.toml"]\n' + TARGET.format("one")).targets) == 1


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"\xef\xbb\xbf[daemon]", "starts with a UTF-8 byte order mark; save it as UTF-8 without one"),
        ("[daemon]".encode("utf-16"), "starts with a UTF-16 byte order mark; save it as UTF-8 without one"),
        (b"[daemon]\n# \xe9t\xe9\n", "2: not UTF-8: byte 0xe9; save it as UTF-8"),
        (b"[daemon]\nlisten = \n", "2: not valid TOML (column 10): Invalid value"),
        (b"[daemon]\nlisten = [", "2: not valid TOML"),
    ],
)
def test_a_file_that_is_no_toml(content: bytes, error: str, tmp_path: Path) -> None:
    file = tmp_path / "pgvigil.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigErrors) as caught:
        load(file, {}, Plugins())
    assert error in str(caught.value)
    assert len(caught.value.errors) == 1


def test_a_missing_file_and_a_directory(tmp_path: Path) -> None:
    for path, words in (
        (tmp_path / "none.toml", "no such file"),
        (tmp_path, "cannot be read: Is a directory"),
    ):
        with pytest.raises(ConfigErrors, match=words):
            load(path, {}, Plugins())


def test_secret_files_must_be_readable() -> None:
    """In a short directory: of a long path a message shows only a part."""
    with TemporaryDirectory(dir=SHORT_TEMPORARY) as folder:
        (Path(folder) / "empty").touch()
        file = Path(folder) / "pgvigil.toml"
        sink = '[sinks.a]\nkind = "slack"\nchannel = "#ops"\ntoken_file = "empty"\n'
        file.write_text(f'{TARGET.format("one")}password_file = "none"\n{sink}', encoding="utf-8")
        with pytest.raises(ConfigErrors) as caught:
            load(file, {}, Plugins.installed())
    assert [str(error) for error in caught.value.errors] == [
        f'{file}:4: targets[0].password_file = "{folder}/none": cannot be read: No such file or directory',
        f'{file}:8: sinks.a.token_file = "{folder}/empty": is empty',
    ]


def test_environment_goes_over_the_file(load_text: Load) -> None:
    environ = {"PGVIGIL_DAEMON__WORKERS": "7", "PGVIGIL_METRICS__TOP_K": "3", "PGVIGIL_PORT": "tcp://x"}
    settings = load_text("[daemon]\nworkers = 3\n", environ)
    assert (settings.daemon.workers, settings.metrics.top_k) == (7, 3)


def test_errors_of_the_environment_name_the_variable(errors_of: ErrorsOf) -> None:
    environ = {
        "PGVIGIL_DAEMON_LISTEN": "x",
        "PGVIGIL_DAEMON__LISTNE": "x",
        "PGVIGIL_DAEMON__WORKERS": "none",
        "PGVIGIL_TARGETS__0__NAME": "x",
    }
    assert errors_of("[daemon]\nworkers = 3\n", environ) == [
        (
            "environment variable PGVIGIL_DAEMON_LISTEN: is not read; two underscores after the section:"
            " PGVIGIL_DAEMON__LISTEN"
        ),
        'environment variable PGVIGIL_DAEMON__LISTNE: unknown key; did you mean "listen"?',
        (
            'environment variable PGVIGIL_DAEMON__WORKERS: daemon.workers = "none": should be a valid integer,'
            " unable to parse string as an integer; allowed: a whole number, 1 to 256"
        ),
        (
            "environment variable PGVIGIL_TARGETS__0__NAME: [targets] is read from files only; sections that"
            " variables can set: daemon, metrics, retention"
        ),
    ]


def test_only_one_way_to_the_password(errors_of: ErrorsOf, tmp_path: Path) -> None:
    (tmp_path / "p").write_text("x")
    (error,) = errors_of(TARGET.format("one") + 'password_file = "p"\npassword_command = "cat p"\n')
    assert error == "pgvigil.toml:1: targets[0]: password_file and password_command exclude each other"


def test_the_password_is_read_at_each_connect(load_text: Load, tmp_path: Path) -> None:
    (tmp_path / "p").write_text("first\n")
    settings = load_text(
        TARGET.format("file")
        + 'password_file = "p"\n'
        + TARGET.format("command")
        + f'password_command = ["cat", "{tmp_path}/p"]\n'
        + TARGET.format("neither")
    )
    file, command, neither = (target.server.password for target in settings.targets)
    assert file is not None
    assert command is not None
    assert neither is None
    assert (file(), command()) == ("first", "first")
    (tmp_path / "p").write_text("second\n")
    assert (file(), command()) == ("second", "second")


def test_a_disabled_target_is_not_watched(load_text: Load) -> None:
    settings = load_text(TARGET.format("one") + "enabled = false\n" + TARGET.format("two"))
    assert [target.name for target in settings.targets] == ["two"]


@pytest.mark.parametrize(
    ("match", "said"),
    [
        ('severity = "crit"', "severity is never crit."),
        ('severty = "critical"', 'did you mean "severity"?'),
        ('rule = ["slow-query", "x"]', "rule is never slow-query or x."),
        ('target = "two*"', "target is never two*."),
        ('env = "prd"', 'did you mean "prod"?'),
    ],
)
def test_a_route_that_can_match_nothing_is_a_problem(match: str, said: str, load_text: Load) -> None:
    """Its incidents would go to whatever stands below it, and nobody would know."""
    settings = load_text(
        f'{TARGET.format("one")}labels = {{ env = "prod" }}\n[sinks.a]\nkind = "hook"\ntoken_file = "pgvigil.toml"\n'
        f'[[routes]]\nmatch = {{ {match} }}\nsinks = ["a"]\n[[routes]]\nsinks = ["a"]\n'
    )
    (problem,) = settings.problems
    assert problem.slug == "route-matches-nothing"
    assert "pgvigil.toml:9" in problem.sentence
    assert said in f"{problem.sentence} {problem.fix}"


def test_routes_that_can_match_are_no_problem(load_text: Load) -> None:
    settings = load_text(
        f'{TARGET.format("one")}labels = {{ env = "prod" }}\n[sinks.a]\nkind = "hook"\ntoken_file = "pgvigil.toml"\n'
        '[[routes]]\nmatch = { severity = ["critical", "x"], env = "p*", rule = "slow_*", target = "one", database = "z" }\n'
        'sinks = ["a"]\n[[routes]]\nsinks = ["a"]\n'
    )
    assert settings.problems == ()
