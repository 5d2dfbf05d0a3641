"""Shipped models: they load, contain no local paths, and reach the NLL in their model cards."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from musicrnn.checkpoint import load_model
from musicrnn.corpus import Corpus, Preparation, build_corpus, collect
from musicrnn.evaluation import evaluate
from musicrnn.training import Recipe, read_shipped

ROOT = Path(__file__).parents[1]
MODELS = sorted(path.parent for path in (ROOT / "models").glob("[!r]*/**/config.json"))
FILES = {
    "jsb": "JSB_Chorales",
    "nottingham": "Nottingham",
    "musedata": "MuseData",
    "piano-midi": "Piano_midi",
}
SHARED = ROOT.parent / "shared" / "benchmarks"
BEST = {"nottingham": 2.80, "jsb": 7.70, "musedata": 6.40, "piano-midi": 7.20}
"""Upper bounds of the NLL of the best networks: the best published figures of their kind, or lower."""


def test_all_models_are_present() -> None:
    assert len(MODELS) == 1 + len(BEST) + 12


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.name)
def test_a_shipped_model_loads_and_contains_no_local_path(path: Path) -> None:
    assert load_model(path).parameter_count > 10_000
    document = json.loads((path / "config.json").read_text())
    assert document["data"]["directory"] == f"data/prepared/{document['data']['name']}"
    assert "# " + path.name in (path / "README.md").read_text()


@pytest.mark.parametrize("name", FILES)
def test_the_best_models_were_trained_by_their_recipes(name: str) -> None:
    document = json.loads((ROOT / "models" / f"best-{name}" / "config.json").read_text())
    assert Recipe.of(**document["training"]) == Recipe.of(**read_shipped("best", name))


@pytest.fixture(scope="module", params=FILES)
def published(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    file = SHARED / f"{FILES[request.param]}.mat"
    if not file.exists():
        pytest.skip("needs the published benchmarks in ../shared")
    collection = collect([str(file)])
    assert collection.layout is not None
    directory = tmp_path_factory.mktemp("published") / request.param
    return build_corpus(collection, Preparation(collection.layout), directory).corpus


def test_models_reach_the_nll_in_their_cards(published: Corpus) -> None:
    name = published.directory.name
    for path in [ROOT / "models" / f"best-{name}", *(ROOT / "models" / "chung2014").glob(f"{name}-*")]:
        found = evaluate(load_model(path), published).nll_per_frame
        assert f"| test | {found:.3f} |" in (path / "README.md").read_text(), path
        assert found < BEST[name] or path.parent.name == "chung2014"
