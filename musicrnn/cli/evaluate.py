"""``musicrnn evaluate``: the likelihood of held-out music under a model."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from musicrnn.cli import console
from musicrnn.cli.options import CORPUS, Device, Json, Model, Quiet, Verbose, chosen_device, chosen_model


def evaluate(
    model: Model = None,
    corpus: Annotated[
        Path | None,
        typer.Argument(
            metavar="CORPUS",
            help="A prepared corpus. [default: the one that the model was trained on]",
            show_default=False,
        ),
    ] = None,
    split: Annotated[str, typer.Option(help="train, valid or test.")] = "test",
    skip_first_frame: Annotated[
        bool, typer.Option("--skip-first-frame", help="Leave the first frame of every piece out.")
    ] = False,
    per_piece: Annotated[bool, typer.Option("--per-piece", help="Give the NLL of every piece too.")] = False,
    device: Device = "auto",
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Measure the negative log-likelihood per frame, beside the note unigram."""
    console.set_level(quiet, verbose)
    from musicrnn.checkpoint import load_model
    from musicrnn.corpus import open_corpus
    from musicrnn.evaluation import evaluate

    directory = chosen_model(model)
    network = load_model(directory)
    opened = open_corpus(corpus or _own_corpus(network.data))
    found = evaluate(network, opened, split, skip_first_frame=skip_first_frame, device=chosen_device(device))
    document: dict[str, Any] = {
        "model": str(directory),
        "corpus": str(opened.directory),
        "split": found.split,
        "pieces": len(found.pieces),
        "frames": found.frames,
        "nll_per_frame": found.nll_per_frame,
        "nll_per_note": found.nll_per_note,
        "accuracy": found.metrics.accuracy,
        "precision": found.metrics.precision,
        "recall": found.metrics.recall,
        "f1": found.metrics.f1,
        "baseline_nll": found.baseline_nll,
        "seconds": round(found.seconds, 3),
    }
    if per_piece:
        document["per_piece"] = [asdict(piece) for piece in found.pieces]
    if json:
        console.result_json(document)
        return
    convention = "first frame left out" if skip_first_frame else "first frame included"
    baseline = "" if found.baseline_nll is None else f" (note unigram {found.baseline_nll:.3f})"
    console.result(
        f"{directory} on {opened.directory}, {split}: {len(found.pieces)} pieces, {found.frames:,} frames"
    )
    console.result(f"NLL per frame  {found.nll_per_frame:.3f} nats{baseline}, {convention}")
    console.result(f"NLL per note   {found.nll_per_note:.3f} nats")
    metrics = found.metrics
    console.result(
        f"next frame     accuracy {metrics.accuracy:.3f}, precision {metrics.precision:.3f}, "
        f"recall {metrics.recall:.3f}, F1 {metrics.f1:.3f}"
    )
    for piece in found.pieces if per_piece else []:
        console.result(f"{piece.nll_per_frame:8.3f}  {piece.frames:6d} frames  {piece.name}")


def _own_corpus(data: dict[str, Any]) -> Path:
    """Return the corpus that a model was trained on if it is still there, else the default one."""
    own = Path(str(data.get("directory", CORPUS)))
    return own if (own / "corpus.json").exists() else CORPUS
