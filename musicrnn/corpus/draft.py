"""Draft: a corpus that is being written, in a form that survives interruptions.

A draft is a hidden folder beside the corpus. Frames are appended to ``frames.bin``, then a line for their
source to ``journal.jsonl``. After an interruption, the sources are finished whose lines are whole and whose
frames have the right checksums; the rest of both files is cut off and done again.
"""

from __future__ import annotations

import json
import shutil
import zlib
from array import array
from collections import Counter
from pathlib import Path
from statistics import median
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from musicrnn.corpus.convert import Converted
from musicrnn.corpus.splits import FREE, assign_splits, group_pieces
from musicrnn.corpus.store import FORMAT, INDEX, PIECES, SPLITS, VERSION, row_bytes
from musicrnn.files import replace_directory, whole_file, write_bytes, write_json
from musicrnn.music import Layout

COMMIT = 64  # sources that are written together

_KEPT = ("frames.bin", "journal.jsonl", "request.json")
_ENCODING = ("utf-8", "backslashreplace")
"""Names of files that aren't UTF-8 become escapes that JSON can read back."""
_PART = np.dtype([("source", "<u4"), ("rolls", "<u4"), ("content", "V16"), ("given", "u1"), ("lowest", "u1")])
"""Facts about a piece before it is cut: number of its source, pieces it is cut into, hash of its content,
split of its source, and lowest column."""


