"""Looks at every picture of a dataset and goes on at a fault, so that all faults are told at once."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tlsearch.data import check, source
from tlsearch.data.linking import COMPARED_PX, FindLinks, Links, near_findings
from tlsearch.data.pixels import PixelStore, ProgressCallback
from tlsearch.data.prepare import keys_of, links_among, unreadable_listing
from tlsearch.data.sides import Labelled, choose_sides
from tlsearch.data.sizes import class_sizes
from tlsearch.errors import DataError, StoreError, TlsearchError
from tlsearch.records import Json
from tlsearch.report.survey import DataFault
from tlsearch.runner.setup import REPEATS
from tlsearch.specs import Dataset
from tlsearch.study import DataTable


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """Decoded pictures with what is wrong with them; indices point into `files`, `labels`, `keys` and `store` alike.

    Args:
        classes: Names in label order.
        files: Names below the dataset's root.
        labels: One a file.
        keys: Pictures with equal keys belong together.
        store: The decoded pictures.
        readable: Indices of those that could be decoded, ascending.
        sizes: Pictures of each class as `class_sizes` counts them.
        findings: What is odd, by name.
        notes: Sentences that belong to the data.
        faults: What keeps a study from running.
    """

    classes: tuple[str, ...]
    files: tuple[str, ...]
    labels: tuple[int, ...]
    keys: tuple[str, ...]
    store: PixelStore
    readable: list[int]
    sizes: dict[str, int]
    findings: dict[str, Json]
    notes: tuple[str, ...]
    faults: list[DataFault]

    def per_class(self) -> dict[str, int]:
        """Readable pictures of each class."""
        counts = Counter(self.labels[index] for index in self.readable)
        return {name: counts[label] for label, name in enumerate(self.classes)}


def look_at(
    config: DataTable,
    dataset: Dataset,
    *,
    shorter_px: int,
    cache_dir: Path,
    seed: int = 0,
    progress: ProgressCallback | None = None,
    find_links: FindLinks | None = None,
) -> Looked:
    """Decode everything, and collect every fault that `prepare_data` would stop at, and with it a study.

    Args:
        config: The engine's own keys of `[data]`.
        dataset: What the plugin found.
        shorter_px: At which pictures are kept.
        cache_dir: Where decoded pictures are kept for all studies.
        seed: The study's, for the folds that it would have.
        progress: Told what is done with how many pictures of how many.
        find_links: Tells which pictures show one photograph; None links only equal pixels.

    Raises:
        DataError: Where there is nothing to look at.
    """
    found = source.listed(dataset, config.group_by)
    classes, files, labels, parts = found.classes, found.files, found.labels, found.parts
    paths = [image.path for image in dataset.images]
    also_px = None if find_links is None else COMPARED_PX
    store = PixelStore.build(paths, shorter_px, cache_dir, progress, also_px=also_px)
    readable = [index for index in range(len(files)) if index not in store.failures]
    links, incomparable = _links(dataset, store, readable, find_links)
    keys = keys_of(found, store, links)
    leaks = check.leaks(keys, parts, readable) if parts else []
    dropped = {lost for lost, _ in leaks} if config.leaks == "drop" else set()
    pictures = Labelled(
        classes=classes,
        labels=labels,
        keys=keys,
        parts=parts,
        used=[index for index in readable if index not in dropped],
    )
    return Looked(
        classes=classes,
        files=files,
        labels=labels,
        keys=keys,
        store=store,
        readable=readable,
        sizes=class_sizes(classes, labels, parts, pictures.used),
        findings={
            **_findings(dataset, store, files, labels, classes, readable),
            **_findings_of_leaks(leaks, dropped, files, parts),
            **_findings_of_links(links, store.hashes, found),
        },
        notes=(*dataset.notes, *([links.note] if links.note else [])),
        faults=[
            *incomparable,
            *_faults(store, files, pictures, config, seed, unreadable_listing(dataset.root, cache_dir)),
        ],
    )


def _links(
    dataset: Dataset, store: PixelStore, readable: Sequence[int], find_links: FindLinks | None
) -> tuple[Links, list[DataFault]]:
    """What `links_among` finds; where pictures cannot be compared with one another, nothing and that fault."""
    try:
        return links_among(dataset, store, readable, find_links), []
    except StoreError:
        raise  # of the disk, not of the pictures
    except TlsearchError as error:
        return Links(), [_fault(error)]


def _faults(
    store: PixelStore, files: Sequence[str], pictures: Labelled, config: DataTable, seed: int, listing: Path
) -> list[DataFault]:
    """Everything that would stop a study; pictures that the findings list one by one are only counted."""
    readable = [index for index in range(len(files)) if index not in store.failures]
    labels, classes, parts = pictures.labels, pictures.classes, pictures.parts
    faults: list[DataFault] = []
    with _noted(faults):
        check.unreadable(store, files, labels, classes, config.bad_images, listing, listed=0)
    with _noted(faults):
        check.duplicates(store.hashes, files, labels, classes, readable, listed=0)
    with _noted(faults):
        if parts:
            check.leaking(pictures.keys, parts, files, readable, config.leaks, listed=0)
    with _noted(faults):
        choose_sides(pictures, config, seed=seed, repeats=REPEATS)
    return faults


@contextmanager
def _noted(faults: list[DataFault]) -> Iterator[None]:
    """Add what is refused, and the way out."""
    try:
        yield
    except DataError as error:
        faults.append(_fault(error))


def _fault(error: TlsearchError) -> DataFault:
    return DataFault(message=error.message, hint=error.hint or "")


def _findings(
    dataset: Dataset,
    store: PixelStore,
    files: Sequence[str],
    labels: Sequence[int],
    classes: Sequence[str],
    readable: Sequence[int],
) -> dict[str, Json]:
    equal = check.equal_pictures(store.hashes, readable)
    return {
        "images": len(files),
        "ignored": [source.valid_text(name) for name in dataset.ignored],
        "unreadable": {files[index]: reason for index, reason in sorted(store.failures.items())},
        "conversions": dict(sorted(Counter(rule for index in readable for rule in store.rules[index]).items())),
        "enlarged": sum(min(store.sizes[index]) < store.shorter_px for index in readable),
        "duplicates": [_named(linked, files) for linked in equal if not check.under_two_labels(linked, labels)],
        "conflicts": [
            {"files": _named(linked, files), "labels": [classes[labels[index]] for index in linked]}
            for linked in equal
            if check.under_two_labels(linked, labels)
        ],
    }


def _findings_of_leaks(
    leaks: Sequence[tuple[int, int]], dropped: Collection[int], files: Sequence[str], parts: Sequence[str]
) -> dict[str, Json]:
    return {
        "dropped": [files[index] for index in sorted(dropped)],
        "leaks": [] if dropped else [_leak(pair, files, parts) for pair in leaks],
    }


def _findings_of_links(links: Links, hashes: Sequence[str], found: source.Listed) -> dict[str, Json]:
    near, too_alike = near_findings(links, hashes, found.files, found.labels, found.classes)
    return {"near": near, "too_alike": too_alike}


def _named(linked: Sequence[int], files: Sequence[str]) -> list[str]:
    return [files[index] for index in linked]


def _leak(pair: tuple[int, int], files: Sequence[str], parts: Sequence[str]) -> dict[str, Json]:
    return {"files": [files[index] for index in pair], "parts": [parts[index] for index in pair]}
