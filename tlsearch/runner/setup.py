"""Sets a study up: weights in reach, data checked and split, the space; refuses another study under the same name."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from tlsearch.data.linking import COMPARED_PX, FindLinks
from tlsearch.data.pixels import ProgressCallback
from tlsearch.data.prepare import PreparedData, prepare_data
from tlsearch.data.sizes import class_sizes
from tlsearch.data.source import ready_parts
from tlsearch.devices import choose_devices, cpu_threads
from tlsearch.disk import writing
from tlsearch.host import PluginHost
from tlsearch.hubs import Hubs
from tlsearch.records import Json, StudyRecord
from tlsearch.runner.beginning import begun_study, definition_of, links_of, stored_as
from tlsearch.runner.chosen import Chosen, choose_backbones, kept_px
from tlsearch.runner.floors import read_floors
from tlsearch.runner.skew import Answer, answer_to_skew
from tlsearch.search.space import SearchSpace
from tlsearch.specs import BackboneSpec, Dataset
from tlsearch.stats.floors import Floor
from tlsearch.store.store import Store
from tlsearch.study import StudyConfig, config_json
from tlsearch.work import WorkerContext

REPEATS = 2  # fold partitions: one to search on, one to confirm on


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where a run keeps its things.

    Args:
        folder: Of the run: results, models and logs.
        cache: Of this user: weights, pixels, features.
        plugins: Plugin files given with `--plugin`.
    """

    folder: Path
    cache: Path
    plugins: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """A study that is ready to run.

    Args:
        config: As in the study file.
        record: As the store knows it.
        space: What may be varied.
        data: Checked and split.
        dataset: As its plugin found it.
        contexts: One a worker.
        floors: What single classes must reach.
    """

    config: StudyConfig
    record: StudyRecord
    space: SearchSpace
    data: PreparedData
    dataset: Dataset
    contexts: tuple[WorkerContext, ...]
    floors: tuple[Floor, ...] = ()


def set_up(
    config: StudyConfig,
    *,
    host: PluginHost,
    store: Store,
    places: Places,
    hubs: Hubs,
    notice: Callable[[str], None],
    progress: ProgressCallback | None = None,
    find_links: FindLinks | None = None,
) -> Setup:
    """Resolve and check all that a study needs, before anything is trained.

    Args:
        config: The study.
        host: With its plugins.
        store: Where the study is, or will be.
        places: Where files are kept.
        hubs: The run's.
        notice: Told what a person must not miss.
        progress: Told what is done with how many pictures of how many.
        find_links: Tells which pictures show one photograph; not asked for a study that has begun, which stays with
            what it began with. None links only equal pixels.

    Raises:
        StudyFileError: Where a floor names a class that the data have not.
        WeightsError: Where weights cannot be had, and the study does not say that they may be left out.
        DataError: Where the data cannot be used.
        StoreError: Where the cache cannot be written.
        StudyChangedError: Where the store knows another study under this name.
    """
    stored = begun_study(store, config.study.name)
    chosen = choose_backbones(config, stored, host=host, cache=places.cache, hubs=hubs)
    if stored is None:
        chosen.say_what_is_missing(notice)
    dataset_cache = places.cache / "datasets" / config.data.source
    dataset = load_dataset(config, host, dataset_cache)
    data = _prepared(config, dataset, stored, kept_px(config, stored, chosen), places, progress, find_links)
    floors = read_floors(config, data.classes)
    used = (*data.development, *data.holdout)
    answer = answer_to_skew(config, class_sizes(data.classes, data.labels, ready_parts(dataset), used))
    if stored is None and answer.said:
        notice(answer.said)
    specs = [host.backbone(name) for name in chosen.backbones]
    space = SearchSpace.build(config, specs, host.heads(), metric=answer.metric, imbalance=answer.imbalance)
    contexts = _worker_contexts(config, space, data, chosen, answer.metric, host, places, dataset_cache)
    # from here on only a changed study is refused: one that cannot run must not be stored
    record = stored_as(store, stored, _as_it_is_now(config, space, data, dataset, chosen, specs, answer))
    return Setup(
        config=config, record=record, space=space, data=data, dataset=dataset, contexts=contexts, floors=floors
    )


