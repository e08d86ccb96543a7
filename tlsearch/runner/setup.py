"""Sets a study up: weights in reach, data checked and split, the space; refuses another study under the same name."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from tlsearch.data.linking import COMPARED_PX, FindLinks, recorded_links
from tlsearch.data.pixels import ProgressCallback
from tlsearch.data.prepare import PreparedData, prepare_data
from tlsearch.data.sizes import class_sizes
from tlsearch.data.source import ready_parts
from tlsearch.devices import choose_devices, cpu_threads
from tlsearch.disk import writing
from tlsearch.errors import StudyChangedError
from tlsearch.host import PluginHost
from tlsearch.hubs import Hubs
from tlsearch.records import Json, StudyRecord
from tlsearch.runner.chosen import Chosen, choose_backbones, kept_px
from tlsearch.runner.floors import read_floors
from tlsearch.runner.skew import Answer, answer_to_skew
from tlsearch.search.space import SearchSpace
from tlsearch.specs import BackboneSpec, Dataset
from tlsearch.stats.floors import Floor
from tlsearch.store.store import Store
from tlsearch.study import StudyConfig, config_json, differences
from tlsearch.work import WorkerContext

REPEATS = 2  # fold partitions: one to search on, one to confirm on
ALSO_FIXED = (("search", "sampler"), ("data", "views"))  # no hash tells of these; the stored study file does


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
    stored = _begun(store, config.study.name)
    chosen = choose_backbones(config, stored, host=host, cache=places.cache, hubs=hubs)
    if stored is None:
        for missing in chosen.left_out:
            notice(f"left out: backbone '{missing['name']}': {missing['why']}")
    dataset_cache = places.cache / "datasets" / config.data.source
    dataset = load_dataset(config, host, dataset_cache)
    data = prepare_data(
        config.data,
        dataset,
        shorter_px=kept_px(config, stored, chosen),
        seed=config.study.seed,
        repeats=REPEATS,
        cache_dir=places.cache / "pixels",
        progress=progress,
        find_links=_links_of(stored) if stored else find_links,
        also_px=None if stored or find_links is None else COMPARED_PX,
    )
    floors = read_floors(config, data.classes)
    used = (*data.development, *data.holdout)
    answer = answer_to_skew(config, class_sizes(data.classes, data.labels, ready_parts(dataset), used))
    if stored is None and answer.said:
        notice(answer.said)
    specs = [host.backbone(name) for name in chosen.backbones]
    space = SearchSpace.build(config, specs, host.heads(), metric=answer.metric, imbalance=answer.imbalance)
    record = StudyRecord(
        name=config.study.name,
        config=config_json(config),
        definition=_definition(config, space, data, chosen, answer.metric),
        context=_context(config, data, dataset, chosen, specs, answer),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    contexts = _worker_contexts(config, space, data, chosen, answer.metric, host, places, dataset_cache)
    # from here on only a changed study is refused: one that cannot run must not be stored
    record = _stored(store, stored, record)
    return Setup(
        config=config, record=record, space=space, data=data, dataset=dataset, contexts=contexts, floors=floors
    )


def _begun(store: Store, study: str) -> StudyRecord | None:
    """The stored study; None where it has no trial yet, so that everything about it may still change."""
    return store.study(study) if store.has_trials(study) else None


def _links_of(begun: StudyRecord) -> FindLinks:
    """The links that a study began with, whatever would be found now; without pictures that are no longer there."""
    links = recorded_links(begun.context["findings"])
    return lambda store, _, indices: links.among({store.hashes[index] for index in indices})


def _stored(store: Store, begun: StudyRecord | None, now: StudyRecord) -> StudyRecord:
    """The study as the store knows it from now on; refuses what may not change once it has begun."""
    if begun is None:
        former = store.study(now.name)
        if former is None or former.definition != now.definition:
            store.define_study(now)
        else:  # stopped before its first trial: what was prepared still holds
            store.update_study(now.name, config=now.config, context=now.context)
        return now
    _refuse_change(begun, now)
    context = {**begun.context, "root": now.context["root"]}  # the same pictures may lie elsewhere now
    store.update_study(now.name, config=now.config, context=context)
    return replace(begun, config=now.config, context=context)


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


def _digest(value: Json) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def _definition(
    config: StudyConfig, space: SearchSpace, data: PreparedData, chosen: Chosen, metric: str
) -> dict[str, str]:
    """Hashes of what may not change between runs of a study."""
    backbones = {name: [c.digest, c.image_px, c.variant, c.preprocessing] for name, c in chosen.backbones.items()}
    split = [data.store.digest, data.labels, data.development, data.holdout, data.folds]
    return {
        "search space": space.digest(),
        "data": _digest([config.data.source, list(data.files), list(data.store.hashes), split]),
        "metric": metric,
        "seed": str(config.study.seed),
        "backbones": _digest(backbones),
        **({"floors": _digest(floors)} if (floors := config.constraints.model_dump(exclude_defaults=True)) else {}),
    }


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


def _refuse_change(stored: StudyRecord, now: StudyRecord) -> None:
    """Raise where a stored study is not this one: its space, data, metric, seed or weights are others."""
    before, after = stored.definition, now.definition
    changed = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    changed += [key for table, key in ALSO_FIXED if stored.config[table][key] != now.config[table][key]]
    if changed:
        told = differences(stored.config, now.config)
        raise StudyChangedError(now.name, told or [f"the {name} changed" for name in changed])


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
