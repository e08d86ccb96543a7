"""Prepares a search: caches what the networks see in every picture, and has linear probes tell how well they see it."""

from tlsearch.errors import TlsearchError
from tlsearch.host import PluginHost
from tlsearch.records import TrialState
from tlsearch.runner.dispatch import Dispatcher
from tlsearch.runner.jobs import job_id
from tlsearch.runner.journal import Journal
from tlsearch.runner.live import Live
from tlsearch.runner.setup import Setup
from tlsearch.store.store import Store
from tlsearch.text import slug
from tlsearch.training.recipe import LINEAR, Recipe, probe_recipe
from tlsearch.work import Job, JobKind, Row


class Preparing:
    """Keeps what it did as the events "cache" and "prepared"; what an earlier run prepared is not done again.

    Args:
        setup: Of the study.
        host: Knows the head of a probe.
        store: Its truth.
        journal: Of the run.
        dispatcher: Runs the jobs.
        live: Told what the cache did.
    """

    def __init__(
        self, setup: Setup, *, host: PluginHost, store: Store, journal: Journal, dispatcher: Dispatcher, live: Live
    ) -> None:
        self._setup, self._host, self._store = setup, host, store
        self._journal, self._dispatcher, self._live = journal, dispatcher, live

    def probe_scores(self) -> dict[str, float]:
        """Cache every backbone's features, and return the score of the best linear probe on each.

        Raises:
            TlsearchError: Where a backbone cannot be used.
        """
        study = self._setup.record
        known = self._store.events(study.name, ["prepared"])
        scores = {event.data["backbone"]: float(event.data["score"]) for event in known}
        for name in study.context["backbones"]:
            if name not in scores:
                scores[name] = self._prepared(name)
        return scores

    def _prepared(self, backbone: str) -> float:
        linear = self._host.head(LINEAR)
        probe = probe_recipe(Recipe(backbone=backbone, head=linear.name, phases=()), linear.learning_rate)
        rows = (Row(trial=-1, attempt=1, recipe=probe),)
        result = self._dispatcher.run(Job(id=job_id("prepare", slug(backbone)), kind=JobKind.PREPARE, rows=rows))
        if result.state is not TrialState.COMPLETED or result.score is None:
            raise TlsearchError(f"backbone '{backbone}' cannot be used: {result.detail}")
        self._live.cached(result.extras["cache"])
        if result.extras["cache"]["note"]:
            self._live.notice(f"{backbone} runs more slowly than it might: {result.extras['cache']['note']}")
        self._journal.event("cache", backbone=backbone, **result.extras["cache"])
        self._journal.event("prepared", backbone=backbone, score=result.score, probes=result.extras["probes"])
        return result.score