def _prepared(
    config: StudyConfig,
    dataset: Dataset,
    stored: StudyRecord | None,
    shorter_px: int,
    places: Places,
    progress: ProgressCallback | None,
    find_links: FindLinks | None,
) -> PreparedData:
    """Pictures checked and split; those of a study that has begun are linked as they were."""
    return prepare_data(
        config.data,
        dataset,
        shorter_px=shorter_px,
        seed=config.study.seed,
        repeats=REPEATS,
        cache_dir=places.cache / "pixels",
        progress=progress,
        find_links=links_of(stored) if stored else find_links,
        also_px=None if stored or find_links is None else COMPARED_PX,
    )


def _as_it_is_now(
    config: StudyConfig,
    space: SearchSpace,
    data: PreparedData,
    dataset: Dataset,
    chosen: Chosen,
    specs: Sequence[BackboneSpec],
    answer: Answer,
) -> StudyRecord:
    """The study as its file, its data and its weights make it today."""
    return StudyRecord(
        name=config.study.name,
        config=config_json(config),
        definition=definition_of(config, space, data, chosen, answer.metric),
        context=_context(config, data, dataset, chosen, specs, answer),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def load_dataset(config: StudyConfig, host: PluginHost, cache: Path) -> Dataset:
    """What a study's dataset plugin finds; `cache` is a folder of its own.

    Raises:
        DataError: Where it finds nothing that can be used.
        StoreError: Where the folder cannot be made.
    """
    spec = host.dataset(config.data.source)
    with writing(cache):
        cache.mkdir(parents=True, exist_ok=True)
    return spec.load(spec.options(**config.data.options), cache)


def _context(
    config: StudyConfig,
    data: PreparedData,
    dataset: Dataset,
    chosen: Chosen,
    specs: Sequence[BackboneSpec],
    answer: Answer,
) -> dict[str, Json]:
    """What reports and exports need to know of the data and the backbones."""
    by_name = {spec.name: spec for spec in specs}
    return {
        "classes": list(data.classes),
        "metric": answer.metric,
        "skew": answer.said,
        "labels": [data.labels[i] for i in data.development],
        "files": [data.files[i] for i in data.development],
        "groups": [data.groups[i] for i in data.development],
        "hashes": [data.store.hashes[i] for i in data.development],
        "holdout_labels": [data.labels[i] for i in data.holdout],
        "holdout_files": [data.files[i] for i in data.holdout],
        "holdout_groups": [data.groups[i] for i in data.holdout],
        "holdout_hashes": [data.store.hashes[i] for i in data.holdout],
        "n_development": len(data.development),
        "n_holdout": len(data.holdout),
        "folds": max(data.folds[0]) + 1,
        "shorter_px": data.store.shorter_px,
        "root": str(dataset.root),
        "source": config.data.source,
        "notes": list(data.notes),
        "license": data.license,
        "findings": data.findings.to_json(),
        "left_out": [dict(missing) for missing in chosen.left_out],
        "backbones": {
            name: {
                **{key: value for key, value in asdict(choice).items() if key not in ("path", "name")},
                "framework": by_name[name].framework,
                "parameters": by_name[name].parameters,
            }
            for name, choice in chosen.backbones.items()
        },
    }


def _worker_contexts(
    config: StudyConfig,
    space: SearchSpace,
    data: PreparedData,
    chosen: Chosen,
    metric: str,
    host: PluginHost,
    places: Places,
    dataset_cache: Path,
) -> tuple[WorkerContext, ...]:
    devices = choose_devices(config.run.devices)
    numbers = {key: number for number, key in enumerate(dict.fromkeys(data.groups))}
    groups = tuple(numbers[data.groups[index]] for index in data.development)
    return tuple(
        WorkerContext(
            study=config.study.name,
            seed=config.study.seed,
            metric=metric,
            classes=data.classes,
            pixels=str(data.store.folder),
            pixels_digest=data.store.digest,
            labels=data.labels,
            development=data.development,
            holdout=data.holdout,
            folds=data.folds,
            backbones=chosen.backbones,
            augments=config.search.augment,
            views=config.data.views,
            unfrozen=tuple(int(depth) for depth in space.dimension("unfrozen").values()),
            device=device,
            threads=max(1, cpu_threads() // len(devices)),
            cache=str(places.cache),
            cache_bytes=int(config.run.cache_gb * 1e9),
            models=str(places.folder / "models"),
            deterministic=config.run.deterministic,
            plugins=tuple(str(file) for file in places.plugins),
            versions=host.versions(),
            dataset={"source": config.data.source, "options": config.data.options, "cache": str(dataset_cache)},
            groups=groups,
        )
        for device in devices
    )
