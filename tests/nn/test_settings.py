"""The network's settings: one declaration, checked, without torch."""

from __future__ import annotations

import subprocess
import sys

import pytest

from musicrnn.errors import UsageError
from musicrnn.nn import NetworkSettings
from musicrnn.settings import declarations, flatten


def test_settings_are_grouped_inside_and_flat_outside() -> None:
    settings = NetworkSettings.of(cell="lstm", hidden=9, attention=2, dropout=0.5, tied=True)
    assert (settings.recurrent.cell, settings.structure.attention) == ("lstm", 2)
    assert settings.regularisation.dropout == 0.5 and settings.tied
    assert NetworkSettings.of(**flatten(settings)) == settings and str(settings) == "lstm 9"


def test_groups_come_in_the_order_of_the_help() -> None:
    groups = [entry.group for entry in declarations(NetworkSettings).values()]
    assert list(dict.fromkeys(groups)) == ["network", "structure", "regularisation"]


def test_impossible_networks_are_refused() -> None:
    with pytest.raises(UsageError, match="a tied embedding must be as wide as a layer, 4, got 3"):
        NetworkSettings.of(hidden=4, tied=True, embedding=3)
    with pytest.raises(UsageError, match="as wide as a layer, got skip connections"):
        NetworkSettings.of(hidden=4, layers=2, tied=True, connections="skip")
    with pytest.raises(UsageError, match="dropout must be at least 0 and below 1, got 1"):
        NetworkSettings.of(dropout=1.0)
    with pytest.raises(UsageError, match="attention_size must be at least 1, got 0"):
        NetworkSettings.of(attention_size=0)
    with pytest.raises(UsageError, match="connections must be one of plain, residual, skip, got 'loop'"):
        NetworkSettings.of(connections="loop")


def test_they_need_no_torch() -> None:
    code = "import sys, musicrnn.nn.settings; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
