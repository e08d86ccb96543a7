"""Surveys pictures before a study is made of them: every fault at once, what is odd, wrong labels, and the amount."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tlsearch.data import check, source
from tlsearch.data.linking import FindLinks, near_findings
from tlsearch.data.pixels import PixelStore, ProgressCallback
from tlsearch.data.prepare import links_among, unreadable_listing
from tlsearch.data.sides import Labelled, choose_sides
from tlsearch.data.split import group_keys
from tlsearch.devices import choose_devices, cpu_threads
from tlsearch.errors import DataError
from tlsearch.execution.executor import Executor
from tlsearch.host import PluginHost
from tlsearch.hubs import Hubs
from tlsearch.records import Json, TrialState
from tlsearch.report.survey import DataFault, Survey
from tlsearch.runner.checking import check_job, named
from tlsearch.runner.chosen import Chosen, choose_backbones, kept_px
from tlsearch.runner.errand import run_errand
from tlsearch.runner.setup import Places, load_dataset
from tlsearch.runner.skew import answer_to_skew
from tlsearch.specs import Dataset
from tlsearch.study import DataTable, StudyConfig
from tlsearch.work import Progress, WorkerContext


@dataclass(kw_only=True)
class Looked:
    """Decoded pictures with what is wrong with them; indices point into `files`, `labels`, `keys` and `store` alike.

    Args:
        classes: Names in label order.
        files: Names below the dataset's root.
        labels: One a file.
        keys: Pictures with equal keys belong together.
        store: The decoded pictures.
        readable: Indices of those that could be decoded, ascending.
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
    findings: dict[str, Json]
    notes: tuple[str, ...]
    faults: list[DataFault] = field(default_factory=list)

    def per_class(self) -> dict[str, int]:
        """Readable pictures of each class."""
        counts = Counter(self.labels[index] for index in self.readable)
        return {name: counts[label] for label, name in enumerate(self.classes)}


def survey(
    config: StudyConfig,
    *,
    host: PluginHost,
    places: Places,
    hubs: Hubs,
    make_executor: Callable[[Sequence[WorkerContext]], Executor],
    notice: Callable[[str], None],
    find_links: FindLinks | None = None,
    decoding: ProgressCallback | None = None,
    working: Callable[[Progress], None],
) -> Survey:
    """Look at every picture of a study's data, with the networks that the study lists. Nothing of it is stored.

    Args:
        config: The study; its holdout is looked at too, for a wrong label there is wrong as well.
        host: With its plugins.
        places: Where files are kept.
        hubs: The run's.
        make_executor: Starts workers, one a context.
        notice: Told what a person must not miss.
        find_links: Tells which pictures show one photograph; None links only equal pixels.
        decoding: Told what is done with how many pictures of how many.
        working: Told what the worker does.

    Raises:
        DataError: Where there is nothing to look at: no folder, no pictures, one class.
        WeightsError: Where no network can be had.
    """
    chosen = choose_backbones(config, None, host=host, cache=places.cache, hubs=hubs)
    for missing in chosen.left_out:
        notice(f"left out: backbone '{missing['name']}': {missing['why']}")
    dataset = load_dataset(config, host, places.cache / "datasets" / config.data.source)
    shorter_px = kept_px(config, None, chosen)
    looked = look_at(
        config.data,
        dataset,
        shorter_px=shorter_px,
        cache_dir=places.cache / "pixels",
        progress=decoding,
        find_links=find_links,
    )
    per_class = looked.per_class()
    metric = answer_to_skew(config, per_class).metric if min(per_class.values()) else "accuracy"
    checked, unchecked = None, _too_little(looked)
    if not unchecked:
        context = check_context(config, looked, chosen, metric, host, places)
        checked, unchecked = _checked(context, looked, host, make_executor, working)
    return Survey(
        root=dataset.root,
        metric=metric,
        per_class=per_class,
        findings=looked.findings,
        notes=looked.notes,
        faults=tuple(looked.faults),
        check=checked,
        unchecked=unchecked,
    )


