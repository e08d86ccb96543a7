"""solar: the installed photographs, their two classes, and what must be said of them."""

from collections import Counter
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from tlsearch import DataError
from tlsearch_datasets import solar
from tlsearch_datasets.solar import SolarOptions, load


@pytest.mark.parametrize(("labels", "functional", "defective"), [("all", 1803, 821), ("certain", 1508, 715)])
def test_cells_are_labelled_by_their_probability(labels: str, functional: int, defective: int) -> None:
    dataset = load(SolarOptions.model_validate({"labels": labels}), Path())
    assert dataset.classes == ("functional", "defective")
    assert Counter(image.label for image in dataset.images) == {0: functional, 1: defective}
    assert all(image.path.is_file() for image in dataset.images)


def test_reports_are_told_the_license_and_the_missing_modules() -> None:
    dataset = load(SolarOptions(), Path())
    assert dataset.license == "CC-BY-NC-SA-4.0"
    assert any("NC-SA" in note for note in dataset.notes)
    assert any("both sides of every split" in note for note in dataset.notes)


def test_without_the_distribution_the_way_to_install_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(solar, "distribution", absent)
    with pytest.raises(DataError, match="not installed") as caught:
        load(SolarOptions(), Path())
    assert "install elpv-dataset" in str(caught.value.hint)
