"""``musicrnn evaluate``: the likelihood of held-out music under a model."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from musicrnn.cli import console
from musicrnn.cli.flags import argument, flag, require
from musicrnn.cli.options import CORPUS, Model, chosen_corpus, chosen_device, chosen_model, device_flag
from musicrnn.cli.present import measures
from musicrnn.errors import ModelError

if TYPE_CHECKING:
    from musicrnn.evaluation import Adaptation

_CORPUS = "A prepared corpus, or the name of a published one. [default: the one the model was trained on]"


@dataclass(frozen=True)
class EvaluationFlags:
    """Evaluation."""

    split: str = flag("test", "train, valid or test.")
    skip_first_frame: bool = flag(False, "Leave out the first frame of every piece.")
    per_piece: bool = flag(False, "Also list the NLL of every piece.")
    against: Path | None = flag(None, "Another model to compare with, piece by piece.", metavar="MODEL")
    picture: Path | None = flag(None, "Plot NLL per pitch and position, and reliability: .png, .svg or .pdf.")
    device: str = device_flag()


@dataclass(frozen=True)
class DynamicFlags:
    """Dynamic evaluation."""

    dynamic: bool = flag(
        False, "Also evaluate while adapting to each piece, from the frames scored (Krause et al. 2018)."
    )
    dynamic_rate: float | None = flag(None, "Step size. [default: 0.7]")
    dynamic_decay: float | None = flag(
        None, "Share of the way back to the trained weights, per step. [default: 0]"
    )
    dynamic_segment: int | None = flag(None, "Frames scored before each step. [default: 5]")

    def adaptation(self) -> Adaptation | None:
        """Return how the model adapts, or None if it doesn't.

        Raises:
            UsageError: A setting is given without ``--dynamic``.
        """
        given = {"rate": self.dynamic_rate, "decay": self.dynamic_decay, "segment": self.dynamic_segment}
        how: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        require(self.dynamic or not how, f"--dynamic-{next(iter(how), '')}", "--dynamic beside it")
        from musicrnn.evaluation import Adaptation

        return Adaptation(**how) if self.dynamic else None


def evaluate(
    model: Model = None,
    corpus: Annotated[Path | None, argument("CORPUS", _CORPUS)] = None,
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
        second = load_model(other)
        try:
            theirs = evaluate(second, opened, flags.split, **how)
        except ModelError as error:
            raise ModelError(f"{other}: {error}") from error
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
        for piece in found.pieces:
            lines.append(f"{piece.nll_per_frame:8.3f}  {piece.frames:6d} frames  {piece.name}")
    console.report(document, lines)


def _own_corpus(data: dict[str, Any]) -> Path:
    """Return the corpus that a model was trained on, else the published one of its name, else the default."""
    from musicrnn.corpus.registry import DATASETS

    own = Path(str(data.get("directory", CORPUS)))
    if (own / "corpus.json").exists():
        return own
    name = str(data.get("name"))
    return Path(name) if name in DATASETS else CORPUS
