"""The best networks, copied to the folder of shipped models, with cards that compare them with the paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from musicrnn.checkpoint import load_model
from musicrnn.corpus import Corpus
from musicrnn.experiments.chung2014.paper import COMPARABLE, NAMES, TITLES
from musicrnn.experiments.chung2014.rows import Row
from musicrnn.files import read_bytes, write_bytes
from musicrnn.training import Recipe, read_settings
from musicrnn.training.card import model_card

_FILES = ("model.safetensors", "metrics.jsonl", "curves.png", "config.json")


def ship(rows: Sequence[Row], corpora: Mapping[str, Corpus], target: Path) -> list[Path]:
    """Copy the network of each row, without what resuming needs, and write a new card.

    Args:
        rows: Rows of table 2.
        corpora: The corpora by name; rows of others are left out.
        target: Where the folders ``DATA-CELL`` go.

    Returns:
        The folders.

    Raises:
        FileError: A file can't be read or written.
        ModelError: A model is damaged.
    """
    folders = []
    for row in rows:
        if row.data not in corpora:
            continue
        source, folder = Path(row.model), target / f"{row.data}-{row.cell}"
        for name in _FILES:
            write_bytes(folder / name, read_bytes(source / name))
        recipe = Recipe.of(**read_settings(source / "config.json"))
        nlls = {"train": row.train, "valid": row.valid, "test": row.test}
        model_card(folder, load_model(folder), corpora[row.data], recipe, row.best_epoch, nlls)
        card = read_bytes(folder / "README.md").decode()
        write_bytes(
            folder / "README.md", card.replace("## Use\n", f"{_comparison(row)}\n## Use\n", 1).encode()
        )
        folders.append(folder)
    return folders


def _comparison(row: Row) -> str:
    """Return the section that shows the paper's figures and ours."""
    note = f"The paper's averaging on {TITLES[row.data]} can't be recovered: don't compare its figures."
    if row.data in COMPARABLE:
        note = "The paper's figures fit this measure."
    return f"""## Beside the paper

One of the twelve music networks of table 2 of Chung, Gulcehre, Cho and Bengio 2014
([arXiv:1412.3555](https://arxiv.org/abs/1412.3555)): {NAMES[row.cell]}, {row.hidden} units, on
{TITLES[row.data]}, trained with the paper's settings.
`musicrnn reproduce chung2014 --check` measures all twelve again.

| NLL per frame | paper | here |
|---|---|---|
| train | {row.paper_train:.2f} | {row.train:.2f} |
| test | {row.paper_test:.2f} | {row.test:.2f} |

{note}
"""
