from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest
from typer.testing import Result

from musicrnn.corpus.registry import DATASETS, Dataset

Invoke = Callable[..., Result]
CONTENT = b"published"


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Register a tiny data set, and return a folder that holds a copy of it."""
    dataset = Dataset(
        name="tiny",
        title="Tiny",
        address="http://127.0.0.1:9/tiny.mat",  # the discard port: no server
        bytes=len(CONTENT),
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        resolution=2,
        licence="none stated",
        citation="nobody",
    )
    monkeypatch.setitem(DATASETS, "tiny", dataset)
    monkeypatch.setenv("MUSICRNN_CACHE", str(tmp_path / "cache"))
    (tmp_path / "copies").mkdir()
    (tmp_path / "copies" / "tiny.mat").write_bytes(CONTENT)
    return tmp_path / "copies"


def test_the_list_names_every_data_set_and_what_pins_it(invoke: Invoke) -> None:
    output = invoke("datasets").stdout
    for dataset in DATASETS.values():
        for part in (dataset.title, dataset.licence, dataset.citation, dataset.address):
            assert part in output
        assert (dataset.sha256 or dataset.commit or "") in output
    assert "JSB Chorales | 1/quarter | 96,095 bytes | licence: none stated" in output
    assert "0.05 s/frame | 58,416,533 bytes | licence: CC BY-NC-SA 4.0" in output


def test_the_list_as_json_has_all_fields(invoke: Invoke) -> None:
    entries = json.loads(invoke("datasets", "--json").stdout)
    assert [entry["name"] for entry in entries] == list(DATASETS)
    assert all(set(entry) == {field.name for field in fields(Dataset)} for entry in entries)


def test_get_prints_where_the_copy_is(invoke: Invoke, tiny: Path) -> None:
    assert invoke("datasets", "get", "tiny", "--from", tiny).stdout == f"{tiny / 'tiny.mat'}\n"
    document = json.loads(invoke("datasets", "get", "tiny", "--from", tiny, "--json").stdout)
    assert document == {"name": "tiny", "file": str(tiny / "tiny.mat")}


def test_get_shows_progress_on_a_terminal(
    invoke: Invoke, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(_dataset: Dataset, _offline: Path | None, progress: Callable[[int, int | None], None]) -> Path:
        progress(1_500_000, None)
        progress(1_500_000, 3_000_000)
        return tiny

    monkeypatch.setattr("musicrnn.corpus.fetch.fetch", fetch)
    monkeypatch.setattr("musicrnn.cli.console.shows_progress", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich then takes the captured stderr for a terminal
    result = invoke("datasets", "get", "tiny")
    assert (result.exit_code, result.stdout) == (0, f"{tiny}\n")
    assert "1.5/3.0 MB" in result.stderr


def test_without_a_copy_get_gives_the_reason_in_one_line(
    invoke: Invoke, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("musicrnn.corpus.fetch.PAUSE", 0.0)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    result = invoke("datasets", "get", "tiny")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        "error: http://127.0.0.1:9/tiny.mat: can't be fetched (no connection); "
        "--from DIR takes a copy of tiny.mat on disk\n"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["get", "mnist"], "datasets get: expected one of jsb, .*, lakh; found mnist"),
        (["get"], "found no name"),
        (["put"], "datasets: expected list or get, found put"),
        (["list", "jsb"], "datasets list: expected no NAME and no --from"),
        (["--from", "."], "datasets list: expected no NAME and no --from"),
    ],
)
def test_wrong_usage_has_its_own_exit_code(invoke: Invoke, arguments: list[str], message: str) -> None:
    result = invoke("datasets", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert re.search(message, result.stderr)
