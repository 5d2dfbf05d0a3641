"""``musicrnn show``: what a MIDI file, a corpus or a model is, in the terminal or as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from musicrnn.cli import console
from musicrnn.cli.options import CORPUS, Json, Quiet, Verbose
from musicrnn.errors import FileError, UsageError

if TYPE_CHECKING:
    from musicrnn.music import PianoRoll, Score


def show(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FILE…", help=f"MIDI files, corpora or models. [default: {CORPUS}]", show_default=False
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="A picture instead: .png, .svg or .pdf.", show_default=False),
    ] = None,
    resolution: Annotated[int, typer.Option(help="Frames per quarter note of MIDI files.")] = 4,
    quarters: Annotated[
        float | None, typer.Option(help="Draw only the first so many quarter notes.", show_default=False)
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Show MIDI files, corpora and models: statistics and piano rolls, or learning curves."""
    console.set_level(quiet, verbose)
    if quarters is not None and not 0 < quarters < 1e9:
        raise UsageError(f"--quarters: expected a length above 0 and below 1e9, found {quarters}")
    paths = files or [CORPUS]
    if output is not None:
        _draw(paths, output, resolution, quarters)
        if json:
            console.result_json({"file": str(output)})
        else:
            console.result(str(output))
        return
    documents = [_describe(path, resolution) for path in paths]
    if json:
        console.result_json(documents[0] if len(documents) == 1 else documents)
        return
    for path, document in zip(paths, documents, strict=True):
        console.result("\n".join(f"{key:22} {_text(value)}" for key, value in document.items()))
        if document["kind"] != "model":
            console.result(_terminal(_first_roll(path, resolution, quarters)))


def _describe(path: Path, resolution: int) -> dict[str, Any]:
    """Return facts and statistics about a file, as JSON values."""
    from musicrnn.music.statistics import pooled_statistics, roll_statistics

    kind = _kind(path)
    if kind == "model":
        return _describe_model(path)
    if kind == "corpus":
        from musicrnn.corpus import open_corpus

        corpus = open_corpus(path)
        splits = {name: len(split) for name, split in corpus.items()}
        rolls = (roll for split in corpus.values() for roll in split)
        head = {"kind": kind, "file": str(path), **corpus.facts(), "splits": splits}
        del head["directory"]
        return {**head, **pooled_statistics(rolls).as_dict()}
    score, roll = _read(path, resolution)
    head = {
        "kind": kind,
        "file": str(path),
        "tracks": len(score.tracks),
        "tempo": score.main_tempo(),
        "metre": list(score.main_metre() or ()) or None,
        "key": _key(score),
        "resolution": resolution,
    }
    return {**head, **roll_statistics(roll).as_dict()}


def _key(score: Score) -> str | None:
    """Return the name of the key, or None where nothing sounds or no key is likelier than another."""
    from musicrnn.errors import RollError
    from musicrnn.music.tonality import find_key

    try:
        return find_key(score).name
    except RollError:
        return None


def _describe_model(path: Path) -> dict[str, Any]:
    from musicrnn.checkpoint import load_model, read_config

    model, training = load_model(path), read_config(path).get("training", {})
    history = _history(path)
    best = min(history, key=lambda epoch: epoch["valid_nll"], default=None)
    return {
        "kind": "model",
        "file": str(path),
        "parameters": model.parameter_count,
        **{key: value for key, value in training.items() if value is not None},
        "corpus": model.data.get("name"),
        "epochs": len(history),
        "best_epoch": best["epoch"] if best else None,
        "valid_nll": best["valid_nll"] if best else None,
    }


def _draw(paths: list[Path], output: Path, resolution: int, quarters: float | None) -> None:
    from musicrnn.music.draw import draw_curves, draw_rolls

    kinds = {_kind(path) for path in paths}
    if kinds == {"model"}:
        curves = {
            f"{path.name} {name}": [epoch[f"{key}_nll"] for epoch in _history(path)]
            for path in paths
            for name, key in (("train", "train"), ("validation", "valid"))
        }
        draw_curves(curves, output)
    elif "model" in kinds:
        raise UsageError("show: expected models, or MIDI files and corpora, in one picture; found both")
    else:
        draw_rolls([(path.name, _first_roll(path, resolution, quarters)) for path in paths], output)


def _first_roll(path: Path, resolution: int, quarters: float | None) -> PianoRoll:
    """Return the beginning of a MIDI file, or of the first piece of a corpus."""
    from musicrnn.music import PianoRoll

    if _kind(path) == "corpus":
        from musicrnn.corpus import open_corpus

        roll = next(iter(open_corpus(path).values()))[0]
    else:
        roll = _read(path, resolution)[1]
    frames = len(roll) if quarters is None else max(1, round(quarters * roll.layout.resolution))
    return PianoRoll(roll.frames[:frames], roll.layout)


def _read(path: Path, resolution: int) -> tuple[Any, PianoRoll]:
    import sys

    from musicrnn.errors import about
    from musicrnn.music import read_midi, to_pianoroll

    name = "stdin" if str(path) == "-" else str(path)
    score = read_midi(sys.stdin.buffer.read() if name == "stdin" else path, name)
    with about(name):
        return score, to_pianoroll(score, resolution, (0, 127))


def _kind(path: Path) -> str:
    if (path / "corpus.json").exists():
        return "corpus"
    if (path / "config.json").exists():
        return "model"
    if path.is_dir():
        raise FileError(f"{path}: expected a MIDI file, a corpus or a model, found another kind of folder")
    return "midi"


def _history(path: Path) -> list[dict[str, Any]]:
    import json

    from musicrnn.files import read_bytes

    try:
        return [json.loads(line) for line in read_bytes(path / "metrics.jsonl").splitlines()]
    except ValueError as error:
        raise FileError(f"{path / 'metrics.jsonl'}: expected a line of JSON per epoch: {error}") from error


def _terminal(roll: PianoRoll) -> str:
    import shutil

    from musicrnn.music.draw import histogram_line, terminal_roll
    from musicrnn.music.tonality import pitch_class_histogram

    drawing = terminal_roll(roll, min(100, shutil.get_terminal_size().columns))
    return f"{drawing}\n{histogram_line(pitch_class_histogram(roll))}"


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3f}".rstrip("0").rstrip(".")
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(entry)}" for key, entry in value.items())
    return "-" if value is None else ", ".join(map(str, value)) if isinstance(value, list) else str(value)