def look_at(
    config: DataTable,
    dataset: Dataset,
    *,
    shorter_px: int,
    cache_dir: Path,
    progress: ProgressCallback | None = None,
    find_links: FindLinks | None = None,
) -> Looked:
    """Decode everything, and collect every fault that `prepare_data` would stop at, and with it a study.

    Args:
        config: The engine's own keys of `[data]`.
        dataset: What the plugin found.
        shorter_px: At which pictures are kept.
        cache_dir: Where decoded pictures are kept for all studies.
        progress: Told what is done with how many pictures of how many.
        find_links: Tells which pictures show one photograph; None links only equal pixels.

    Raises:
        DataError: Where there is nothing to look at.
    """
    source.check_dataset(dataset)
    classes = tuple(source.valid_text(name) for name in dataset.classes)
    files = source.relative_names(dataset)
    labels = tuple(image.label for image in dataset.images)
    names = source.group_names(dataset, files, config.group_by)
    parts = source.ready_parts(dataset)
    store = PixelStore.build([image.path for image in dataset.images], shorter_px, cache_dir, progress)
    readable = [index for index in range(len(files)) if index not in store.failures]
    links = links_among(dataset, store, readable, find_links)
    pixels = [digest or name for digest, name in zip(store.hashes, files, strict=True)]
    keys = group_keys(pixels, names, [(link.one, link.other) for link in links.kept])
    near, too_alike = near_findings(links, store.hashes, files, labels, classes)
    looked = Looked(
        classes=classes,
        files=files,
        labels=labels,
        keys=keys,
        store=store,
        readable=readable,
        findings={**_findings(dataset, store, files, labels, readable), "near": near, "too_alike": too_alike},
        notes=(*dataset.notes, *([links.note] if links.note else [])),
    )
    with _noted(looked.faults):
        listing = unreadable_listing(dataset.root, cache_dir)
        check.unreadable(store, files, labels, classes, config.bad_images, listing)
    with _noted(looked.faults):
        check.duplicates(store.hashes, files, labels, classes, readable)
    dropped: frozenset[int] = frozenset()
    with _noted(looked.faults):
        dropped = check.leaking(keys, parts, files, readable, config.leaks) if parts else dropped
    with _noted(looked.faults):
        used = [index for index in readable if index not in dropped]
        labelled = Labelled(classes=classes, labels=labels, keys=keys, parts=parts, used=used)
        choose_sides(labelled, config, seed=0, repeats=0)
    return looked


@contextmanager
def _noted(faults: list[DataFault]) -> Iterator[None]:
    """Add what is refused, and the way out."""
    try:
        yield
    except DataError as error:
        faults.append(DataFault(message=error.message, hint=error.hint or ""))


def _findings(
    dataset: Dataset, store: PixelStore, files: Sequence[str], labels: Sequence[int], readable: Sequence[int]
) -> dict[str, Json]:
    alike: dict[str, list[int]] = defaultdict(list)
    for index in readable:
        alike[store.hashes[index]].append(index)
    equal = [linked for linked in alike.values() if len(linked) > 1]
    return {
        "images": len(files),
        "ignored": [source.valid_text(name) for name in dataset.ignored],
        "unreadable": {files[index]: reason for index, reason in sorted(store.failures.items())},
        "conversions": dict(sorted(Counter(rule for index in readable for rule in store.rules[index]).items())),
        "enlarged": sum(min(store.sizes[index]) < store.shorter_px for index in readable),
        "duplicates": [_named(linked, files) for linked in equal if len({labels[index] for index in linked}) == 1],
        "conflicts": [_named(linked, files) for linked in equal if len({labels[index] for index in linked}) > 1],
    }


def _named(linked: Sequence[int], files: Sequence[str]) -> list[str]:
    return [files[index] for index in linked]


def _too_little(looked: Looked) -> str:
    """Why a probe would say nothing; "" where it can."""
    keys: dict[int, set[str]] = defaultdict(set)
    for index in looked.readable:
        keys[looked.labels[index]].add(looked.keys[index])
    small = [name for label, name in enumerate(looked.classes) if len(keys[label]) < 2]
    return f"class '{small[0]}' has fewer than two pictures that can be told apart" if small else ""


def check_context(
    config: StudyConfig, looked: Looked, chosen: Chosen, metric: str, host: PluginHost, places: Places
) -> WorkerContext:
    """What one worker is told: every readable picture, and no holdout."""
    return WorkerContext(
        study=config.study.name,
        seed=config.study.seed,
        metric=metric,
        classes=looked.classes,
        pixels=str(looked.store.folder),
        pixels_digest=looked.store.digest,
        labels=looked.labels,
        development=tuple(looked.readable),
        holdout=(),
        folds=((0,) * len(looked.readable),),
        backbones=chosen.backbones,
        augments=tuple(augment for augment in ("none", "flip") if augment in ("none", *config.search.augment)),
        views=config.data.views,
        unfrozen=(0,),
        device=choose_devices(config.run.devices)[0],
        threads=cpu_threads(),
        cache=str(places.cache),
        cache_bytes=int(config.run.cache_gb * 1e9),
        models=str(places.folder / "models"),
        deterministic=config.run.deterministic,
        plugins=tuple(str(file) for file in places.plugins),
        versions=host.versions(),
        dataset={},
    )


def _checked(
    context: WorkerContext,
    looked: Looked,
    host: PluginHost,
    make_executor: Callable[[Sequence[WorkerContext]], Executor],
    working: Callable[[Progress], None],
) -> tuple[Mapping[str, Json] | None, str]:
    """What probes say, or why they say nothing."""
    networks = list(context.backbones)
    job = check_job(host, networks, [looked.keys[index] for index in looked.readable])
    result = run_errand(job, context, make_executor=make_executor, progress=working)
    if result.state is not TrialState.COMPLETED:
        return None, result.detail
    files = [looked.files[index] for index in looked.readable]
    told = named(result.extras, networks=networks, classes=looked.classes, files=files, metric=context.metric)
    return told, ""
