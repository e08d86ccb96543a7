"""A dataset plugin file: celebs_demo's people with other drawings for every seed, and the same endless stream."""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from PIL import Image

from tlsearch import Dataset, DatasetSpec, ImageFile, Params, hookimpl
from tlsearch_datasets.celebs_drawing import fresh
from tlsearch_datasets.celebs_people import PEOPLE

DRAWN_FROM = 1_000_000  # streams from here on are drawn from; what a model is tested on comes from lower ones


class DrawnOptions(Params):
    """Keys of `[data]` for this source."""

    draw: int = 0  # decides which drawings
    pictures: int = 60  # of each person


def load(options: DrawnOptions, cache_dir: Path) -> Dataset:
    """Draw the people anew."""
    root = cache_dir / f"draw-{options.draw}-{options.pictures}"
    stream = islice(fresh(DRAWN_FROM + options.draw), options.pictures * len(PEOPLE))
    images = []
    for number, (pixels, label) in enumerate(stream):
        path = root / PEOPLE[label].name / f"{number:04}.png"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
        images.append(ImageFile(path=path, label=label))
    return Dataset(
        root=root,
        classes=tuple(person.name for person in PEOPLE),
        images=tuple(images),
        notes=("These pictures are drawings of invented people, not photographs.",),
        license="CC0-1.0",
        fresh=fresh,
    )


@hookimpl
def tlsearch_datasets() -> Sequence[DatasetSpec]:
    """Drawings of five people, other ones for every draw."""
    return [DatasetSpec(name="drawn_people", options=DrawnOptions, load=load)]
