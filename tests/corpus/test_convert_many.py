"""The fast version gives the results of ``convert``, in batches of any files."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from benchmarks import campaign
from musicrnn.bundled import bundled
from musicrnn.corpus import Preparation, collect
from musicrnn.corpus import convert_many as module
from musicrnn.corpus.convert import convert
from musicrnn.corpus.convert_many import convert_many
from musicrnn.corpus.sources import Source
from musicrnn.music import Layout

PREPARATIONS = [
    Preparation(),
    Preparation(Layout(channels="frame")),
    Preparation(Layout(resolution=3, low=50, high=70)),
    Preparation(Layout(resolution=1, low=72, high=72)),
    Preparation(min_frames=200, max_frames=300),
    Preparation(transpose_to_c=True),
]


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[Source]:
    """Good files, damaged files, and files that are no music."""
    good = [Path(piece.path) for piece in collect([str(bundled("data/chorales"))])][::16]
    folder = tmp_path_factory.mktemp("mixed") / "files"
    campaign.mix(good, folder, 60, seed=3)
    (folder / "0-empty.mid").touch()
    return [
        *collect([str(folder)]),
        Source("gone.mid", str(folder / "gone.mid")),
        Source("x", "x", content=b"x"),
    ]


@pytest.mark.parametrize("preparation", PREPARATIONS, ids=str)
def test_batches_of_any_size_give_what_convert_gives(sources: list[Source], preparation: Preparation) -> None:
    expected = [convert(source, preparation) for source in sources]
    rng, found = random.Random(0), []
    while len(found) < len(sources):
        found += convert_many(sources[len(found) : len(found) + rng.randint(1, 20)], preparation)
    assert found == expected


def test_ordinary_files_go_the_fast_way(monkeypatch: pytest.MonkeyPatch) -> None:
    slow: list[str] = []
    monkeypatch.setattr(module, "convert", lambda source, _: slow.append(source.name))
    convert_many(list(collect([str(bundled("data/chorales"))]))[:16], Preparation())
    assert slow == []
    convert_many(list(collect([str(bundled("data/chorales"))]))[:16], Preparation(pedal=True))
    assert len(slow) == 16
