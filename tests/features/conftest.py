"""Providers over the drawings, in a folder of the test's own."""

from pathlib import Path
from typing import Any

import pytest
from feature_world import MakeProvider, open_engine, open_provider

from tlsearch.data.pixels import PixelStore
from tlsearch.features.provider import Engine, FeatureProvider


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return open_engine(tmp_path)


@pytest.fixture
def make_provider(drawn: PixelStore, tmp_path: Path) -> MakeProvider:
    """Open the folder as a new process would."""

    def make(**changes: Any) -> FeatureProvider:
        given = {"store": drawn, "engine": open_engine(tmp_path), **changes}
        return open_provider(**given)

    return make
