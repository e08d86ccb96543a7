"""Prepared data: the one road from a dataset plugin's files to checked labels, pixels and splits."""

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tlsearch.data import check, source
from tlsearch.data.linking import FindLinks, Links, near_findings
from tlsearch.data.pixels import PixelStore, ProgressCallback
from tlsearch.data.sides import Labelled, choose_sides
from tlsearch.data.split import group_keys
from tlsearch.specs import Dataset
from tlsearch.study import DataTable


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedData:
    """All that a study knows of its pictures. Indices point into `files`, `labels`, `groups` and `store` alike.

    Args:
        classes: Names in label order.
        files: Names below the dataset's root, with `/`.
        labels: One a file.
        groups: One key a file; files with equal keys are on one side of every split.
        store: The decoded pictures.
        development: Indices of what is chosen with, ascending.
        holdout: Indices of what is opened once, ascending; empty where nothing is held out.
        folds: For each repeat the fold of each development image; -1 is only ever trained on.
        ready_parts: Whether the dataset came split.
        findings: What is worth knowing about the pictures.
        notes: Sentences that every report must show.
        license: Of the pictures, where known.
    """

    classes: tuple[str, ...]
    files: tuple[str, ...]
    labels: tuple[int, ...]
    groups: tuple[str, ...]
    store: PixelStore
    development: tuple[int, ...]
    holdout: tuple[int, ...]
    folds: tuple[tuple[int, ...], ...]
    ready_parts: bool
    findings: check.DataFindings
    notes: tuple[str, ...]
    license: str

    @property
    def class_ratio(self) -> float:
        """Used images of the largest class over those of the smallest."""
        return self.findings.class_ratio


def prepare_data(
    config: DataTable,
    dataset: Dataset,
    *,
    shorter_px: int,
    seed: int,
    repeats: int,
    cache_dir: Path,
    progress: ProgressCallback | None = None,
    find_links: FindLinks | None = None,
    also_px: int | None = None,
) -> PreparedData:
    """Check, decode and split a dataset.

    Args:
        config: The engine's own keys of `[data]`.
        dataset: What the plugin found.
        shorter_px: The largest `pixels.resize_px` of the study's backbones.
        seed: The study's; decides folds, not the holdout.
        repeats: How many fold partitions: one for the search, one for each confirmation.
        cache_dir: Where decoded pictures are kept for all studies.
        progress: Told what is done with how many pictures of how many.
        find_links: Tells which pictures show one photograph; None links only equal pixels.
        also_px: Another side at which `find_links` will want the pictures.

    Raises:
        DataError: Where pictures, labels or parts cannot be used as they are.
    """
    found = source.listed(dataset, config.group_by)
    classes, files, labels, parts = found.classes, found.files, found.labels, found.parts
    paths = [image.path for image in dataset.images]
    store = PixelStore.build(paths, shorter_px, cache_dir, progress, also_px=also_px)
    bad = check.unreadable(
        store, files, labels, classes, config.bad_images, unreadable_listing(dataset.root, cache_dir)
    )
    readable = [index for index in range(len(files)) if index not in bad]
    duplicates = check.duplicates(store.hashes, files, labels, classes, readable)
    links = links_among(dataset, store, readable, find_links)
    keys = keys_of(found, store, links)
    dropped = check.leaking(keys, parts, files, readable, config.leaks) if parts else frozenset()
    used = [index for index in readable if index not in dropped]
    labelled = Labelled(classes=classes, labels=labels, keys=keys, parts=parts, used=used)
    sides = choose_sides(labelled, config, seed=seed, repeats=repeats)
    findings = _findings(dataset, store, classes, files, labels, used, duplicates, links, sorted(dropped))
    return PreparedData(
        classes=classes,
        files=files,
        labels=labels,
        groups=keys,
        store=store,
        development=sides.development,
        holdout=sides.holdout,
        folds=sides.folds,
        ready_parts=labelled.comes_split,
        findings=findings,
        notes=(*dataset.notes, *([links.note] if links.note else [])),
        license=dataset.license,
    )


def keys_of(found: source.Listed, store: PixelStore, links: Links) -> tuple[str, ...]:
    """The key of each picture; pictures with equal keys stay on one side of every split.

    What cannot be read is like nothing else: its name stands in for its pixels.
    """
    pixels = [digest or name for digest, name in zip(store.hashes, found.files, strict=True)]
    return group_keys(pixels, found.groups, [(link.one, link.other) for link in links.kept])


def links_among(dataset: Dataset, store: PixelStore, readable: Sequence[int], find_links: FindLinks | None) -> Links:
    """What is found among the readable pictures, of which equal ones are looked at once; None finds nothing."""
    different = {store.hashes[index]: index for index in reversed(readable)}  # the first of equal ones
    if find_links is None or len(different) < 2:
        return Links()
    return find_links(store, [image.path for image in dataset.images], sorted(different.values()))


def unreadable_listing(root: Path, cache_dir: Path) -> Path:
    """The file for what cannot be read in a folder: its own, for studies of other folders share the cache."""
    return cache_dir / f"unreadable-{hashlib.sha256(os.fsencode(root.absolute())).hexdigest()[:12]}.txt"


def _findings(
    dataset: Dataset,
    store: PixelStore,
    classes: Sequence[str],
    files: Sequence[str],
    labels: Sequence[int],
    used: Sequence[int],
    duplicates: tuple[tuple[str, ...], ...],
    links: Links,
    dropped: Sequence[int],
) -> check.DataFindings:
    per_class = Counter(labels[index] for index in used)
    counts = [per_class[label] for label in range(len(classes))]
    near, too_alike = near_findings(links, store.hashes, files, labels, classes)
    conversions = Counter(rule for index in used for rule in store.rules[index])
    return check.DataFindings(
        images=len(files),
        used=len(used),
        per_class=dict(zip(classes, counts, strict=True)),
        ignored=tuple(source.valid_text(name) for name in dataset.ignored),
        unreadable={files[index]: reason for index, reason in sorted(store.failures.items())},
        conversions=dict(sorted(conversions.items())),
        enlarged=sum(min(store.sizes[index]) < store.shorter_px for index in used),
        duplicates=duplicates,
        dropped=tuple(files[index] for index in dropped),
        class_ratio=max(counts) / min(counts),
        near=near,
        too_alike=too_alike,
    )
