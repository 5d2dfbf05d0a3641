"""Ablation: the effect of each technique of a recipe on the best networks, with several seeds.

Every row is a training by the recipe ``best`` with one thing left out; the first row is the recipe itself.
Finished runs are kept and reused, so the command can be interrupted and restarted.

    python benchmarks/ablation.py jsb [--seeds 3] [--rows best,attention] [-o models/runs/ablation]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from musicrnn.checkpoint import load_model
from musicrnn.cli.options import chosen_corpus
from musicrnn.corpus import Corpus, open_corpus
from musicrnn.evaluation import evaluate
from musicrnn.training import Recipe, read_shipped
from musicrnn.training.loop import train

WITHOUT: dict[str, dict[str, Any]] = {
    "attention": {"attention": 0},
    "pitchwise": {"pitchwise": 0},
    "attention and pitchwise": {"attention": 0, "pitchwise": 0},
    "transposition": {"transpose": "0:0"},
    "dropout": {"dropout": 0.0},
    "weight noise": {"weight_noise": 0.0},
    "averaged weights": {"average": "none"},
}
"""What can be left out, and the settings without it."""


def recipes(settings: dict[str, Any]) -> dict[str, Recipe]:
    """Return the recipe of every row; techniques that the best one doesn't use have none."""
    best = Recipe.of(**settings)
    rows, used = {"best": best}, best.to_dict()
    for name, without in WITHOUT.items():
        if all(used[setting] != value for setting, value in without.items()):
            rows[f"without {name}"] = Recipe.of(**{**settings, **without})
    return rows


def trained(corpus: Corpus, recipe: Recipe, directory: Path) -> tuple[float, float]:
    """Train unless that is done; return NLL per frame on validation and test pieces."""
    if not (directory / "README.md").exists():  # the card is written last
        train(corpus, recipe, directory)
    model = load_model(directory)
    valid, test = (evaluate(model, corpus, split).nll_per_frame for split in ("valid", "test"))
    return valid, test


def spread(values: list[float]) -> str:
    """Return mean and standard deviation."""
    return f"{mean(values):.3f}" + (f" ± {stdev(values):.3f}" if len(values) > 1 else "")


def main() -> None:
    """Train the missing runs, and print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("corpus", help="the name of a published set or a corpus of that name")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", help="only these, such as best,attention")
    parser.add_argument("-o", "--output", type=Path, default=Path("models/runs/ablation"))
    options = parser.parse_args()
    corpus = open_corpus(chosen_corpus(Path(options.corpus)))
    rows = recipes(read_shipped("best", corpus.name))
    wanted = options.rows and {
        f"without {name}".replace("without best", "best") for name in options.rows.split(",")
    }
    print("| recipe | validation | test | change of test |\n|---|---|---|---|")
    base = None
    for name, recipe in rows.items():
        if wanted and name not in wanted:
            continue
        found = []
        for seed in range(options.seeds):
            directory = options.output / f"{corpus.name}-{name.replace(' ', '-')}-{seed}"
            found.append(trained(corpus, Recipe.of(**{**recipe.to_dict(), "seed": seed}), directory))
            print(f"{directory.name}: valid {found[-1][0]:.4f}, test {found[-1][1]:.4f}", file=sys.stderr)
        valid, test = ([pair[index] for pair in found] for index in (0, 1))
        base = mean(test) if base is None else base
        print(f"| {name} | {spread(valid)} | {spread(test)} | {mean(test) - base:+.3f} |", flush=True)


if __name__ == "__main__":
    main()
