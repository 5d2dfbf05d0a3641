"""``musicrnn evaluate``: the likelihood of held-out music under a model."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from musicrnn.cli import console
from musicrnn.cli.flags import argument, flag
from musicrnn.cli.options import CORPUS, Model, chosen_corpus, chosen_device, chosen_model, device_flag
from musicrnn.cli.present import measures
from musicrnn.errors import ModelError, UsageError

if TYPE_CHECKING:
    from musicrnn.corpus import Corpus
    from musicrnn.evaluation import Adaptation, Evaluation


@dataclass(frozen=True)
class EvaluationFlags:
    """Evaluation."""

    split: str = flag("test", "train, valid or test.")
    skip_first_frame: bool = flag(False, "Leave out the first frame of every piece.")
    per_piece: bool = flag(False, "Also list the NLL of every piece.")
    against: Path | None = flag(None, "Another model to compare with, piece by piece.", metavar="MODEL")
    picture: Path | None = flag(
        None, "Plot NLL per pitch and per position, and the reliability curve: .png, .svg or .pdf."
    )
    device: str = device_flag()


@dataclass(frozen=True)
class DynamicFlags:
    """Dynamic evaluation."""

    dynamic: bool = flag(
        False,
        "Also evaluate the model while it adapts to each piece, from the frames it has already been scored "
        "on (Krause et al. 2018).",
    )
    dynamic_rate: float | None = flag(None, "Step size. [default: 0.7]")
    dynamic_decay: float | None = flag(
        None, "Share of the distance back to the trained weights that each step covers. [default: 0]"
    )
    dynamic_segment: int | None = flag(None, "Frames scored before each step. [default: 5]")

    def adaptation(self) -> Adaptation | None:
        """Return how the model adapts, or None if it doesn't.

        Raises:
            UsageError: A setting is given without ``--dynamic``.
        """
        given = {"rate": self.dynamic_rate, "decay": self.dynamic_decay, "segment": self.dynamic_segment}
        how: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        if how and not self.dynamic:
            raise UsageError(f"--dynamic-{next(iter(how))}: expected --dynamic beside it, found none")
        from musicrnn.evaluation import Adaptation

        return Adaptation(**how) if self.dynamic else None


def evaluate(
    model: Model = None,
    corpus: Annotated[
        Path | None,
        argument(
            "CORPUS",
            "A prepared corpus, or the name of a published one. [default: the one that the model was trained "
            "on]",
        ),
    ] = None,
    *,
    flags: EvaluationFlags,
    dynamic: DynamicFlags,
) -> None:
    """Measure the negative log-likelihood of held-out music, beside simple baselines and other models."""
    adaptation = dynamic.adaptation()
    from musicrnn.checkpoint import load_model
    from musicrnn.corpus import open_corpus
    from musicrnn.evaluation import compare, evaluate, evaluate_dynamically

    directory = chosen_model(model)
    network = load_model(directory)
    opened = open_corpus(chosen_corpus(corpus or _own_corpus(network.data)))
    device = chosen_device(flags.device)
    how: dict[str, Any] = {"skip_first_frame": flags.skip_first_frame, "device": device}
    found = evaluate(network, opened, flags.split, **how)
    counts = f"{len(found.pieces)} pieces, {found.frames:,} frames"
    title = f"{directory} on {opened.directory}, {flags.split}: {counts}"
    convention = "first frame left out" if flags.skip_first_frame else "first frame included"
    lines = [f"{title}, {convention}", *measures.words(found)]
    document = {"model": str(directory), "corpus": str(opened.directory), **measures.document(found)}
    models = {str(directory): found}
    if flags.against is not None:
        other = chosen_model(flags.against)
        theirs = _evaluated(other, opened, flags.split, how)
        gap = compare(found.pieces, theirs.pieces)
        models[str(other) if other != directory else f"{other} again"] = theirs
        document["against"] = measures.comparison_document(str(other), theirs, gap)
        lines += measures.comparison_words(str(other), theirs, gap)
    if flags.picture is not None:
        measures.plot(models, opened.layout, title, flags.picture)
        document |= {"picture": str(flags.picture), **measures.profile_document(found, opened.layout)}
        lines.append(f"picture        {flags.picture}")
    if adaptation is not None:
        with console.progress("adapting", len(found.pieces), "pieces") as advance:
            adapted = evaluate_dynamically(network, opened, flags.split, adaptation, advance=advance, **how)
        gain = compare(adapted.pieces, found.pieces)
        document["dynamic"] = measures.dynamic_document(adapted, gain)
        lines += measures.dynamic_words(adapted, gain)
    if flags.per_piece:
        document["per_piece"] = [asdict(piece) for piece in found.pieces]
        lines += [
            f"{piece.nll_per_frame:8.3f}  {piece.frames:6d} frames  {piece.name}" for piece in found.pieces
        ]
    console.report(document, lines)


def _evaluated(directory: Path, corpus: Corpus, split: str, how: dict[str, Any]) -> Evaluation:
    """Evaluate another model; an error of its evaluation names it.

    Raises:
        ModelError: There is none, or it was made for other frames.
    """
    from musicrnn.checkpoint import load_model
    from musicrnn.evaluation import evaluate

    model = load_model(directory)
    try:
        return evaluate(model, corpus, split, **how)
    except ModelError as error:
        raise ModelError(f"{directory}: {error}") from error


def _own_corpus(data: dict[str, Any]) -> Path:
    """Return the corpus that a model was trained on, else the published one of its name, else the default."""
    from musicrnn.corpus.registry import DATASETS

    own = Path(str(data.get("directory", CORPUS)))
    if (own / "corpus.json").exists():
        return own
    name = str(data.get("name"))
    return Path(name) if name in DATASETS else CORPUS
