"""Archives yield their members one by one, bounded in memory; what is damaged costs no more than itself."""

from __future__ import annotations

import io
import random
import struct
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from musicrnn.corpus import archives
from musicrnn.corpus.archives import is_archive, read_members

FILES = {"b/2.mid": b"two" * 400, "a.mid": b"one", "b/T.CSV": b"rows", "b/10.mid": b"ten", "x.txt": b"x"}
COMPRESSIONS = [".zip", ".tar", ".tar.gz", ".tar.bz2", ".tar.xz"]


def write(path: Path, files: dict[str, bytes]) -> Path:
    """Write an archive of the kind that its name says."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return path
    kind = path.suffix.removeprefix(".")
    with tarfile.open(path, "w" if kind == "tar" else f"w:{kind}") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def is_midi(name: str) -> bool:
    return name.endswith(".mid")


def found(path: Path, pattern: str | None = None) -> list[tuple[str, bytes | str]]:
    """Name and content of each member, or the short code of why there is none."""
    members = read_members(path, is_midi, pattern)
    return [(member.name, member.refusal[1] if member.refusal else member.content) for member in members]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *[(f"x{suffix}", True) for suffix in archives.SUFFIXES],
        ("X.ZIP", True),
        ("x.Tar.Gz", True),
        ("x.gz", False),
        ("x.mid", False),
        ("zip", False),
    ],
)
def test_archives_are_known_by_their_names(tmp_path: Path, name: str, expected: bool) -> None:
    (tmp_path / name).touch()
    assert is_archive(tmp_path / name) is expected


def test_a_folder_of_any_name_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "songs.zip").mkdir()
    assert not is_archive(tmp_path / "songs.zip")


def test_a_zip_yields_its_tables_first_and_the_rest_by_name(tmp_path: Path) -> None:
    order = ["b/T.CSV", "a.mid", "b/10.mid", "b/2.mid"]
    assert found(write(tmp_path / "x.zip", FILES)) == [(name, FILES[name]) for name in order]


@pytest.mark.parametrize("suffix", COMPRESSIONS[1:])
def test_a_tar_yields_what_is_wanted_as_it_comes(tmp_path: Path, suffix: str) -> None:
    order = ["b/2.mid", "a.mid", "b/T.CSV", "b/10.mid"]
    assert found(write(tmp_path / f"x{suffix}", FILES)) == [(name, FILES[name]) for name in order]


@pytest.mark.parametrize("suffix", [".zip", ".tar.gz"])
def test_a_pattern_stays_within_a_folder(tmp_path: Path, suffix: str) -> None:
    names = ("a/1.mid", "a/b/2.mid", "3.mid", "c/t.csv")
    path = write(tmp_path / f"x{suffix}", dict.fromkeys(names, b""))
    assert sorted(name for name, _ in found(path, "a/*.mid")) == ["a/1.mid", "c/t.csv"]
    assert sorted(name for name, _ in found(path, "*/*/*.mid")) == ["a/b/2.mid", "c/t.csv"]


@pytest.mark.parametrize("suffix", COMPRESSIONS)
def test_members_too_large_are_refused_one_by_one(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "MAX_FILE_BYTES", 1000)
    path = write(tmp_path / f"x{suffix}", {"1.mid": b"one", "2.mid": bytes(1001), "3.mid": bytes(1000)})
    assert found(path) == [("1.mid", b"one"), ("2.mid", "too-large"), ("3.mid", bytes(1000))]
    refusals = [member.refusal for member in read_members(path, is_midi) if member.refusal]
    assert refusals[0][0] == f"{path}:2.mid: expected at most 1000 bytes, found 1001"


@pytest.mark.parametrize("suffix", COMPRESSIONS)
def test_an_archive_that_expands_without_end_is_left_where_it_has_expanded_enough(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "FREE_EXPANSION", 2**16)
    monkeypatch.setattr(archives, "MAX_EXPANSION", 0)
    path = write(tmp_path / f"x{suffix}", {f"{number}.mid": bytes(2**14) for number in range(9)})
    *read, (name, reason) = found(path)
    assert read == [(f"{number}.mid", bytes(2**14)) for number in range(len(read))]
    assert 3 <= len(read) <= 4
    assert (name, reason) == (path.name, "expansion")


def test_unwanted_members_count_if_they_must_be_expanded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "FREE_EXPANSION", 2**16)
    files = {"1.mid": b"one", "waste.bin": bytes(2**20), "2.mid": b"two"}
    assert found(write(tmp_path / "x.zip", files)) == [("1.mid", b"one"), ("2.mid", b"two")]
    assert found(write(tmp_path / "x.tar.bz2", files)) == [("1.mid", b"one"), ("x.tar.bz2", "expansion")]


def test_a_large_archive_may_expand_in_proportion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "FREE_EXPANSION", 0)
    assert len(found(write(tmp_path / "x.zip", FILES))) == 4
    assert len(found(write(tmp_path / "x.tar.gz", FILES))) == 4


def test_the_facts_before_a_member_take_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "x.tar.gz"
    header = tarfile.TarInfo("facts")
    header.type, header.size = tarfile.XHDTYPE, 2**23
    with tarfile.open(path, "w:gz") as archive:
        archive.addfile(header, io.BytesIO(bytes(header.size)))
    tracemalloc.start()
    try:
        assert found(path) == [("x.tar.gz", "damaged-archive")]
        assert tracemalloc.get_traced_memory()[1] < 2**21
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_in_a_tar_are_read(tmp_path: Path, kind: int) -> None:
    entry = tarfile.TarInfo("é" * 100 + "/" + "x" * 200 + ".mid")
    with tarfile.open(tmp_path / "x.tar", "w", format=kind) as archive:
        archive.addfile(entry, io.BytesIO())
    assert found(tmp_path / "x.tar") == [(entry.name, b"")]


def test_links_and_folders_in_a_tar_are_no_members(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE):
            entry = tarfile.TarInfo("a.mid")
            entry.type, entry.linkname = kind, "/etc/hostname"
            archive.addfile(entry)
    assert found(tmp_path / "x.tar") == []


def encrypted(data: bytes, name: str) -> bytes:
    """A .zip in which a member says that it needs a password."""
    changed = bytearray(data)
    for signature, flags, names in ((b"PK\x03\x04", 6, 30), (b"PK\x01\x02", 8, 46)):
        at = data.find(signature)
        while data[at + names : at + names + len(name)] != name.encode():
            at = data.index(signature, at + 1)
        changed[at + flags] |= 1
    return bytes(changed)


def test_encrypted_members_are_refused_one_by_one(tmp_path: Path) -> None:
    path = write(tmp_path / "x.zip", {"1.mid": b"one", "2.mid": b"two" * 9, "3.mid": b"three"})
    path.write_bytes(encrypted(path.read_bytes(), "2.mid"))
    assert found(path) == [("1.mid", b"one"), ("2.mid", "encrypted"), ("3.mid", b"three")]


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_damage_in_a_zip_costs_one_member(tmp_path: Path, method: int) -> None:
    path, generator = tmp_path / "x.zip", random.Random(0)
    good = {name: generator.randbytes(300) for name in ("1.mid", "2.mid", "3.mid")}
    with zipfile.ZipFile(path, "w", method) as archive:
        for name in good:
            archive.writestr(name, good[name])
    with zipfile.ZipFile(path) as archive:
        second = archive.infolist()[1]
    data = bytearray(path.read_bytes())
    middle = second.header_offset + 30 + len("2.mid") + second.compress_size // 2
    data[middle : middle + 8] = bytes(byte ^ 0xFF for byte in data[middle : middle + 8])
    path.write_bytes(data)
    assert dict(found(path)) == {**good, "2.mid": "damaged-archive"}


def test_a_zip_member_that_is_longer_than_it_says_is_damaged(tmp_path: Path) -> None:
    path = write(tmp_path / "x.zip", {"1.mid": bytes(5000)})
    size, lie = struct.pack("<I", 5000), struct.pack("<I", 50)
    path.write_bytes(path.read_bytes().replace(size, lie))
    assert found(path) == [("1.mid", "damaged-archive")]


@pytest.mark.parametrize("suffix", COMPRESSIONS[1:])
def test_what_comes_before_the_end_of_half_a_tar_is_kept(tmp_path: Path, suffix: str) -> None:
    files = {f"{number:02}.mid": bytes(range(256)) * number for number in range(40)}
    path = write(tmp_path / f"x{suffix}", files)
    content = path.read_bytes()
    for end in (len(content) // 2, len(content) // 2 // 512 * 512):
        path.write_bytes(content[:end])
        *read, last = found(path)
        assert read == list(files.items())[: len(read)]
        assert last == (path.name, "damaged-archive")
        assert read or suffix in (".tar.bz2", ".tar.xz")  # whose first block may be all there is


def test_damage_between_two_members_of_a_tar_is_not_its_end(tmp_path: Path) -> None:
    path = write(tmp_path / "x.tar", {"1.mid": b"one", "2.mid": b"two"})
    content = bytearray(path.read_bytes())
    content[2 * 512 + 150] ^= 1  # the second header
    path.write_bytes(content)
    assert found(path) == [("1.mid", b"one"), ("x.tar", "damaged-archive")]


@pytest.mark.parametrize("suffix", COMPRESSIONS)
@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"\xff" * 700])
def test_what_is_no_archive_is_said_to_be_damaged(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"x{suffix}"
    path.write_bytes(content)
    (member,) = read_members(path, is_midi)
    assert member.name == path.name
    assert member.refusal is not None
    assert member.refusal[0].startswith(f"{path}: expected a readable archive, found damage: ")
    assert member.refusal[1] == "damaged-archive"
