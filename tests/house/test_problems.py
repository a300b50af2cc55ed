"""What people must mend is said in one way everywhere."""

from collections import defaultdict
from pathlib import Path

from daemon.settings.generate.scanned import ProblemDoc, problem_docs

ROOT = Path(__file__).parents[2]
PROBLEMS = problem_docs(ROOT)


def ways_out(problem: ProblemDoc) -> list[str]:
    return problem.fix.split("\n\n**Or.** ")


def test_a_fix_is_a_command_or_an_imperative() -> None:
    """SQL ends with a semicolon, and may say in a comment when it takes effect; a sentence begins with a capital
    and ends with a full stop.
    """
    odd = [
        (problem.slug, fix)
        for problem in PROBLEMS
        for fix in ways_out(problem)
        if not (fix[:1].isupper() or fix[:1] in "`<")
        or not (fix.endswith((".", ";")) or "; --" in fix or ">" in fix[-2:])
    ]
    assert odd == []


def test_a_problem_is_a_sentence() -> None:
    odd = [
        (problem.slug, problem.sentence) for problem in PROBLEMS if not problem.sentence.endswith((".", ">"))
    ]
    assert odd == []


def test_what_doctor_and_daemon_find_says_why_it_matters() -> None:
    """Once for each slug is enough."""
    said: dict[str, bool] = defaultdict(bool)
    doctors = (ROOT / "daemon/doctor").glob("*.py")
    slugs = {
        slug
        for file in doctors
        for slug in (doc.slug for doc in PROBLEMS)
        if f'slug="{slug}"' in file.read_text()
    }
    for problem in PROBLEMS:
        said[problem.slug] |= bool(problem.why)
    assert slugs
    assert [slug for slug in sorted(slugs) if not said[slug]] == []
