from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from musicrnn.corpus.registry import DATASETS, Dataset, fetch, identify
from musicrnn.errors import CorpusError


class _Handler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "x.mat").write_bytes(b"content")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=str(tmp_path / "served")))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/x.mat"
    server.shutdown()
    thread.join()
    server.server_close()


def dataset(address: str, content: bytes = b"content") -> Dataset:
    return Dataset("x", "X", address, len(content), hashlib.sha256(content).hexdigest(), resolution=1)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MUSICRNN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_data_set_is_fetched_once(address: str, tmp_path: Path, cache: Path) -> None:
    assert fetch(dataset(address)).read_bytes() == b"content"
    (tmp_path / "served" / "x.mat").unlink()
    assert fetch(dataset(address)) == cache / "x.mat"


def test_wrong_bytes_are_refused_and_not_kept(address: str, cache: Path) -> None:
    with pytest.raises(CorpusError, match=r"expected sha256 .* found other bytes"):
        fetch(dataset(address, b"published"))
    assert not (cache / "x.mat").exists()


def test_a_missing_file_gives_its_address(address: str) -> None:
    with pytest.raises(CorpusError, match=r"y.mat: can't be fetched \(the server answers 404\)"):
        fetch(dataset(address.replace("x.mat", "y.mat")))
    nowhere = "http://127.0.0.1:9/x.mat"  # the discard port: nobody listens
    with pytest.raises(CorpusError, match=r"x.mat: can't be fetched \(no connection\); a copy on disk"):
        fetch(dataset(nowhere))


def test_published_files_are_known_by_their_bytes() -> None:
    benchmarks = Path(__file__).parents[3] / "shared" / "benchmarks"
    if not benchmarks.exists():
        pytest.skip("needs the published benchmarks in ../shared")
    for name, file in (("jsb", "JSB_Chorales"), ("nottingham", "Nottingham"), ("musedata", "MuseData")):
        content = (benchmarks / f"{file}.mat").read_bytes()
        assert identify(content) == DATASETS[name] and len(content) == DATASETS[name].bytes
    assert identify(b"other") is None