class Draft:
    """A corpus that is being written to ``directory``; as a context it closes its files.

    Args:
        directory: Where the corpus goes.
        layout: What the rows and columns of every roll mean.
        request: The arguments, as JSON values; a draft with other arguments is discarded.
    """

    def __init__(self, directory: Path, layout: Layout, request: dict[str, Any]) -> None:
        self.directory = directory
        self.folder = directory.with_name(f".{directory.name}.draft")
        self.layout = layout
        self.done = 0  # finished sources
        self.reasons: Counter[str] = Counter()  # how many of them were skipped for each reason
        self.first_detail = ""  # why the first was skipped
        self._frames = 0
        self._tempos = array("d")
        self._metres: Counter[tuple[int, int]] = Counter()
        self._parts = bytearray()
        self._waiting: list[tuple[str, bytes]] = []
        self._open(json.loads(json.dumps(request)))

    def __enter__(self) -> Draft:
        return self

    def __exit__(self, *exception: object) -> None:
        self._bin.close()
        self._journal.close()
        if not self.done:
            self.discard()

    @property
    def pieces(self) -> int:
        """Number of pieces, before they are cut."""
        return len(self._parts) // _PART.itemsize

    def add(self, piece: Converted) -> None:
        """Add the result of the next source."""
        entry = _entry(piece, row_bytes(self.layout))
        self._count(entry)
        frames = b"".join(roll for part in piece.parts for roll in part.rolls)
        self._waiting.append((json.dumps(entry, ensure_ascii=False, separators=(",", ":")), frames))
        if len(self._waiting) >= COMMIT:
            self.commit()

    def commit(self) -> None:
        """Write the sources that wait, frames before lines."""
        self._bin.write(b"".join(frames for _, frames in self._waiting))
        self._bin.flush()
        self._journal.write("".join(line + "\n" for line, _ in self._waiting).encode(*_ENCODING))
        self._journal.flush()
        self._waiting = []

    def discard(self) -> None:
        """Remove the draft."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def finish(self, name: str, shares: tuple[float, float], seed: int, keep_duplicates: bool) -> None:
        """Assign splits, describe the pieces, and move the corpus to its place."""
        self.commit()
        self._bin.close()
        parts = np.frombuffer(self._parts, _PART)
        groups = parts["source"] if keep_duplicates else group_pieces(parts["source"], parts["content"])
        splits = assign_splits(parts["given"], groups, shares, seed)
        rows = np.repeat(np.arange(len(parts)), parts["rolls"])
        index = np.zeros(len(rows), INDEX)
        index["part"], index["split"] = rows, splits[rows]
        index["content"], index["lowest"] = parts["content"][rows], parts["lowest"][rows]
        self._describe(index, splits, _firsts(parts["content"]))
        self._write_corpus(name, index, self.folder / "pieces")
        replace_directory(self.folder, self.directory)
        for name in _KEPT[1:]:
            (self.directory / name).unlink()

    def _describe(self, index: NDArray[Any], splits: NDArray[np.uint8], firsts: NDArray[np.int64]) -> None:
        """Write the lines of pieces and report in one pass over the journal, and complete the index."""
        row = part = offset = 0
        names: dict[int, str] = {}
        copied = set(firsts[firsts != np.arange(len(firsts))].tolist())
        with (
            (self.folder / "pieces").open("wb") as lines,
            (self.folder / "report.jsonl").open("w", encoding=_ENCODING[0], errors=_ENCODING[1]) as report,
            (self.folder / "journal.jsonl").open("rb") as journal,
        ):
            for entry in map(json.loads, journal):
                lengths, copies = [], []
                for found in entry.get("parts", []):
                    first = int(firsts[part])
                    if part in copied:
                        names[part] = found["name"]
                    elif first != part:
                        copies.append(names[first])
                    for number, (frames, crc32) in enumerate(found["rolls"], 1):
                        cut = f"#{number}" if len(found["rolls"]) > 1 else ""
                        place = {"frames": frames, "offset": offset, "crc32": crc32}
                        piece = {"name": found["name"] + cut, "split": SPLITS[splits[part]], **place}
                        piece |= {key: entry[key] for key in ("sha256", "tempo", "metre")}
                        line = json.dumps(piece, ensure_ascii=False).encode(*_ENCODING)
                        for column, value in {**place, "line": lines.tell(), "size": len(line)}.items():
                            index[column][row] = value
                        lines.write(line + (b",\n" if row + 1 < len(index) else b"\n"))
                        offset, row = offset + frames, row + 1
                        lengths.append(frames)
                    part += 1
                report.write(json.dumps(_report(entry, lengths, copies), ensure_ascii=False) + "\n")

    def _write_corpus(self, name: str, index: NDArray[Any], lines: Path) -> None:
        np.save(self.folder / "index.npy", index, allow_pickle=False)
        head: dict[str, Any] = {
            "format": FORMAT,
            "version": VERSION,
            "name": name,
            **self.layout.to_dict(),
            "frames": self._frames,
            "splits": {split: int((index["split"] == code).sum()) for code, split in enumerate(SPLITS)},
            "tempo": round(median(self._tempos), 3) if self._tempos else None,
            "metre": list(self._metres.most_common(1)[0][0]) if self._metres else None,
            "skipped": dict(sorted(self.reasons.items())),
            "index_crc32": zlib.crc32((self.folder / "index.npy").read_bytes()),
        }
        document = json.dumps(head, indent=1, ensure_ascii=False).encode(*_ENCODING)
        with whole_file(self.folder / "corpus.json") as file, lines.open("rb") as source:
            file.write(document.removesuffix(b"\n}") + b",\n " + PIECES + b"\n")
            shutil.copyfileobj(source, file)
            file.write(b" ]\n}\n")
        lines.unlink()

    def _open(self, request: dict[str, Any]) -> None:
        """Resume the draft of the same request, or begin one."""
        asked, journal = self.folder / "request.json", self.folder / "journal.jsonl"
        try:
            resumes = json.loads(asked.read_bytes()) == request
        except (OSError, ValueError):
            resumes = False
        if not resumes:
            self.discard()
            self.folder.mkdir(parents=True)
            write_bytes(journal, b"")
            write_bytes(self.folder / "frames.bin", b"")
            write_json(asked, request)
        for path in self.folder.iterdir():  # left by an interrupted call of ``finish``
            if path.name not in _KEPT:
                path.unlink()
        self._bin: IO[bytes] = (self.folder / "frames.bin").open("r+b")
        self._journal: IO[bytes] = journal.open("r+b")
        self._journal.truncate(self._replay())
        self._journal.seek(0, 2)
        self._bin.truncate(self._frames * row_bytes(self.layout))
        self._bin.seek(0, 2)

    def _replay(self) -> int:
        """Count the finished sources; return the bytes of their lines in the journal."""
        good, width = 0, row_bytes(self.layout)
        for line in self._journal:
            try:
                entry = json.loads(line)
                rolls = [roll for part in entry.get("parts", []) for roll in part["rolls"]]
                whole = line.endswith(b"\n") and all(
                    zlib.crc32(self._bin.read(frames * width)) == crc32 for frames, crc32 in rolls
                )
            except (ValueError, KeyError, TypeError, AttributeError):
                whole = False
            if not whole:
                break
            self._count(entry)
            good += len(line)
        return good

    def _count(self, entry: dict[str, Any]) -> None:
        if "reason" in entry:
            self.reasons[entry["reason"]] += 1
            self.first_detail = self.first_detail or entry["detail"]
        else:
            if entry.get("tempo"):
                self._tempos.append(entry["tempo"])
            if entry.get("metre"):
                self._metres[tuple(entry["metre"])] += 1
        for part in entry.get("parts", []):
            given = SPLITS.index(entry["split"]) if entry.get("split") in SPLITS else FREE
            facts = self.done, len(part["rolls"]), bytes.fromhex(part["content"]), given, part["lowest"]
            self._parts += np.array(facts, _PART).tobytes()
            self._frames += sum(frames for frames, _ in part["rolls"])
        self.done += 1


def _entry(piece: Converted, width: int) -> dict[str, Any]:
    """Return the line of the journal for a source, as JSON values."""
    entry: dict[str, Any] = {"name": piece.name, "split": piece.split}
    if piece.reason is not None:
        return {**entry, "reason": piece.reason, "detail": piece.detail}
    entry |= {"sha256": piece.sha256, "tempo": piece.tempo, "metre": piece.metre, "facts": piece.facts}
    entry["parts"] = []
    for part in piece.parts:
        rolls = [(len(roll) // width, zlib.crc32(roll)) for roll in part.rolls]
        facts = {"name": part.name, "content": part.content.hex(), "lowest": part.lowest, "rolls": rolls}
        entry["parts"].append(facts)
    return entry


def _report(entry: dict[str, Any], frames: list[int], copies: list[str]) -> dict[str, Any]:
    """Return the line of the report for a source."""
    if "reason" in entry:
        return {key: entry[key] for key in ("name", "reason", "detail")}
    line: dict[str, Any] = {"name": entry["name"], "frames": sum(frames), **entry["facts"]}
    if len(frames) > 1:
        line["pieces"] = len(frames)
    if copies:
        line["duplicate_of"] = copies[0] if len(copies) == 1 else copies
    return line


def _firsts(contents: NDArray[Any]) -> NDArray[np.int64]:
    """Return for each piece the first piece with the same content, shape (N,)."""
    _, first, group = np.unique(contents, return_index=True, return_inverse=True)
    return np.asarray(first[group], np.int64)
