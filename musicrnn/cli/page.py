"""What ``show`` tells as JSON, as a page for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

from musicrnn.music.charts import bar_lines, most_common, pitch_lines
from musicrnn.music.draw import histogram_line
from musicrnn.music.pianoroll import Layout
from musicrnn.music.tonality import PITCH_CLASSES, pitch_name

WIDTH = 80
MOST_VOICES = 7
_LABEL = 14

_Document = Mapping[str, Any]
_Rows = list[tuple[str, str]]


def page(document: _Document) -> str:
    """Return a page about a corpus, a piece or a model, given what ``show --json`` says of it."""
    if document["kind"] == "model":
        return _lines([(key, text(value)) for key, value in document.items()])
    about = _corpus_facts(document) if document["kind"] == "corpus" else _piece_facts(document)
    groups = [_lines(about), _lines(_music_facts(document))]
    if document["pitch_histogram"]:
        groups.append(_histograms(document))
    groups.append(_bars(document))
    return "\n\n".join(groups) + "\n"


def text(value: Any) -> str:
    """Return a JSON value in words: at most 3 digits after the point, thousands apart."""
    if isinstance(value, float):
        return f"{value:,.3f}".rstrip("0").rstrip(".")
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {text(entry)}" for key, entry in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(str, value))
    return "-" if value is None else str(value)


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
    return (
        f"{_count(found['pieces'], 'piece')} the same as an earlier one ({text(found['transposed'])} in another "
        f"key); {text(found['across_splits'])} with a copy in another split"
    )


def skipped(document: _Document) -> str:
    """Say how many sources a corpus lacks, and why."""
    if not document["skipped"]:
        return "none"
    reasons = sorted(document["reasons"].items(), key=lambda row: -row[1])
    return f"{text(document['skipped'])}: " + ", ".join(f"{text(count)} {reason}" for reason, count in reasons)


def _corpus_facts(document: _Document) -> _Rows:
    untimed, lengths = document["pieces_without_tempo"], document["lengths"]
    taken = f", {_count(untimed, 'piece')} without a tempo taken at 120" if untimed else ""
    sizes = [f"{_long(size['quarters'], document)} {name}" for name, size in lengths.items()]
    metre = document["metre"] and "{}/{}".format(*document["metre"])
    return [
        ("corpus", f"{document['name']}: {document['file']}, {document['bytes'] / 1e6:,.1f} MB"),
        ("layout", str(Layout.from_dict(document))),
        ("pieces", f"{text(document['pieces'])}: {text(document['splits'])}"),
        ("frames", f"{text(document['frames'])}: {text(document['split_frames'])}"),
        ("playing time", duration(3600 * document["hours"]) + taken),
        ("lengths", ", ".join(sizes)),
        ("tempo, metre", f"{text(document['tempo'])}, {text(metre)} (most typical)"),
        ("duplicates", duplicates(document)),
        ("skipped", skipped(document)),
    ]


def _piece_facts(document: _Document) -> _Rows:
    tempo, metre = document["tempo"], document["metre"]
    facts = [
        ("file", f"{document['file']} (read by {document['reader']})"),
        (
            "length",
            f"{duration(document['seconds'])}, {text(document['quarters'])} quarters, "
            f"{text(document['frames'])} frames at {document['resolution']} per quarter",
        ),
        ("tempo", "none said, so 120" if tempo is None else f"{text(tempo)} quarters per minute"),
        ("metre", "none said" if metre is None else "{}/{}".format(*metre)),
        ("key", f"sounds in {document['key'] or 'none'}; written: {document['key_signature'] or 'none'}"),
    ]
    if document["hanging_notes"]:
        facts.append(("hanging notes", f"{text(document['hanging_notes'])} that the file never ends"))
    names = [track["name"] for track in document["track_list"]]
    width = min(30, max(map(len, names), default=0))
    for index, track in enumerate(document["track_list"]):
        facts.append(("" if index else "tracks", _track(track, width)))
    return facts


def _track(track: _Document, width: int) -> str:
    sound = "drums" if track["drums"] else f"program {track['program']}"
    pitches = f"{pitch_name(track['lowest_pitch'])} to {pitch_name(track['highest_pitch'])}"
    name = track["name"] if len(track["name"]) <= width else track["name"][: width - 1] + "…"
    notes = _count(track["notes"], "note")
    return f"{track['number']:>2}  {name:{width}}  {sound:11}  {notes:>12}  {'' if track['drums'] else pitches}".rstrip()


def _music_facts(document: _Document) -> _Rows:
    rows = [("density", f"{_percent(document['density'])} of cells are on")]
    silence = (
        f"nothing in {_percent(document['empty_frame_rate'])} of frames, "
        f"for at most {_long(document['longest_silence'], document)}"
    )
    if not document["notes"]:
        return [*rows, ("polyphony", silence)]
    return [
        *rows,
        ("polyphony", f"{document['polyphony']:.2f} pitches where something sounds; {silence}"),
        ("notes", f"{text(document['notes'])}, {document['onsets_per_quarter']:.2f} start per quarter"),
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
    pitches = {int(pitch): count for pitch, count in document["pitch_histogram"].items()}
    bars, names = pitch_lines(pitches, WIDTH - _LABEL)
    classes = histogram_line([document["pitch_class_histogram"][name] for name in PITCH_CLASSES])
    return _lines([("pitches", bars), ("", names), ("pitch classes", classes)])


def _bars(document: _Document) -> str:
    """Return what is counted as bars, side by side: keys and metres of a corpus, and numbers of voices."""
    frames, voices = document["frames"], list(document["polyphony_histogram"].items())
    if len(voices) > MOST_VOICES + 1:
        more = sum(count for _, count in voices[MOST_VOICES:])
        voices = [*voices[:MOST_VOICES], (f"{MOST_VOICES} or more", more)]
    columns = [["voices", *bar_lines(voices, text=lambda count: _percent(count / frames))]]
    if document["kind"] == "corpus":
        for name in ("metres", "keys"):
            columns.insert(0, [name, *bar_lines(most_common(document[name]))])
    rows = zip_longest(*columns, fillvalue="")
    return "\n".join("   ".join(f"{cell:24}" for cell in row).rstrip() for row in rows)


def _lines(rows: _Rows) -> str:
    return "\n".join(f"{label:{_LABEL}}{value}".rstrip() for label, value in rows)


def _long(quarters: float, document: _Document) -> str:
    """Return a length in quarter notes, or in seconds where frames are."""
    if document.get("frame_seconds"):
        return f"{quarters * document['resolution'] * document['frame_seconds']:,.3g} s"
    return _count(round(quarters, 2), "quarter")


def _count(number: float, noun: str) -> str:
    return f"{text(number)} {noun}{'' if number == 1 else 's'}"


def _percent(share: float) -> str:
    """Return a share in percent with the digits that matter."""
    percent = 100 * share
    return f"{percent:.0f}%" if percent in (0, 100) or 10 <= percent < 99.5 else f"{percent:.2g}%"
