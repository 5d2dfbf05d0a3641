"""Make ``data/chorales``: Bach's four-part chorales as MIDI files, from the corpus inside music21.

Only rebuilding needs music21 (``pip install music21==10.5.1``); the program reads the MIDI files. The
same music21 gives the same bytes.

Conventions:
    Every piece has four tracks, Soprano, Alto, Tenor and Bass. Ties are merged, repeated notes are kept
    apart, repeats are played once, fermatas are ignored, grace notes are dropped. Music starts at tick 0,
    with its pickup if it has one; the metre is the notated one.

References:
    M. S. Cuthbert and C. Ariza 2010, music21: a toolkit for computer-aided musicology, ISMIR.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from music21 import chord, converter, corpus, key, meter, note, stream, tempo
from music21.corpus import chorales
from numpy.typing import NDArray

from musicrnn.music.midi import write_midi
from musicrnn.music.score import NOTE, Key, Metre, Score, Tempo, Track

VOICES = ("Soprano", "Alto", "Tenor", "Bass")
TICKS_PER_QUARTER = 24  # exact for the 32nd notes of the sources, and whole notes still fit one MIDI byte
CHURCH_ORGAN = 19
VELOCITY = 80
DEFAULT_TEMPO = 100.0  # quarter notes per minute, where the source gives none
MOST_SILENCE = 1 / 4  # share of the piece in which no voice sounds; settings with long interludes have more
SAME_MUSIC = 2 / 3  # share of chord progressions; the pairs of this corpus lie above 0.69 or below 0.52
LEFT_OUT = {"bwv324": "a reading of the first verse of bwv10.7"}  # the richer of the two is kept
MINOR_FINALS = (2, 4, 9, 11)  # degrees of the signature's major scale, in semitones; see ``_key``


class LeftOutError(Exception):
    """A piece that is left out of the corpus; the message gives the reason."""


def sources() -> list[Path]:
    """Return music21's Bach files, the preferred one of two settings of the same music first.

    Pieces of Riemenschneider's collection come first, then single chorales (BWV 250-438), then movements of
    larger works, then alternative readings; within each group by BWV number.
    """
    collected = {Path(name).name for name in chorales.Iterator(returnType="filename")}

    def preference(path: Path) -> tuple[Any, ...]:
        name = path.stem.removeprefix("bwv")
        return path.stem not in collected, "." in name, "-" in name, _numbers(name), name

    return sorted(corpus.getComposer("bach", fileExtensions=("xml",)), key=preference)


def read_chorale(path: Path) -> Score:
    """Convert one file of music21's corpus.

    Raises:
        LeftOutError: The piece doesn't have four voices, or they are silent for long.
    """
    parsed = converter.parse(path, forceSource=True, storePickle=False)
    if not isinstance(parsed, stream.Score):
        raise LeftOutError("no score")
    parts = _voices(parsed)
    voices = [_notes(part) for part in parts]
    start = min(int(notes["start"][0]) for notes in voices)
    for notes in voices:
        notes["start"] -= start
        notes["end"] -= start
    score = Score(
        ticks_per_quarter=TICKS_PER_QUARTER,
        tracks=tuple(
            Track(notes, CHURCH_ORGAN, name=name) for name, notes in zip(VOICES, voices, strict=True)
        ),
        tempos=(Tempo(0, _tempo(parsed)),),
        metres=tuple(_metres(parts[0], start)),
        keys=(_key(parts, voices),),
        title=_title(path.stem),
    )
    silence = float((sounding(score) == 0).all(axis=0).mean())
    if silence > MOST_SILENCE:
        raise LeftOutError(f"no voice sounds in {silence:.0%} of it")
    return score


def sounding(score: Score) -> NDArray[np.int16]:
    """Return the pitch of each voice at each tick, 0 for a rest, shape (4, ticks)."""
    pitches = np.zeros((len(score.tracks), score.end), np.int16)
    for row, track in zip(pitches, score.tracks, strict=True):
        for start, end, pitch, _ in track.notes.tolist():
            row[start:end] = pitch
    return pitches


def progressions(score: Score) -> set[bytes]:
    """Return the three-chord progressions, independent of key and durations, without silence."""
    pitches = sounding(score)
    pitches = pitches[:, pitches.any(axis=0)]
    changes = np.flatnonzero((np.diff(pitches, axis=1) != 0).any(axis=0))
    chords = pitches[:, np.concatenate([[0], changes + 1])].T
    return {(chords[i : i + 3] - chords[i, VOICES.index("Bass")]).tobytes() for i in range(len(chords) - 2)}


def build(folder: Path) -> int:
    """Write every chorale into ``folder`` and return their number; report on stderr what is left out."""
    folder.mkdir(parents=True, exist_ok=True)
    kept: dict[str, set[bytes]] = {}
    for path in sources():
        try:
            if path.stem in LEFT_OUT:
                raise LeftOutError(LEFT_OUT[path.stem])
            score = read_chorale(path)
            found = progressions(score)
            for name, others in kept.items():
                if len(found & others) >= SAME_MUSIC * min(len(found), len(others)):
                    raise LeftOutError(f"same music as {name}")
        except LeftOutError as reason:
            print(f"left out: {path.stem}: {reason}", file=sys.stderr)
            continue
        kept[path.stem] = found
        write_midi(score, folder / f"{path.stem}.mid")
    return len(kept)


def _voices(score: stream.Score) -> list[Any]:
    """Return the four parts whose names begin with a voice's name; instruments are left out."""
    named = [((part.partName or "").split() or [""], part) for part in score.parts]
    found = [[part for words, part in named if words[0] == voice] for voice in VOICES]
    if any(len(parts) != 1 for parts in found):
        names = ", ".join(" ".join(words) for words, _ in named)
        raise LeftOutError(f"expected one soprano, alto, tenor and bass, found {names}")
    return [parts[0] for parts in found]


