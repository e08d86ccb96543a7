"""celebs_demo: five drawn people, with an endless stream of fresh drawings to learn the truth from."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from PIL import Image
from pydantic import Field

from tlsearch import Dataset, DatasetSpec, ImageFile, Params, hookimpl
from tlsearch_datasets.celebs_drawing import draw, fresh
from tlsearch_datasets.celebs_people import PEOPLE, Person

EDITION = 1  # a change of the drawing code that changes pixels is another edition; a test freezes this one


class CelebsDemoOptions(Params):
    """Keys of `[data]` for this source."""

    pictures: Annotated[int, Field(ge=5, le=5000)] = 30  # of each person


def load(options: CelebsDemoOptions, cache_dir: Path) -> Dataset:
    """Draw what is not yet drawn; the files are the same on every machine."""
    root = cache_dir / f"edition-{EDITION}-{options.pictures}"
    images = [
        ImageFile(path=_drawn(person, number, root / person.name), label=label)
        for label, person in enumerate(PEOPLE)
        for number in range(options.pictures)
    ]
    return Dataset(
        root=root,
        classes=tuple(person.name for person in PEOPLE),
        images=tuple(images),
        notes=("These pictures are drawings of invented people, not photographs.",),
        license="CC0-1.0",
        fresh=fresh,
    )


def _drawn(person: Person, number: int, folder: Path) -> Path:
    """The file of one drawing, made where it is missing."""
    path = folder / f"{person.name.lower()}_{number:04}.png"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(f".{os.getpid()}.part")
        picture = Image.fromarray(draw(person, f"celebs_demo/{person.name}/{number}"))
        picture.save(unfinished, format="PNG", compress_level=1)
        os.replace(unfinished, path)
    return path


@hookimpl
def tlsearch_datasets() -> Sequence[DatasetSpec]:
    """Five drawn people, 30 pictures each."""
    return [DatasetSpec(name="celebs_demo", options=CelebsDemoOptions, load=load)]
