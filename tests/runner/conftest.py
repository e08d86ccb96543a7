"""Drawn pictures and a feature cache for the whole session, a fresh run folder for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from dispatch_desk import Desk
from runner_world import MakeWorld, World, draw_photos, write_study

from tlsearch.store.store import Store


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_photos(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def make_world(tmp_path: Path, photos: Path, shared_cache: Path) -> MakeWorld:
    def make(name: str = "run", **changed: object) -> World:
        folder = tmp_path / name
        folder.mkdir()
        return World(**{"folder": folder, "file": write_study(folder, photos), "cache": shared_cache, **changed})

    return make


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    return make_world()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Store.open(f"sqlite:///{tmp_path / 's.db'}") as store:
        yield Desk(tmp_path, store)
