from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

import pytest

from musicrnn.corpus.registry import DATASETS, Dataset, identify

BENCHMARKS = Path(__file__).parents[3] / "shared" / "benchmarks"


@pytest.mark.parametrize("name", DATASETS)
def test_every_entry_says_what_a_user_must_know(name: str) -> None:
    dataset = DATASETS[name]
    assert dataset.name == name
    assert dataset.title and dataset.licence and dataset.citation
    assert (dataset.resolution is None) != (dataset.frame_seconds is None)
    assert re.fullmatch(r"https?://[^\s]+/[^\s/]+", dataset.address)
    assert re.fullmatch(r"[\w.-]+", dataset.file)


@pytest.mark.parametrize("name", DATASETS)
def test_every_entry_is_pinned(name: str) -> None:
    dataset = DATASETS[name]
    if dataset.sha256 is None:
        assert re.fullmatch(r"[0-9a-f]{40}", dataset.commit or "")
        assert dataset.commit in dataset.address
        assert dataset.file.endswith((".zip", ".json")), "no other kind can be checked without a checksum"
    else:
        assert re.fullmatch(r"[0-9a-f]{64}", dataset.sha256)
        assert dataset.bytes is not None


def test_no_two_entries_share_a_file_in_the_cache() -> None:
    assert len({dataset.file for dataset in DATASETS.values()}) == len(DATASETS)


def test_a_file_is_called_as_in_its_address_unless_said_otherwise() -> None:
    def named(file: str) -> Dataset:
        address = "https://example.org/a/b.zip?raw=1"
        return Dataset(name="x", title="X", address=address, file=file, licence="none", citation="none")

    assert named("").file == named("x.zip").published_file == "b.zip"
    assert named("x.zip").file == "x.zip"


def test_the_members_of_nottingham_are_those_of_one_folder() -> None:
    members = DATASETS["nottingham-midi"].members
    assert members is not None
    assert PurePosixPath("nottingham-dataset-0992bb6/MIDI/ashover1.mid").match(members)
    assert not PurePosixPath("nottingham-dataset-0992bb6/MIDI/melody/ashover1.mid").match(members)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("jsb", "JSB_Chorales.mat"),
        ("nottingham", "Nottingham.mat"),
        ("musedata", "MuseData.mat"),
        ("piano-midi", "Piano_midi.mat"),
    ],
)
def test_published_files_are_known_by_their_bytes(name: str, file: str) -> None:
    if not BENCHMARKS.exists():
        pytest.skip("needs the published benchmarks in ../shared")
    content = (BENCHMARKS / file).read_bytes()
    assert identify(content) == DATASETS[name]
    assert (file, len(content)) == (DATASETS[name].file, DATASETS[name].bytes)


def test_unknown_bytes_match_no_data_set() -> None:
    assert identify(b"other") is None
