"""``musicrnn evaluate``: the likelihood of held-out music under a model."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from musicrnn.cli import console, measures
from musicrnn.cli.options import (
    CORPUS,
    Device,
    Json,
    Model,
    Quiet,
    Verbose,
    chosen_corpus,
    chosen_device,
    chosen_model,
)
from musicrnn.errors import ModelError, UsageError

if TYPE_CHECKING:
    from musicrnn.corpus import Corpus
    from musicrnn.evaluation import Adaptation, Comparison, DynamicEvaluation, Evaluation
    from musicrnn.nn import MusicRNN


def evaluate(
    model: Model = None,
    corpus: Annotated[
        Path | None,
        typer.Argument(
            metavar="CORPUS",
            help="A prepared corpus, or the name of a published one. [default: the one that the model was "
            "trained on]",
            show_default=False,
        ),
    ] = None,
    split: Annotated[str, typer.Option(help="train, valid or test.")] = "test",
    skip_first_frame: Annotated[
        bool, typer.Option("--skip-first-frame", help="Leave the first frame of every piece out.")
    ] = False,
    per_piece: Annotated[bool, typer.Option("--per-piece", help="Give the NLL of every piece too.")] = False,
    against: Annotated[
        Path | None,
        typer.Option(metavar="MODEL", help="Another model, compared piece by piece.", show_default=False),
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option(
            help="Draw NLL per pitch and per position and the reliability curve: .png, .svg or .pdf.",
            show_default=False,
        ),
    ] = None,
    dynamic: Annotated[
        bool,
        typer.Option(
            "--dynamic",
            help="Also let the model learn from each piece what it has been scored on (Krause 2018).",
        ),
    ] = False,
    dynamic_rate: Annotated[
        float | None, typer.Option(help="Size of the steps. [default: 0.7]", show_default=False)
    ] = None,
    dynamic_decay: Annotated[
        float | None,
        typer.Option(help="Share of the way back that each step takes. [default: 0]", show_default=False),
    ] = None,
    dynamic_segment: Annotated[
        int | None,
        typer.Option(help="Frames scored before each step. [default: 5]", show_default=False),
    ] = None,
    device: Device = "auto",
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Measure the negative log-likelihood of held-out music, beside simple baselines and other models."""
    console.set_level(quiet, verbose)
    how: dict[str, Any] = {"rate": dynamic_rate, "decay": dynamic_decay, "segment": dynamic_segment}
    how = {name: value for name, value in how.items() if value is not None}
    if how and not dynamic:
        raise UsageError(f"--dynamic-{next(iter(how))}: expected --dynamic beside it, found none")
    from musicrnn.checkpoint import load_model
    from musicrnn.corpus import open_corpus
    from musicrnn.evaluation import Adaptation, evaluate

    adaptation = Adaptation(**how) if dynamic else None
    directory = chosen_model(model)
    network = load_model(directory)
    opened = open_corpus(chosen_corpus(corpus or _own_corpus(network.data)))
    asked: dict[str, Any] = {"skip_first_frame": skip_first_frame, "device": chosen_device(device)}
    found = evaluate(network, opened, split, **asked)
    title = f"{directory} on {opened.directory}, {split}: {len(found.pieces)} pieces, {found.frames:,} frames"
    convention = "first frame left out" if skip_first_frame else "first frame included"
    lines = [f"{title}, {convention}", *measures.words(found)]
    document = {"model": str(directory), "corpus": str(opened.directory), **measures.document(found)}
    models = {str(directory): found}
    if against is not None:
        name, theirs, gap = _compared(chosen_model(against), opened, found, asked)
        models[name if name != str(directory) else f"{name} again"] = theirs
        document["against"] = measures.comparison_document(name, theirs, gap)
        lines += measures.comparison_words(name, theirs, gap)
    if picture is not None:
        measures.draw(models, opened.layout, title, picture)
        document |= {"picture": str(picture), **measures.profile_document(found, opened.layout)}
        lines.append(f"picture        {picture}")
    if adaptation is not None:
        adapted, gain = _adapted(network, opened, found, adaptation, asked)
        document["dynamic"] = measures.dynamic_document(adapted, gain)
        lines += measures.dynamic_words(adapted, gain)
    if per_piece:
        document["per_piece"] = [asdict(piece) for piece in found.pieces]
        lines += [
            f"{piece.nll_per_frame:8.3f}  {piece.frames:6d} frames  {piece.name}" for piece in found.pieces
        ]
    if json:
        console.result_json(document)
    else:
        console.result("\n".join(lines))


def _compared(
    directory: Path, corpus: Corpus, found: Evaluation, asked: dict[str, Any]
) -> tuple[str, Evaluation, Comparison]:
    """Measure another model on the same pieces; return its name, what it makes of them, and the difference.

    Raises:
        ModelError: There is none, or it was made for other frames.
    """
    from musicrnn.checkpoint import load_model
    from musicrnn.evaluation import compare, evaluate

    other = load_model(directory)
    try:
        theirs = evaluate(other, corpus, found.split, **asked)
    except ModelError as error:
        raise ModelError(f"{directory}: {error}") from error
    return str(directory), theirs, compare(found.pieces, theirs.pieces)


def _adapted(
    model: MusicRNN, corpus: Corpus, found: Evaluation, adaptation: Adaptation, asked: dict[str, Any]
) -> tuple[DynamicEvaluation, Comparison]:
    """Let the model adapt to every piece, with a bar where there is a terminal; return what that brings."""
    from musicrnn.evaluation import compare, evaluate_dynamically

    if console.shows_progress():
        with console.progress_bar("adapting", "{task.completed:,}/{task.total:,} pieces") as bar:
            task = bar.add_task("", total=len(found.pieces))
            asked = asked | {"advance": lambda done: bar.update(task, completed=done)}
            adapted = evaluate_dynamically(model, corpus, found.split, adaptation, **asked)
    else:
        adapted = evaluate_dynamically(model, corpus, found.split, adaptation, **asked)
    return adapted, compare(adapted.pieces, found.pieces)


def _own_corpus(data: dict[str, Any]) -> Path:
    """Return the corpus that a model was trained on, else the published one of its name, else the default."""
    from musicrnn.corpus.registry import DATASETS

    own = Path(str(data.get("directory", CORPUS)))
    if (own / "corpus.json").exists():
        return own
    name = str(data.get("name"))
    return Path(name) if name in DATASETS else CORPUS
