"""Downloads from a server on the loopback address that answers as badly as servers do."""

from __future__ import annotations

import hashlib
import io
import json
import random
import re
import socket
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from musicrnn.corpus import fetch as module
from musicrnn.corpus.fetch import cache_directory, fetch
from musicrnn.corpus.registry import Dataset
from musicrnn.errors import CorpusError, FileError

CONTENT = random.Random(0).randbytes(10_000)
WRONG = CONTENT[::-1]
COMMIT = "0992bb6cd864f6d4b90d6663e08c0ef53ffaa08f"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Answers the first request with the first step of the server's plan, and so on; the last one stays."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        self.close_connection = True
        self.server.ranges.append(self.headers["Range"])
        self.server.encodings.append(self.headers["Accept-Encoding"])
        self.server.plan[min(len(self.server.ranges), len(self.server.plan)) - 1](self)

    def begin(self, status: int = 200, **headers: object) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


Step = Callable[[Handler], None]


class Server(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.plan: list[Step] = [serve()]
        self.ranges: list[str | None] = []
        self.encodings: list[str | None] = []
        self.closing = threading.Event()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/x.mat"

    def handle_error(self, *_: object) -> None:
        """Clients that hang up are part of the plan; any other error is one of the test itself."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            raise


def serve(
    content: bytes = CONTENT, sent: int | None = None, length: object = None, ranges: bool = True
) -> Step:
    """Serve from the byte that is asked for, but at most ``sent`` bytes; ``length`` is what is said."""

    def step(handler: Handler) -> None:
        asked = handler.headers["Range"] if ranges else None
        start = int((asked or "bytes=0-").removeprefix("bytes=").rstrip("-"))
        headers = {"Content_Length": len(content) - start if length is None else length}
        if asked:
            headers["Content_Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        handler.begin(206 if asked else 200, **headers)
        handler.wfile.write(content[start:][:sent])

    return step


def stall(sent: int, length: object = None) -> Step:
    def step(handler: Handler) -> None:
        serve(CONTENT, sent, length)(handler)
        handler.server.closing.wait(5)

    return step


def answer(status: int, **headers: object) -> Step:
    return lambda handler: handler.begin(status, Content_Length=0, **headers)


def endless(handler: Handler) -> None:
    handler.begin()
    while True:
        handler.wfile.write(CONTENT)


def chunked(content: bytes, whole: bool = True) -> Step:
    """Serve as GitHub serves archives: in pieces, of no known length."""

    def step(handler: Handler) -> None:
        handler.begin(Transfer_Encoding="chunked")
        for piece in (content[:3000], content[3000:]):
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        handler.wfile.write(b"0\r\n\r\n" if whole else b"")

    return step


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.closing.set()
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MUSICRNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(module, "ATTEMPTS", 3)
    monkeypatch.setattr(module, "TIMEOUT", 0.5)
    monkeypatch.setattr(module, "PAUSE", 0.01)
    monkeypatch.setattr(module, "CHUNK", 1000)
    return tmp_path / "cache"


def published(server: Server) -> Dataset:
    known = {"address": server.address, "bytes": len(CONTENT), "sha256": sha256(CONTENT)}
    return Dataset(name="x", title="X", **known, resolution=1, licence="none stated", citation="nobody")


def pinned(server: Server, file: str, size: int | None = None) -> Dataset:
    return replace(published(server), file=file, bytes=size, sha256=None, commit=COMMIT)


def archive(comment: str = COMMIT) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr(zipfile.ZipInfo("top/MIDI/a.mid"), CONTENT)
        file.comment = comment.encode()
    return buffer.getvalue()


def left(cache: Path) -> dict[str, bytes]:
    """What a download has left in the cache, except for the lock."""
    return {path.name: path.read_bytes() for path in cache.iterdir() if path.suffix != ".lock"}


def test_a_data_set_is_downloaded_once(server: Server, cache: Path) -> None:
    assert fetch(published(server)) == fetch(published(server)) == cache / "x.mat"
    assert left(cache) == {"x.mat": CONTENT}
    assert server.ranges == [None]
    assert server.encodings == ["identity"]


def test_a_damaged_copy_in_the_cache_is_replaced(
    server: Server, cache: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    cache.mkdir()
    (cache / "x.mat").write_bytes(WRONG)
    fetch(published(server))
    assert left(cache) == {"x.mat": CONTENT}
    assert capfd.readouterr() == ("", "")


def test_progress_counts_bytes_and_knows_their_number(server: Server) -> None:
    seen: list[tuple[int, int | None]] = []
    fetch(published(server), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(done, len(CONTENT)) for done in range(0, len(CONTENT) + 1, 1000)]


@pytest.mark.parametrize(
    ("ranges", "plan"),
    [
        pytest.param([None, "bytes=4500-"], [serve(sent=4500), serve()], id="cut off"),
        pytest.param([None, "bytes=4000-"], [stall(4500), serve()], id="stalled"),
        pytest.param([None], [stall(10_000, length=20_000)], id="silent at the end"),
        pytest.param([None, "bytes=4500-"], [serve(length=4500), serve()], id="too small a length"),
        pytest.param([None], [serve(length=20_000)], id="too large a length"),
        pytest.param([None], [serve(length="many")], id="a length that is no number"),
        pytest.param([None], [serve(length="9" * 5000)], id="a length of 5,000 digits"),
        pytest.param([None], [chunked(CONTENT)], id="no length"),
        pytest.param([None, "bytes=4500-"], [serve(sent=4500), serve(ranges=False)], id="no ranges"),
        *(
            pytest.param([None, "bytes=4500-", None], [serve(sent=4500), refusal, serve()], id=name)
            for name, refusal in {
                "range refused": answer(416),
                "range not said": answer(206),
                "another range": answer(206, Content_Range="bytes 0-9999/10000"),
                "another whole": answer(206, Content_Range="bytes 4500-9998/9999"),
            }.items()
        ),
        *(
            pytest.param([None, None], [answer(status), serve()], id=f"{status}")
            for status in (408, 429, 500, 503)
        ),
    ],
)
def test_repairable_copies_are_repaired(
    server: Server, cache: Path, ranges: list[str | None], plan: list[Step]
) -> None:
    server.plan = plan
    fetch(published(server))
    assert server.ranges == ranges
    assert left(cache) == {"x.mat": CONTENT}


@pytest.mark.parametrize(
    ("requests", "part", "plan", "message"),
    [
        pytest.param(1, 0, [answer(404)], r"\(the server answers 404\); --from DIR takes", id="404"),
        pytest.param(3, 4500, [serve(sent=4500), answer(503)], r"\(the server answers 503\)", id="503"),
        pytest.param(
            3, 4500, [serve(CONTENT[:4500], ranges=False)], r"\(cut off after 4,500 of 10,000", id="short"
        ),
        pytest.param(3, 4000, [stall(4500), stall(0)], r"\(no answer within 0.5 s after 4,000", id="stalls"),
        pytest.param(1, 0, [serve(CONTENT * 2)], "expected 10,000 bytes, found more", id="long"),
        pytest.param(1, 0, [chunked(CONTENT * 2)], "expected 10,000 bytes, found more", id="long, unsaid"),
        pytest.param(1, 0, [endless], "expected 10,000 bytes, found more", id="endless"),
        pytest.param(
            1, 0, [serve(WRONG)], f"expected sha256 {sha256(CONTENT)}, found {sha256(WRONG)}", id="wrong"
        ),
    ],
)
def test_copies_beyond_repair_are_reported(
    server: Server, cache: Path, requests: int, part: int, plan: list[Step], message: str
) -> None:
    server.plan = plan
    with pytest.raises(CorpusError, match=f"^{re.escape(server.address)}: .*{message}"):
        fetch(published(server))
    assert len(server.ranges) == requests
    assert left(cache) == ({"x.mat.part": CONTENT[:part]} if part else {})


def test_what_a_failure_leaves_is_resumed_by_the_next_command(server: Server, cache: Path) -> None:
    server.plan = [serve(sent=4500), answer(404), serve()]
    with pytest.raises(CorpusError):
        fetch(published(server))
    fetch(published(server))
    assert server.ranges == [None, "bytes=4500-", "bytes=4500-"]
    assert left(cache) == {"x.mat": CONTENT}


def test_an_interrupt_leaves_what_has_come(server: Server, cache: Path) -> None:
    def interrupt(done: int, _total: int | None) -> None:
        if done >= 4000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(published(server), progress=interrupt)
    assert left(cache) == {"x.mat.part": CONTENT[:4000]}
    fetch(published(server))
    assert server.ranges == [None, "bytes=4000-"]


@pytest.mark.parametrize(
    ("part", "ranges"),
    [(b"an error page", ["bytes=13-", None]), (CONTENT + b"more", [None]), (CONTENT, [])],
    ids=["damaged", "too long", "whole"],
)
def test_a_part_is_used_only_if_it_fits(
    server: Server, cache: Path, part: bytes, ranges: list[str | None]
) -> None:
    cache.mkdir()
    (cache / "x.mat.part").write_bytes(part)
    fetch(published(server))
    assert server.ranges == ranges
    assert left(cache) == {"x.mat": CONTENT}


def test_an_endless_body_of_unknown_size_ends_at_the_limit(
    server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LIMIT", 25_000)
    server.plan = [endless]
    with pytest.raises(CorpusError, match=r"x.mat: expected at most 25,000 bytes, found more"):
        fetch(pinned(server, "x.zip"))
    assert left(cache) == {}


def test_a_server_that_is_not_there_is_reported(server: Server, cache: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    nowhere = replace(published(server), address=f"http://127.0.0.1:{port}/x.mat")
    with pytest.raises(CorpusError, match=r"x.mat: can't be fetched \(no connection\); --from DIR takes"):
        fetch(nowhere)
    assert left(cache) == {}


def test_an_archive_is_checked_by_the_commit_in_its_comment(server: Server, cache: Path) -> None:
    server.plan = [chunked(archive(), whole=False), chunked(archive())]
    assert fetch(pinned(server, "x.zip")) == fetch(pinned(server, "x.zip")) == cache / "x.zip"
    assert left(cache) == {"x.zip": archive()}
    assert len(server.ranges) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (archive("f" * 40), f"expected a zip archive of commit {COMMIT}, found f{{40}} in its comment"),
        (archive(""), "found none in its comment"),
        (archive().replace(CONTENT[:9], b"different"), "found damage in top/MIDI/a.mid"),
        (CONTENT, "expected a zip archive, found damage: "),
    ],
    ids=["another commit", "no commit", "damaged member", "no archive"],
)
def test_another_archive_is_refused_and_not_kept(
    server: Server, cache: Path, content: bytes, message: str
) -> None:
    server.plan = [serve(content)]
    with pytest.raises(CorpusError, match=message):
        fetch(pinned(server, "x.zip"))
    assert left(cache) == {}


def test_json_without_a_checksum_must_have_its_size_and_parse(server: Server, cache: Path) -> None:
    content = json.dumps({"train": [[[60, 64]]]}).encode()
    dataset = pinned(server, "x.json", len(content))
    server.plan = [serve(b"[" * len(content)), serve(content)]
    with pytest.raises(CorpusError, match=r"x.mat: expected JSON, found damage: "):
        fetch(dataset)
    assert left(cache) == {}
    assert fetch(dataset).read_bytes() == content


def test_two_requests_at_once_make_one_download(server: Server, cache: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        paths = set(pool.map(fetch, [published(server)] * 4))
    assert paths == {cache / "x.mat"}
    assert server.ranges == [None]
    assert left(cache) == {"x.mat": CONTENT}


@pytest.mark.parametrize("name", ["x.mat", "named.mat"])
def test_a_copy_on_disk_needs_no_network(server: Server, tmp_path: Path, cache: Path, name: str) -> None:
    (tmp_path / name).write_bytes(CONTENT)
    dataset = replace(published(server), file="named.mat")
    assert fetch(dataset, offline=tmp_path) == tmp_path / name
    assert server.ranges == []
    assert not cache.exists()


def test_another_copy_on_disk_is_refused(server: Server, tmp_path: Path) -> None:
    (tmp_path / "x.mat").write_bytes(b"short")
    with pytest.raises(CorpusError, match=r"x.mat: expected 10,000 bytes, found 5"):
        fetch(published(server), offline=tmp_path)
    (tmp_path / "x.mat").write_bytes(WRONG)
    with pytest.raises(CorpusError, match=f"expected sha256 {sha256(CONTENT)}, found {sha256(WRONG)}"):
        fetch(published(server), offline=tmp_path)
    assert server.ranges == []


def test_a_copy_on_disk_is_looked_for_in_a_folder(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name, message in {
        ".": r"expected x\.mat in the folder, found no such file",
        "file": r"expected a folder that holds x\.mat, found a file",
        "nowhere": r"expected a folder that holds x\.mat, found nothing there",
    }.items():
        with pytest.raises(CorpusError, match=message):
            fetch(published(server), offline=tmp_path / name)


def test_a_cache_that_cannot_be_written_is_named(server: Server, cache: Path) -> None:
    cache.write_bytes(b"a file")
    with pytest.raises(FileError, match=r"cache: File exists"):
        fetch(published(server))


def test_the_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    assert cache_directory() == cache
    monkeypatch.setenv("MUSICRNN_CACHE", "~/rolls")
    assert cache_directory() == Path.home() / "rolls"
    monkeypatch.delenv("MUSICRNN_CACHE")
    assert cache_directory().name == "musicrnn"
