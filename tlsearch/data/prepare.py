"""Prepared data: the one road from a dataset plugin's files to checked labels, pixels and splits."""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tlsearch.data import check, source
from tlsearch.data.pixels import PixelStore, ProgressCallback
from tlsearch.data.split import fold_count, fold_partitions, group_keys, holdout_mask
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
        class_ratio: Images of the largest class over those of the smallest.
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
    class_ratio: float

    @property
    def digest(self) -> str:
        """sha256 over pixels, labels and splits: equal digests mean equal numbers."""
        splits = [self.classes, self.labels, self.development, self.holdout, self.folds]
        return hashlib.sha256(json.dumps([self.store.digest, *splits]).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Split:
    development: tuple[int, ...]
    holdout: tuple[int, ...]
    folds: tuple[tuple[int, ...], ...]


def prepare_data(
    config: DataTable,
    dataset: Dataset,
    *,
    shorter_px: int,
    seed: int,
    repeats: int,
    cache_dir: Path,
    progress: ProgressCallback | None = None,
) -> PreparedData:
    """Check, decode and split a dataset.

    Args:
        config: The engine's own keys of `[data]`.
        dataset: What the plugin found.
        shorter_px: The largest `pixels.resize_px` of the study's backbones.
        seed: The study's; decides folds, not the holdout.
        repeats: How many fold partitions: one for the search, one for each confirmation.
        cache_dir: Where decoded pictures are kept for all studies.
        progress: Told how many pictures are decoded of how many.

    Raises:
        DataError: Where pictures, labels or parts cannot be used as they are.
    """
    source.check_dataset(dataset)
    classes = tuple(source.valid_text(name) for name in dataset.classes)
    files = source.relative_names(dataset)
    names = source.group_names(dataset, files, config.group_by)
    labels = tuple(image.label for image in dataset.images)
    parts = [image.part for image in dataset.images]
    store = PixelStore.build([image.path for image in dataset.images], shorter_px, cache_dir, progress)
    bad = check.unreadable(store, files, labels, classes, config.bad_images, cache_dir / "unreadable-images.txt")
    readable = [index for index in range(len(files)) if index not in bad]
    duplicates = check.duplicates(store.hashes, files, labels, classes, readable)
    # what cannot be read is like nothing else: its name stands in for its pixels
    keys = group_keys([digest or name for digest, name in zip(store.hashes, files, strict=True)], names)
    dropped = check.leaking(keys, parts, files, readable, config.leaks)
    used = [index for index in readable if index not in dropped]
    ready = any(part is not None for part in parts)
    split = (
        _ready_split(config, classes, labels, keys, [part or "train" for part in parts], used, seed, repeats)
        if ready
        else _own_split(config, classes, labels, keys, used, seed, repeats)
    )
    findings = _findings(dataset, store, classes, files, labels, used, duplicates, sorted(dropped))
    return PreparedData(
        classes=classes,
        files=files,
        labels=labels,
        groups=keys,
        store=store,
        development=split.development,
        holdout=split.holdout,
        folds=split.folds,
        ready_parts=ready,
        findings=findings,
        notes=dataset.notes,
        license=dataset.license,
        class_ratio=findings.outlying,
    )


def _own_split(
    config: DataTable,
    classes: Sequence[str],
    labels: Sequence[int],
    keys: Sequence[str],
    used: Sequence[int],
    seed: int,
    repeats: int,
) -> _Split:
    """Holdout by content hash, the rest in folds."""
    of_used, keys_used = [labels[i] for i in used], [keys[i] for i in used]
    expected = round(len(used) * (1 - config.holdout))  # the very number depends on the folds in small classes
    folds = fold_count(config.folds, expected)
    check.check_class_sizes(classes, of_used, keys_used, folds, holdout=config.holdout > 0)
    held = holdout_mask(of_used, keys_used, config.holdout, leave=max(2, folds))
    development = tuple(i for i, out in zip(used, held, strict=True) if not out)
    partitions = fold_partitions([labels[i] for i in development], [keys[i] for i in development], folds, repeats, seed)
    holdout = tuple(i for i, out in zip(used, held, strict=True) if out)
    return _Split(development=development, holdout=holdout, folds=partitions)


def _ready_split(
    config: DataTable,
    classes: Sequence[str],
    labels: Sequence[int],
    keys: Sequence[str],
    parts: Sequence[str],
    used: Sequence[int],
    seed: int,
    repeats: int,
) -> _Split:
    """Parts as they are: `test` is the holdout, `val` the one fold. What is missing is made from `train`."""
    check.check_parts(classes, [labels[i] for i in used], [parts[i] for i in used])
    holdout = tuple(i for i in used if parts[i] == "test")
    rest = [i for i in used if parts[i] != "test"]
    has_val = any(parts[i] == "val" for i in rest)
    if has_val and holdout:
        fold = tuple(0 if parts[i] == "val" else -1 for i in rest)
        return _Split(development=tuple(rest), holdout=holdout, folds=(fold,) * repeats)
    if has_val:
        train = [i for i in rest if parts[i] == "train"]
        held = holdout_mask([labels[i] for i in train], [keys[i] for i in train], config.holdout)
        out = {i for i, is_held in zip(train, held, strict=True) if is_held}
        kept = tuple(i for i in rest if i not in out)
        fold = tuple(0 if parts[i] == "val" else -1 for i in kept)
        return _Split(development=kept, holdout=tuple(sorted(out)), folds=(fold,) * repeats)
    folds = fold_count(config.folds, len(rest))
    of_rest, keys_rest = [labels[i] for i in rest], [keys[i] for i in rest]
    check.check_class_sizes(classes, of_rest, keys_rest, folds, holdout=False)
    partitions = fold_partitions(of_rest, keys_rest, folds, repeats, seed)
    return _Split(development=tuple(rest), holdout=holdout, folds=partitions)


def _findings(
    dataset: Dataset,
    store: PixelStore,
    classes: Sequence[str],
    files: Sequence[str],
    labels: Sequence[int],
    used: Sequence[int],
    duplicates: tuple[tuple[str, ...], ...],
    dropped: Sequence[int],
) -> check.DataFindings:
    per_class = Counter(labels[index] for index in used)
    counts = [per_class[label] for label in range(len(classes))]
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
        outlying=max(counts) / min(counts),
    )
