"""How `tlsearch data check` looks at pictures: as a study, with a line that says what is in work."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.text import Text

from tlsearch.cli.output import err, line
from tlsearch.cli.studies import find_study
from tlsearch.devices import choose_devices
from tlsearch.errors import StoreError, UnknownNameError
from tlsearch.execution.local import LocalExecutor
from tlsearch.execution.pool import WorkerPool
from tlsearch.host import PluginHost
from tlsearch.hubs import Hubs
from tlsearch.paths import DATABASE, cache_root
from tlsearch.report.survey import Survey
from tlsearch.report.text import number
from tlsearch.runner import Places
from tlsearch.runner.linking import REFERENCE, LinkFinder
from tlsearch.runner.survey import survey
from tlsearch.runner.warming import warm_up_of
from tlsearch.store.reading import StoreReader
from tlsearch.study import StudyConfig, check_study, config_from_json, load_study
from tlsearch.text import safe, toml_text
from tlsearch.work import Progress, WorkerContext


def look(place: str, plugins: tuple[Path, ...]) -> Survey:
    """What is found in pictures.

    Args:
        place: A folder, a study file or a stored study, as the command line names it.
        plugins: Files to load as well.
    """
    host = PluginHost.load(files=plugins)
    config = _study(place, host)
    with TemporaryDirectory(prefix="tlsearch-") as folder:
        return _survey(config, host, Places(folder=Path(folder), cache=cache_root(), plugins=plugins))


def _study(place: str, host: PluginHost) -> StudyConfig:
    """The study that is named; of a folder of photos, one that looks at it with a network that is always there."""
    path = Path(place)
    if place.endswith(".toml"):
        return load_study(path, host=host)
    if path.is_dir() and not (path / DATABASE).is_file():
        raw = {
            "study": {"name": path.resolve().name or "photos"},
            "data": {"source": "folder", "path": place},
            "backbones": [{"name": REFERENCE}],
            "search": {"augment": ["none", "flip"]},
        }
        return check_study(raw, place, host)
    return _stored(path, place)


def _stored(path: Path, place: str) -> StudyConfig:
    database = path / DATABASE
    try:
        found = find_study(None, f"sqlite:///{database}") if database.is_file() else find_study(place)
    except UnknownNameError as error:
        if path.is_file():
            raise UnknownNameError(f"{safe(place)} is no folder and no study file", hint=_of_a_file(place)) from None
        raise UnknownNameError(f"{safe(place)} is no folder, and {error.message}", hint=error.hint) from None
    with StoreReader.open(found.store) as opened:
        record = opened.study(found.name)
    if record is None:
        raise StoreError(f"the store has no study '{found.name}'")
    return config_from_json(record.config)


def _of_a_file(place: str) -> str:
    """How photos that a file lists can be checked."""
    return f'photos that a table lists have a study file, with data.source = "table" and data.path = {toml_text(place)}'


def _survey(config: StudyConfig, host: PluginHost, places: Places) -> Survey:
    """The survey, with a line on the terminal that says what is in work."""

    logs = places.cache / "logs"  # an error names them, when the run's folder is gone
    pool = WorkerPool(logs)

    def workers(contexts: Sequence[WorkerContext]) -> LocalExecutor:
        return LocalExecutor(contexts, results=places.folder / "results", logs=logs, pool=pool)

    console = err()
    device = choose_devices(config.run.devices)[0]
    with pool, console.status(Text("looking for pictures")) as status:
        pool.warm_up(warm_up_of(config, host=host, devices=[device]))

        def shown(text: str, done: int, total: int) -> None:
            status.update(line(f"{text}: {number(done)} of {number(total)}" if total > 1 else text))

        def working(progress: Progress) -> None:
            shown(progress.text, progress.done, progress.total)

        def note(text: str) -> None:
            console.print(line(("note: ", "bold"), text), soft_wrap=True)

        hubs = Hubs(notice=note)
        links = LinkFinder(
            host=host,
            hubs=hubs,
            cache=places.cache,
            plugins=places.plugins,
            device=device,
            make_executor=workers,
            progress=shown,
        )
        return survey(
            config,
            host=host,
            places=places,
            hubs=hubs,
            make_executor=workers,
            notice=note,
            find_links=links,
            decoding=shown,
            working=working,
        )
