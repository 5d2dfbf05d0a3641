"""The pages that ``show`` prints about pieces, corpora and models, made from what it gives as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import zip_longest
from typing import Any

from musicrnn.cli.present.text import Column, count, duration, labelled, number, percent, setting, table
from musicrnn.music.pianoroll import Layout
from musicrnn.music.tonality import PITCH_CLASSES, pitch_name
from musicrnn.plots.corpus import most_common
from musicrnn.plots.terminal import bar_lines, histogram_line, pitch_lines

WIDTH = 80
MOST_VOICES = 7
_LABEL = 14

_Document = Mapping[str, Any]
_Rows = list[tuple[str, str]]


def page(document: _Document) -> str:
    """Return a page about a corpus, a piece or a model, given its ``show --json`` document."""
    if document["kind"] == "model":
        return "\n".join(labelled(((key, setting(value)) for key, value in document.items()), 23))
    about = _corpus_facts(document) if document["kind"] == "corpus" else _piece_facts(document)
    groups = [about, _music_facts(document)]
    if document["pitch_histogram"]:
        pitches = {int(pitch): n for pitch, n in document["pitch_histogram"].items()}
        bars = "\n".join(pitch_lines(pitches, WIDTH - _LABEL))
        classes = histogram_line([document["pitch_class_histogram"][name] for name in PITCH_CLASSES])
        groups.append([("pitches", bars), ("pitch classes", classes)])
    return "\n\n".join(["\n".join(labelled(rows, _LABEL)) for rows in groups] + [_bars(document)])


def duplicates(document: _Document) -> str:
    """Return how many pieces of a corpus are duplicates."""
    found = document["duplicates"]
    if not found["pieces"]:
        return "none"
    copies = f"{number(found['pieces'])} {'copy' if found['pieces'] == 1 else 'copies'} of an earlier piece"
    scattered = number(found["across_splits"]) if found["across_splits"] else "none"
    return f"{copies} ({number(found['transposed'])} in another key); {scattered} in more than one split"


def skipped(document: _Document) -> str:
    """Return how many sources were skipped, and why."""
    if not document["skipped"]:
        return "none"
    reasons = sorted(document["reasons"].items(), key=lambda row: -row[1])
    return f"{number(document['skipped'])}: " + ", ".join(f"{number(n)} {reason}" for reason, n in reasons)


def playing_time(document: _Document) -> str:
    """Return how long a corpus plays, and for how many pieces that is a guess."""
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
        ("tempo", "not given, taken as 120" if tempo is None else f"{number(tempo)} quarters per minute"),
        ("metre", "not given" if metre is None else "{}/{}".format(*metre)),
        ("key", f"{document['key'] or 'none'} found; key signature: {document['key_signature'] or 'none'}"),
    ]
    if document["hanging_notes"]:
        facts.append(("hanging notes", f"{number(document['hanging_notes'])} that the file never ends"))
    tracks = document["track_list"]
    columns = [
        Column("", [str(track["number"]) for track in tracks]),
        Column("", [_printable(track["name"], 30) for track in tracks], "<"),
        Column("", ["drums" if track["drums"] else f"program {track['program']}" for track in tracks], "<"),
        Column("", [count(track["notes"], "note") for track in tracks]),
        Column("", ["" if track["drums"] else _range(track) for track in tracks], "<"),
    ]
    return [*facts, ("tracks", table(columns))] if tracks else facts


def _printable(name: str, width: int) -> str:
    shown = "".join(character if character.isprintable() else " " for character in name).strip()
    return shown if len(shown) <= width else shown[: width - 1] + "…"


def _range(document: _Document) -> str:
    return f"{pitch_name(document['lowest_pitch'])} to {pitch_name(document['highest_pitch'])}"


def _music_facts(document: _Document) -> _Rows:
    rows = [("density", f"{percent(document['density'])} of cells are on")]
    if document["empty_frame_rate"]:
        empty, longest = percent(document["empty_frame_rate"]), _long(document["longest_silence"], document)
        rows.append(("silence", f"{empty} of frames, for at most {longest}"))
    if not document["notes"]:
        return rows
    seconds = _quarter_seconds(document)
    rate = document["onsets_per_quarter"] / (seconds or 1)
    return [
        ("polyphony", f"{document['polyphony']:.2f} pitches at once where something sounds"),
        *rows,
        ("notes", f"{number(document['notes'])}, {rate:.2f} start per {'second' if seconds else 'quarter'}"),
        (
            "note lengths",
            f"median {_long(document['median_note_length'], document)}, "
            f"mean {_long(document['mean_note_length'], document)}, "
            f"longest {_long(document['longest_note'], document)}",
        ),
        (
            "range",
            f"{_range(document)} ({document['lowest_pitch']} to {document['highest_pitch']}), "
            f"{document['unique_pitches']} different pitches",
        ),
        (
            "tonality",
            f"{percent(document['scale_consistency'])} of notes in one scale, "
            f"pitch-class entropy {document['pitch_class_entropy']:.2f} of 3.58 bits",
        ),
        (
            "repetition",
            f"{percent(document['repeated_frame_rate'])} of frames are as the one before, "
            f"for at most {_long(document['longest_unchanged'], document)}",
        ),
    ]


def _bars(document: _Document) -> str:
    """Return bar charts in a row: keys and metres of a corpus, and numbers of voices."""
    frames, voices = document["frames"], list(document["polyphony_histogram"].items())
    if len(voices) > MOST_VOICES + 1:
        more = sum(n for _, n in voices[MOST_VOICES:])
        voices = [*voices[:MOST_VOICES], (f"{MOST_VOICES} or more", more)]
    columns = [["voices (frames)", *bar_lines(voices, text=lambda n: percent(n / frames))]]
    if document["kind"] == "corpus":
        for name in ("metres", "keys"):
            columns.insert(0, [f"{name} (pieces)", *bar_lines(most_common(document[name]))])
    rows = zip_longest(*columns, fillvalue="")
    return "\n".join("   ".join(f"{cell:24}" for cell in row).rstrip() for row in rows)


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {number(value)}" for name, value in counts.items())


def _long(quarters: float, document: _Document) -> str:
    """Return a length in quarter notes, or in seconds where frames are."""
    seconds = _quarter_seconds(document)
    return f"{quarters * seconds:,.3g} s" if seconds else count(round(quarters, 2), "quarter")


def _quarter_seconds(document: _Document) -> float | None:
    """Return how long a quarter note lasts where frames are in seconds."""
    seconds = document.get("frame_seconds")
    return seconds and float(seconds * document["resolution"])
