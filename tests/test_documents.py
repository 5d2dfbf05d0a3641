"""What documents say of the program: links lead somewhere; files, commands and flags that they name exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer

from musicrnn.cli.app import app

ROOT = Path(__file__).parents[1]
PATTERNS = ("*.md", "docs/**/*.md", "benchmarks/*.md", "data/*.md", "models/[!r]*/**/*.md")
DOCUMENTS = [path for pattern in PATTERNS for path in sorted(ROOT.glob(pattern))]
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]

documents = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


def _anchors(text: str) -> set[str]:
    """Return the anchors of the headings of a document, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@documents
def test_links_lead_somewhere(path: Path) -> None:
    for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", path.read_text(encoding="utf-8")):
        file, _, anchor = link.partition("#")
        target = path.parent / file if file else path
        assert target.exists(), link
        assert not anchor or anchor in _anchors(target.read_text(encoding="utf-8")), link


@documents
def test_commands_take_the_flags_that_are_shown(path: Path) -> None:
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    for name, rest in re.findall(r"\bmusicrnn ([a-z]+)((?: [^\n|&#`]*)?)", text):
        if name in COMMANDS:
            parameters = COMMANDS[name].params
            known = {flag for each in parameters for flag in (*each.opts, *each.secondary_opts)}
            assert set(re.findall(r"(?<!\S)--?[a-z][\w-]*", rest)) <= {*known, "-h", "--help"}, rest


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "docs/architecture.md"])
def test_files_that_are_named_exist(name: str) -> None:
    for file in re.findall(r"`((?:[\w.]+/)+[\w.]*)`", (ROOT / name).read_text(encoding="utf-8")):
        assert (ROOT / file).exists() or (ROOT / "musicrnn" / file).exists(), file
