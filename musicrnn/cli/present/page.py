"""What ``show`` tells as JSON, as pages and tables for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

from musicrnn.music.charts import bar_lines, most_common, pitch_lines
from musicrnn.music.pianoroll import Layout
from musicrnn.music.terminal import histogram_line
from musicrnn.music.tonality import PITCH_CLASSES, pitch_name

WIDTH = 80
TABLE_WIDTH = 100
MOST_VOICES = 7
_LABEL = 14

_Document = Mapping[str, Any]
_Rows = list[tuple[str, str]]


def page(document: _Document) -> str:
    """Return a page about a corpus, a piece or a model, given what ``show --json`` says of it."""
    if document["kind"] == "model":
        return "\n".join(f"{key:22} {text(value)}" for key, value in document.items())
    about = _corpus_facts(document) if document["kind"] == "corpus" else _piece_facts(document)
    groups = [_lines(about), _lines(_music_facts(document))]
    if document["pitch_histogram"]:
        groups.append(_histograms(document))
    groups.append(_bars(document))
    return "\n\n".join(groups)


class Column(NamedTuple):
    """A column of a table.

    Attributes:
        title: One line or several, so that a column of short cells is narrow.
        cells: A text for each row.
        align: ``<`` for texts, ``>`` for numbers.
    """

    title: str
    cells: Sequence[str]
    align: str = ">"


def table(columns: Sequence[Column], width: int = TABLE_WIDTH) -> str:
    """Return a table; columns for which there is no room follow below, again beside the first column.

    Args:
        columns: At least one; the first one names the rows.
        width: Characters of a line, if the first column and any other fit into it.
    """
    first, *others = map(_printed, columns)
    blocks, room = [[first]], width - len(first[0])
    for column in others:
        taken = 2 + len(column[0])
        if taken > room and len(blocks[-1]) > 1:
            blocks.append([first])
            room = width - len(first[0])
        blocks[-1].append(column)
        room -= taken
    return "\n\n".join(_side_by_side(block) for block in blocks)


def text(value: Any) -> str:
    """Return a value of a model's configuration in words."""
    if isinstance(value, float) and abs(value) >= 1:
        return number(value)
    return setting(value)


