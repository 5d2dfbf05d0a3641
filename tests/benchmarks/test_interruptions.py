from __future__ import annotations

import random
from pathlib import Path

from benchmarks import interruptions
from musicrnn.corpus import Corpus


def test_a_killed_training_ends_with_the_same_bytes(corpus: Corpus, tmp_path: Path) -> None:
    flags = ["--hidden", "8", "--batch-size", "2", "--weight-noise", "0.075", "--epochs", "30"]
    flags += ["--patience", "1000", "--save-minutes", "0"]
    whole = interruptions.Training(corpus.directory, tmp_path / "whole", flags)
    killed = interruptions.Training(corpus.directory, tmp_path / "killed", flags)
    whole.finish()
    assert killed.kill(0.0, random.Random(0)) is not None
    killed.finish()
    assert killed.result()[:2] == whole.result()[:2]
    assert len(whole.result().losses) == 30


def test_prepare_is_the_default_command() -> None:
    assert interruptions.parse(["folder", "--kills", "3"]).run is interruptions.prepare
    assert interruptions.parse([]).kills == 20
    options = interruptions.parse(["train", "corpus", "--kills", "3", "--", "--cell", "lstm"])
    assert options.run is interruptions.train and options.flags == ["--cell", "lstm"]
