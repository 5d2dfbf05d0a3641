"""A draft continues after an interruption at any moment."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from musicrnn.corpus import collect
from musicrnn.corpus.convert import Converted, convert
from musicrnn.corpus.draft import Draft
from tests.conftest import LAYOUT, PREPARATION


@pytest.fixture(scope="module")
def pieces(midi_folder: Path) -> list[Converted]:
    return [convert(source, PREPARATION) for source in collect([str(midi_folder)])]


def begin(directory: Path, pieces: list[Converted], request: str = "asked") -> Path:
    """A draft of some pieces that was never finished."""
    with Draft(directory, LAYOUT, {"request": request}) as draft:
        for piece in pieces:
            draft.add(piece)
        draft.commit()
    return draft.folder


def finish(directory: Path, pieces: list[Converted]) -> tuple[int, dict[str, bytes]]:
    """How many pieces were done already, and the files of the finished corpus."""
    with Draft(directory, LAYOUT, {"request": "asked"}) as draft:
        done = draft.done
        for piece in pieces[done:]:
            draft.add(piece)
        draft.finish("name", (0.2, 0.2), 0, False)
    return done, {path.name: path.read_bytes() for path in directory.iterdir()}


def test_an_interrupted_draft_ends_with_the_same_bytes(pieces: list[Converted], tmp_path: Path) -> None:
    _, whole = finish(tmp_path / "whole", pieces)
    assert whole.keys() == {"corpus.json", "frames.bin", "index.npy", "report.jsonl"}
    for count in (1, 5, len(pieces)):
        begin(tmp_path / "c", pieces[:count])
        assert finish(tmp_path / "c", pieces) == (count, whole)


def test_half_written_lines_and_frames_are_done_again(pieces: list[Converted], tmp_path: Path) -> None:
    _, whole = finish(tmp_path / "whole", pieces)
    for name, cut, done in (("journal.jsonl", 9, 4), ("frames.bin", 1, 4), ("journal.jsonl", 1, 4)):
        path = begin(tmp_path / "c", pieces[:5]) / name
        path.write_bytes(path.read_bytes()[:-cut])
        assert finish(tmp_path / "c", pieces) == (done, whole)


def test_frames_without_a_line_are_cut_off(pieces: list[Converted], tmp_path: Path) -> None:
    _, whole = finish(tmp_path / "whole", pieces)
    with (begin(tmp_path / "c", pieces[:5]) / "frames.bin").open("ab") as file:
        file.write(b"more")
    assert finish(tmp_path / "c", pieces) == (5, whole)


def test_flipped_bits_are_done_again(pieces: list[Converted], tmp_path: Path) -> None:
    _, whole = finish(tmp_path / "whole", pieces)
    path = begin(tmp_path / "c", pieces[:5]) / "frames.bin"
    content = bytearray(path.read_bytes())
    content[0] ^= 1
    path.write_bytes(content)
    assert finish(tmp_path / "c", pieces) == (0, whole)


def test_what_an_interrupted_finish_left_does_not_stay(pieces: list[Converted], tmp_path: Path) -> None:
    _, whole = finish(tmp_path / "whole", pieces)
    folder = begin(tmp_path / "c", pieces)
    for name in ("pieces", "index.npy", ".corpus.json.x.tmp"):
        (folder / name).write_bytes(b"half")
    shutil.copytree(tmp_path / "whole", folder.with_name(folder.name + ".old"))
    assert finish(tmp_path / "c", pieces) == (len(pieces), whole)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c", "whole"]


def test_another_request_starts_over(pieces: list[Converted], tmp_path: Path) -> None:
    begin(tmp_path / "c", pieces[:5], request="another")
    assert finish(tmp_path / "c", pieces)[0] == 0


def test_reasons_are_counted_over_interruptions(tmp_path: Path, pieces: list[Converted]) -> None:
    bad = Converted("bad.mid", reason="empty", detail="bad.mid: nothing")
    begin(tmp_path / "c", [pieces[0], bad])
    with Draft(tmp_path / "c", LAYOUT, {"request": "asked"}) as draft:
        draft.add(bad)
        assert (draft.done, draft.reasons, draft.first_detail, draft.pieces) == (
            3,
            {"empty": 2},
            bad.detail,
            1,
        )
