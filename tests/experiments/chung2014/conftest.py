from __future__ import annotations

import pytest

from tests.experiments.chung2014.tiny import install


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)
