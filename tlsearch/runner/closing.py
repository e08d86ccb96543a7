"""Closes a search: the top is confirmed; once one is chosen, its final model is fitted and held to the truth."""

import json
from collections.abc import Callable
from pathlib import Path

from tlsearch.errors import TlsearchError
from tlsearch.final_files import is_sound
from tlsearch.records import FailureReason, TrialKind, TrialRecord, TrialState
from tlsearch.runner.choosing import top_trials
from tlsearch.runner.confirming import CONFIRMING_REPEAT, confirmed, to_confirm
from tlsearch.runner.dispatch import Dispatcher
from tlsearch.runner.floors import Keeping
from tlsearch.runner.jobs import job_id
from tlsearch.runner.journal import Journal
from tlsearch.runner.setup import Setup
from tlsearch.search import importance
from tlsearch.store.store import Store
from tlsearch.training.recipe import Recipe
from tlsearch.work import Job, JobKind, Row, RowResult

TRUTH_PICTURES = 5_000
TRUTH_SEED = 1  # of the stream of fresh pictures; the dataset itself is seed 0 or another stream


class Closing:
    """The last part of a run.

    Args:
        setup: Of the study.
        store: Its truth.
        journal: Of the run.
        dispatcher: Runs the jobs.
        notice: Told what could not be confirmed.
    """

    def __init__(
        self,
        setup: Setup,
        *,
        store: Store,
        journal: Journal,
        dispatcher: Dispatcher,
        notice: Callable[[str], None],
    ) -> None:
        self._setup = setup
        self._study = setup.record.name
        self._store, self._journal, self._dispatcher, self._notice = store, journal, dispatcher, notice

    def confirm(self) -> None:
        """Score the best and the baselines again; what was confirmed before is not repeated.

        What fails is told, and tried again by the next run.

        Raises:
            NothingCompletedError: Where there is nothing to confirm.
        """
        records = self._store.trials(self._study)
        competing = Keeping(self._setup.floors, store=self._store, study=self._setup.record).admitted(records)
        top_trials(competing)
        known = confirmed(self._store, self._study)
        for record in to_confirm(records, competing):
            if record.number not in known:
                self._confirm(record)

    def _confirm(self, record: TrialRecord) -> None:
        number = record.number
        row = Row(trial=number, attempt=1, recipe=Recipe.from_json(record.recipe), seed_key=number)
        job = Job(
            id=job_id("confirm", number),
            kind=JobKind.CONFIRM,
            rows=(row,),
            repeat=CONFIRMING_REPEAT,
            timeout_s=self._setup.config.run.trial_timeout_s,
        )
        result = self._dispatcher.run(job)
        self._store.record(self._study, [result])
        self._journal.event("confirmed", trial=number, score=result.score, state=result.state)
        if result.score is None:
            self._notice(_not_confirmed(record, result))

    def fit_final(self, record: TrialRecord, temperature: float) -> Path:
        """Fit the chosen configuration on all development images; a sound earlier fit of it is kept.

        Args:
            record: The chosen trial.
            temperature: To divide the final model's logits by; with another one it is another model.
        """
        recipe = Recipe.from_json(record.recipe)
        wanted = (recipe.digest(), temperature)
        for event in reversed(self._store.events(self._study, ["final_fitted"])):
            found = (event.data["recipe"], event.data.get("temperature", 1.0))
            if found == wanted and is_sound(Path(event.data["folder"])):
                return Path(event.data["folder"])
        row = Row(trial=record.number, attempt=1, recipe=recipe, seed_key=record.number)
        options = {"temperature": temperature}
        result = self._dispatcher.run(
            Job(id=job_id("final", record.number), kind=JobKind.FINAL, rows=(row,), options=options)
        )
        if result.state is not TrialState.COMPLETED:
            raise TlsearchError(f"the final model could not be fitted: {result.detail}")
        folder = str(result.extras["folder"])
        told = {"trial": record.number, "folder": folder, "recipe": recipe.digest(), "temperature": temperature}
        self._journal.event("final_fitted", **told, cached_difference=result.extras["cached_difference"])
        return Path(folder)

    def score_truth(self, record: TrialRecord, folder: Path) -> None:
        """Score the final model on fresh pictures, where the dataset can draw them."""
        known = self._store.events(self._study, ["truth_scored"])
        if self._setup.dataset.fresh is None or any(event.data["folder"] == str(folder) for event in known):
            return
        row = Row(trial=record.number, attempt=1, recipe=Recipe.from_json(record.recipe))
        options = {"folder": str(folder), "n": TRUTH_PICTURES, "seed": TRUTH_SEED}
        result = self._dispatcher.run(
            Job(id=job_id("truth", record.number), kind=JobKind.TRUTH, rows=(row,), options=options)
        )
        if result.state is not TrialState.COMPLETED:
            raise TlsearchError(f"the final model could not be scored on fresh pictures: {result.detail}")
        self._journal.event("truth_scored", trial=record.number, folder=str(folder), **result.extras)

    def keep_importance(self) -> None:
        """Compute which parameters mattered, for reports to read."""
        shares = importance.parameter_importance(self._setup.space, self._store.trials(self._study))
        self._store.put_file(self._study, "importance", json.dumps(shares).encode())


def _not_confirmed(record: TrialRecord, result: RowResult) -> str:
    """What a person must know of a configuration that could not be scored again."""
    if record.kind is TrialKind.BASELINE:
        who, so = f"baseline '{record.name}'", "a gain over it is less sure"
    else:
        who, so = f"trial {record.number}, one of the best,", "another may be named best in its place"
    longer = ", and a larger run.trial_timeout gives it more time" if result.reason is FailureReason.TIMEOUT else ""
    why = f"could not be scored again with other folds and seeds ({result.detail})"
    return f"{who} {why}, so {so}; the same command tries it once more{longer}"