def _notes(part: Any) -> NDArray[Any]:
    """Return the notes of a part, ties merged, without grace notes, in dtype ``NOTE``."""
    rows = [
        (_ticks(element.offset), _ticks(element.offset + element.quarterLength), pitch.midi, VELOCITY)
        for element in part.stripTies().flatten().getElementsByClass((note.Note, chord.Chord))
        if not element.duration.isGrace and element.quarterLength > 0
        for pitch in element.pitches
    ]
    return np.array(sorted(rows), NOTE)


def _ticks(quarters: float | Fraction) -> int:
    ticks = Fraction(quarters) * TICKS_PER_QUARTER
    if ticks.denominator != 1:
        raise ValueError(f"expected a multiple of 1/{TICKS_PER_QUARTER} quarter note, found {quarters}")
    return int(ticks)


def _tempo(score: stream.Score) -> float:
    """Return the first tempo of the source, in quarter notes per minute."""
    for mark in score.flatten().getElementsByClass(tempo.MetronomeMark):
        if quarters := mark.getQuarterBPM():
            return float(quarters)
    return DEFAULT_TEMPO


def _metres(part: Any, start: int) -> Iterator[Metre]:
    """Yield the time signatures of a part, counted from tick ``start``, without repetitions."""
    last = None
    for signature in part.flatten().getElementsByClass(meter.TimeSignature):
        if signature.ratioString != last:
            last = signature.ratioString
            tick = max(0, _ticks(signature.offset) - start)
            yield Metre(tick, signature.numerator, signature.denominator)


def _key(parts: Sequence[Any], voices: Sequence[NDArray[Any]]) -> Key:
    """Return the key signature, with the mode implied by the last note of the bass.

    The sources contradict themselves: parts of one piece differ in mode and, twice, in signature, and some
    minor pieces are called major. So the signature is the one of the four parts' that leaves the fewest
    chromatic notes, and the mode is that of the church mode of the final: Dorian, Phrygian, Aeolian and
    Locrian are minor.
    """
    signatures = [next(iter(part.flatten().getElementsByClass(key.KeySignature))) for part in parts]
    pitches = np.concatenate([voice["pitch"] for voice in voices]).astype(int)
    major = (0, 2, 4, 5, 7, 9, 11)

    def chromatic(sharps: int) -> int:
        return int((~np.isin((pitches - 7 * sharps) % 12, major)).sum())

    sharps = min((signature.sharps for signature in signatures), key=chromatic)
    final = (int(voices[3]["pitch"][-1]) - 7 * sharps) % 12
    return Key(0, sharps, final in MINOR_FINALS)


def _title(name: str) -> str:
    """Return ``BWV 269: Aus meines Herzens Grunde`` for ``bwv269``; the words only where music21 has them."""
    number = name.removeprefix("bwv")
    entry = chorales.ChoraleListRKBWV().byBWV.get(number)  # type: ignore[no-untyped-call]
    return f"BWV {number}: {entry['title']}" if entry else f"BWV {number}"


def _numbers(name: str) -> tuple[int, ...]:
    return tuple(int(digits) for digits in re.findall(r"\d+", name))


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Make the bundled chorales from music21's corpus.")
    default = Path(__file__).parent / "chorales"
    parser.add_argument("-o", "--output", type=Path, default=default, help="folder for the MIDI files")
    folder: Path = parser.parse_args().output
    print(f"{build(folder)} chorales in {folder}")


if __name__ == "__main__":
    main()
