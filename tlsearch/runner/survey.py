"""Surveys pictures before a study is made of them: every fault at once, what is odd, wrong labels, and the amount."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from tlsearch.data.linking import FindLinks
from tlsearch.data.pixels import ProgressCallback
from tlsearch.devices import choose_devices, cpu_threads
from tlsearch.errors import StudyFileError
from tlsearch.execution.executor import Executor
from tlsearch.host import PluginHost
from tlsearch.hubs import Hubs
from tlsearch.records import Json, TrialState
from tlsearch.report.found import in_groups
from tlsearch.report.survey import DataFault, Survey
from tlsearch.runner.checking import check_job, named
from tlsearch.runner.chosen import Chosen, choose_backbones, kept_px
from tlsearch.runner.errand import run_errand
from tlsearch.runner.floors import read_floors
from tlsearch.runner.looking import Looked, look_at
from tlsearch.runner.setup import Places, load_dataset
from tlsearch.runner.skew import answer_to_skew
from tlsearch.study import StudyConfig
from tlsearch.work import Progress, WorkerContext


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
    chosen.say_what_is_missing(notice)
    dataset = load_dataset(config, host, places.cache / "datasets" / config.data.source)
    shorter_px = kept_px(config, None, chosen)
    looked = look_at(
        config.data,
        dataset,
        shorter_px=shorter_px,
        cache_dir=places.cache / "pixels",
        seed=config.study.seed,
        progress=decoding,
        find_links=find_links,
    )
    answer = answer_to_skew(config, looked.sizes) if min(looked.sizes.values()) else None
    metric = answer.metric if answer else "accuracy"
    checked, unchecked = None, _too_little(looked)
    if not unchecked:
        context = check_context(config, looked, chosen, metric, host, places)
        checked, unchecked = _checked(context, looked, host, make_executor, working)
    return Survey(
        root=dataset.root,
        metric=metric,
        per_class=looked.per_class(),
        skew=answer.said if answer else "",
        findings=looked.findings,
        notes=looked.notes,
        faults=(*looked.faults, *_floors_of_no_class(config, looked.classes)),
        check=checked,
        unchecked=unchecked,
        grouped=in_groups([looked.keys[index] for index in looked.readable]),
    )


def _floors_of_no_class(config: StudyConfig, classes: Sequence[str]) -> list[DataFault]:
    try:
        read_floors(config, classes)
    except StudyFileError as error:
        return [DataFault(message=f"{fault.place}: {fault.message}", hint="") for fault in error.faults]
    return []


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
