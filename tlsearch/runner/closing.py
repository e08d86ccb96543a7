"""Closes a search: the top is confirmed; once one is chosen, its final model is fitted and held to the truth."""

import json
from pathlib import Path

from tlsearch.errors import TlsearchError
from tlsearch.final_files import is_sound
from tlsearch.records import TrialRecord, TrialState
from tlsearch.runner.choosing import CONFIRMING_REPEAT, top_trials
from tlsearch.runner.dispatch import Dispatcher, job_id
from tlsearch.runner.floors import Keeping
from tlsearch.runner.journal import Journal
from tlsearch.runner.setup import Setup
from tlsearch.search.importance import parameter_importance
from tlsearch.store.store import Store
from tlsearch.training.recipe import Recipe
from tlsearch.work import Job, JobKind, Row

TRUTH_PICTURES = 5_000
TRUTH_SEED = 1  # of the stream of fresh pictures; the dataset itself is seed 0 or another stream


class Closing:
    """The last part of a run.

    Args:
        setup: Of the study.
        store: Its truth.
        journal: Of the run.
        dispatcher: Runs the jobs.
    """

    def __init__(self, setup: Setup, *, store: Store, journal: Journal, dispatcher: Dispatcher) -> None:
        self._setup = setup
        self._study = setup.record.name
        self._store, self._journal, self._dispatcher = store, journal, dispatcher

    def confirm(self) -> None:
        """Score the top again, with other folds and seeds; what was confirmed before is not repeated."""
        known = {c.trial for c in self._store.confirmations(self._study) if c.repeat == CONFIRMING_REPEAT}
        keeping = Keeping(self._setup.floors, store=self._store, study=self._setup.record)
        for record in top_trials(keeping.admitted(self._store.trials(self._study))):
            if record.number not in known:
                row = Row(
                    trial=record.number,
                    attempt=1,
                    recipe=Recipe.from_json(record.recipe),
                    seed_key=record.number,
                )
                job = Job(
                    id=job_id("confirm", record.number),
                    kind=JobKind.CONFIRM,
                    rows=(row,),
                    repeat=CONFIRMING_REPEAT,
                    timeout_s=self._setup.config.run.trial_timeout_s,
                )
                result = self._dispatcher.run(job)
                self._store.record(self._study, [result])
                self._journal.event("confirmed", trial=record.number, score=result.score, state=result.state)

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
        shares = parameter_importance(self._setup.space, self._store.trials(self._study))
        self._store.put_file(self._study, "importance", json.dumps(shares).encode())
