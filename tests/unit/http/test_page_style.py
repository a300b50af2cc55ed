"""Colours that can be told apart, and templates that leave the policy nothing to refuse."""

import re
from pathlib import Path

import pytest

from daemon import http

FOLDER = Path(http.__file__).parent
STYLE = (FOLDER / "static" / "pgvigil.css").read_text(encoding="utf-8")
TEMPLATES = sorted((FOLDER / "templates").glob("*.html"))
GROUNDS = ("bg", "panel")
WORDS = ("text", "muted", "link", "critical", "warning", "info", "unknown", "good")
PAIRS = [
    *((word, ground, 4.5) for word in WORDS for ground in GROUNDS),
    ("text", "code", 4.5),
    ("muted", "code", 4.5),
    ("on-critical", "critical", 4.5),
    ("field", "bg", 3.0),
    ("focus", "bg", 3.0),
    ("focus", "panel", 3.0),
]


def palette(scheme: str) -> dict[str, str]:
    light, dark = re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)[:2]
    return dict(re.findall(r"--([\w-]+): #([0-9a-f]{6});", light if scheme == "light" else dark))


def luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance."""
    channels = (int(colour[at : at + 2], 16) / 255 for at in (0, 2, 4))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_its_ground(scheme: str) -> None:
    """WCAG 2.2 AA: 4.5 to 1 for text, 3 to 1 for the borders of fields and the mark of the focus."""
    colours = palette(scheme)
    for word, ground, least in PAIRS:
        lighter, darker = sorted((luminance(colours[word]), luminance(colours[ground])), reverse=True)
        ratio = (lighter + 0.05) / (darker + 0.05)
        assert ratio >= least, f"{scheme}: {word} on {ground} is {ratio:.2f} to 1"


def test_both_schemes_name_the_same_colours_and_rules_use_no_others() -> None:
    assert set(palette("light")) == set(palette("dark"))
    rules = STYLE[STYLE.index("* {") :]
    assert re.findall(r"#[0-9a-f]{3,8}\b(?!\w)", re.sub(r"#refresh", "", rules)) == []
    assert set(re.findall(r"var\(--([\w-]+)\)", STYLE)) <= set(palette("light"))


def test_no_style_file_or_script_asks_for_anything_from_elsewhere() -> None:
    for file in (FOLDER / "static").iterdir():
        text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?:|//[a-z]|@import|url\(", text), file.name


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda template: template.name)
def test_templates_escape_everything_and_hold_neither_style_nor_script(template: Path) -> None:
    text = template.read_text(encoding="utf-8")
    assert not re.search(r"\|\s*safe|autoescape|Markup|\son\w+=|\sstyle=|<style|javascript:", text)
    assert re.findall(r"<script[^>]*>(?!</script>)", text) == []
    assert re.findall(r"=\s*\{\{", text) == [], "a value in an attribute needs quotes around it"