def setting(value: Any) -> str:
    """Return a setting of a recipe in a word; a dash stands for what isn't given."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    return "-" if value is None else str(value)


def number(value: float) -> str:
    """Return a number with its thousands apart and at most 3 digits after the point."""
    return f"{value:,.3f}".rstrip("0").rstrip(".")


def count(value: float, noun: str) -> str:
    """Return a number with its noun: ``1 piece``, ``2 pieces``."""
    return f"{number(value)} {noun}{'' if value == 1 else 's'}"


def duration(seconds: float) -> str:
    """Return a time in words: ``5 h 22 min``, ``2 min 5 s``."""
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    if hours:
        return f"{hours:,} h {minutes} min"
    return f"{minutes} min {whole % 60} s" if minutes else f"{seconds:.1f} s"


def duplicates(document: _Document) -> str:
    """Say how many pieces of a corpus repeat."""
    found = document["duplicates"]
    if not found["pieces"]:
        return "none"
    copies = f"{number(found['pieces'])} {'copy' if found['pieces'] == 1 else 'copies'} of an earlier piece"
    scattered = number(found["across_splits"]) if found["across_splits"] else "none"
    return f"{copies} ({number(found['transposed'])} in another key); {scattered} in more than one split"


def skipped(document: _Document) -> str:
    """Say how many sources a corpus lacks, and why."""
    if not document["skipped"]:
        return "none"
    reasons = sorted(document["reasons"].items(), key=lambda row: -row[1])
    return f"{number(document['skipped'])}: " + ", ".join(f"{number(n)} {reason}" for reason, n in reasons)


def playing_time(document: _Document) -> str:
    """Say how long a corpus plays, and what that rests on."""
    time, untimed = duration(3600 * document["hours"]), document["pieces_without_tempo"]
    pieces = count(document["pieces"], "piece")
    return f"{time}; {number(untimed)} of {pieces} without a tempo, taken at 120" if untimed else time


def _corpus_facts(document: _Document) -> _Rows:
    shortest, median, longest = (document["lengths"][name] for name in ("shortest", "median", "longest"))
    middle, most = (_long(size["quarters"], document) for size in (median, longest))
    frames = f"{number(shortest['frames'])} to {number(longest['frames'])} frames"
    lengths = f"{frames}, median {number(median['frames'])}; median {middle}, longest {most}"
    facts = [
        ("corpus", f"{document['name']}: {document['file']}, {document['bytes'] / 1e6:,.1f} MB"),
        ("layout", str(Layout.from_dict(document))),
        ("pieces", f"{number(document['pieces'])}: {_listed(document['splits'])}"),
        ("frames", f"{number(document['frames'])}: {_listed(document['split_frames'])}"),
        ("playing time", playing_time(document)),
        ("lengths", lengths),
        ("duplicates", duplicates(document)),
        ("skipped", skipped(document)),
    ]
    if document["tempo"] and not document.get("frame_seconds"):
        facts.insert(5, ("tempo", f"{number(document['tempo'])} quarters per minute in the median piece"))
    return facts


def _piece_facts(document: _Document) -> _Rows:
    tempo, metre = document["tempo"], document["metre"]
    facts = [
        ("file", f"{document['file']} (read by {document['reader']})"),
        (
            "length",
            f"{duration(document['seconds'])}, {number(document['quarters'])} quarters, "
            f"{number(document['frames'])} frames at {document['resolution']} per quarter",
        ),
        ("tempo", "none said, so 120" if tempo is None else f"{number(tempo)} quarters per minute"),
        ("metre", "none said" if metre is None else "{}/{}".format(*metre)),
        ("key", f"{document['key'] or 'none'} found; key signature: {document['key_signature'] or 'none'}"),
    ]
    if document["hanging_notes"]:
        facts.append(("hanging notes", f"{number(document['hanging_notes'])} that the file never ends"))
    names = [_printable(track["name"], 30) for track in document["track_list"]]
    width = max(map(len, names), default=0)
    for index, (name, track) in enumerate(zip(names, document["track_list"], strict=True)):
        facts.append(("" if index else "tracks", _track(f"{name:{width}}", track)))
    return facts


def _track(name: str, track: _Document) -> str:
    sound = "drums" if track["drums"] else f"program {track['program']}"
    low, high = pitch_name(track["lowest_pitch"]), pitch_name(track["highest_pitch"])
    notes = count(track["notes"], "note")
    facts = f"{track['number']:>2}  {name}  {sound:11}  {notes:>12}"
    return facts if track["drums"] else f"{facts}  {low} to {high}"


def _printable(name: str, width: int) -> str:
    shown = "".join(character if character.isprintable() else " " for character in name).strip()
    return shown if len(shown) <= width else shown[: width - 1] + "…"


def _music_facts(document: _Document) -> _Rows:
    rows = [("density", f"{_percent(document['density'])} of cells are on")]
    if document["empty_frame_rate"]:
        empty, longest = _percent(document["empty_frame_rate"]), _long(document["longest_silence"], document)
        rows.append(("silence", f"{empty} of frames, for at most {longest}"))
    if not document["notes"]:
        return rows
    return [
        ("polyphony", f"{document['polyphony']:.2f} pitches at once where something sounds"),
        *rows,
        ("notes", f"{number(document['notes'])}, {_rate(document['onsets_per_quarter'], document)}"),
        (
            "note lengths",
            f"median {_long(document['median_note_length'], document)}, "
            f"mean {_long(document['mean_note_length'], document)}, "
            f"longest {_long(document['longest_note'], document)}",
        ),
        (
            "range",
            f"{pitch_name(document['lowest_pitch'])} to {pitch_name(document['highest_pitch'])} "
            f"({document['lowest_pitch']} to {document['highest_pitch']}), "
            f"{document['unique_pitches']} different pitches",
        ),
        (
            "tonality",
            f"{_percent(document['scale_consistency'])} of notes in one scale, "
            f"pitch-class entropy {document['pitch_class_entropy']:.2f} of 3.58 bits",
        ),
        (
            "repetition",
            f"{_percent(document['repeated_frame_rate'])} of frames are as the one before, "
            f"for at most {_long(document['longest_unchanged'], document)}",
        ),
    ]


def _histograms(document: _Document) -> str:
    pitches = {int(pitch): n for pitch, n in document["pitch_histogram"].items()}
    bars, names = pitch_lines(pitches, WIDTH - _LABEL)
    classes = histogram_line([document["pitch_class_histogram"][name] for name in PITCH_CLASSES])
    return _lines([("pitches", bars), ("", names), ("pitch classes", classes)])


def _bars(document: _Document) -> str:
    """Return what is counted as bars, side by side: keys and metres of a corpus, and numbers of voices."""
    frames, voices = document["frames"], list(document["polyphony_histogram"].items())
    if len(voices) > MOST_VOICES + 1:
        more = sum(n for _, n in voices[MOST_VOICES:])
        voices = [*voices[:MOST_VOICES], (f"{MOST_VOICES} or more", more)]
    columns = [["voices (frames)", *bar_lines(voices, text=lambda n: _percent(n / frames))]]
    if document["kind"] == "corpus":
        for name in ("metres", "keys"):
            columns.insert(0, [f"{name} (pieces)", *bar_lines(most_common(document[name]))])
    rows = zip_longest(*columns, fillvalue="")
    return "\n".join("   ".join(f"{cell:24}" for cell in row).rstrip() for row in rows)


def _printed(column: Column) -> list[str]:
    """Return the lines of a column, all equally long: its title, then its cells."""
    title = column.title.split("\n")
    width = max(map(len, [*title, *column.cells]))
    return [f"{line:{column.align}{width}}" for line in (*title, *column.cells)]


def _side_by_side(columns: Sequence[Sequence[str]]) -> str:
    """Return columns whose last lines are beside each other."""
    upwards = zip_longest(*(reversed(column) for column in columns))
    widths = [len(column[0]) for column in columns]
    lines = [
        "  ".join(f"{cell or '':{width}}" for cell, width in zip(row, widths, strict=True)) for row in upwards
    ]
    return "\n".join(line.rstrip() for line in reversed(lines))


def _lines(rows: _Rows) -> str:
    return "\n".join(f"{label:{_LABEL}}{value}".rstrip() for label, value in rows)


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {number(value)}" for name, value in counts.items())


def _long(quarters: float, document: _Document) -> str:
    """Return a length in quarter notes, or in seconds where frames are."""
    seconds = _quarter_seconds(document)
    return f"{quarters * seconds:,.3g} s" if seconds else count(round(quarters, 2), "quarter")


def _rate(onsets_per_quarter: float, document: _Document) -> str:
    """Return how many notes start, per quarter note or per second."""
    seconds = _quarter_seconds(document)
    unit, rate = ("second", onsets_per_quarter / seconds) if seconds else ("quarter", onsets_per_quarter)
    return f"{rate:.2f} start per {unit}"


def _quarter_seconds(document: _Document) -> float | None:
    """Return how long a quarter note lasts where frames are in seconds."""
    seconds = document.get("frame_seconds")
    return seconds and float(seconds * document["resolution"])


def _percent(share: float) -> str:
    """Return a share in percent, with two digits after the point near none and all."""
    percent = 100 * share
    return f"{percent:.0f}%" if percent in (0, 100) or 10 <= percent < 99 else f"{percent:.2f}%"
