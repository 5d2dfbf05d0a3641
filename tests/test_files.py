from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from musicrnn.errors import FileError
from musicrnn.files import exclusive, read_bytes, replace_directory, whole_file, write_bytes, write_json


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    write_bytes(path, b"old")
    with pytest.raises(RuntimeError, match="half way"), whole_file(path) as file:
        file.write(b"new")
        raise RuntimeError("half way")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def folder_of(path: Path, name: str) -> Path:
    path.mkdir()
    (path / name).write_text(name)
    return path


def test_a_directory_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    for name in ("a", "b"):
        replace_directory(folder_of(tmp_path / "new", name), path)
    assert [entry.name for entry in path.iterdir()] == ["b"]
    assert list(tmp_path.iterdir()) == [path]


def test_the_old_directory_comes_back_where_the_new_one_cannot_take_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, rename = folder_of(tmp_path / "folder", "old"), Path.rename

    def fails_once(self: Path, target: Path) -> Path:
        if self.name == "new":
            raise PermissionError(13, "Permission denied", str(target))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fails_once)
    with pytest.raises(FileError, match=r"folder: can't write: Permission denied"):
        replace_directory(folder_of(tmp_path / "new", "a"), path)
    assert (path / "old").read_text() == "old"


HOLD = "import sys, time; from pathlib import Path; from musicrnn.files import exclusive"


def test_a_held_folder_is_refused_to_others_until_its_holder_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "corpus"
    code = f"{HOLD}\nwith exclusive(Path({str(path)!r})):\n    print('held', flush=True)\n    time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        with pytest.raises(FileError, match="corpus: another process is using it"), exclusive(path):
            pass
        holder.kill()
    with exclusive(path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_missing_parents_are_made(tmp_path: Path) -> None:
    write_json(tmp_path / "a" / "b" / "c.json", {"ü": 1})
    assert (tmp_path / "a" / "b" / "c.json").read_text(encoding="utf-8") == '{\n "ü": 1\n}\n'


def test_new_files_have_usual_permissions(tmp_path: Path) -> None:
    write_bytes(tmp_path / "a", b"")
    (tmp_path / "b").touch()
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


def test_refusals_name_the_path(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match=r"folder.*expected a file to write, found a folder"):
        write_bytes(tmp_path.joinpath("folder").mkdir() or tmp_path / "folder", b"")
    with pytest.raises(FileError, match=r"file.*can't write: "):
        write_bytes(tmp_path / "file" / "below", b"")
    with pytest.raises(FileError, match=r"nothing: can't read: No such file"):
        read_bytes(tmp_path / "nothing")
