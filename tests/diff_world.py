"""Stores with one finished study each, whose trials answered about pictures that are known by their hashes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tlsearch.records import ModelFacts, StudyRecord, TrialKind, TrialRecord, TrialState
from tlsearch.report.contender import Contender, load_contender
from tlsearch.stats import score
from tlsearch.store.reading import StoreReader
from tlsearch.store.store import Store
from tlsearch.training.recipe import Phase, Recipe
from tlsearch.work import JobKind, RowResult

CLASSES = ("ada", "bruno", "chidi")
FACTS = ModelFacts(
    unfrozen=0, stages=19, cut="features.18", parameters=10, trained_parameters=5, macs=100, trained_macs=5
)


def answers(truth: Sequence[str], classes: Sequence[str], wrong: Mapping[int, str] | None = None) -> np.ndarray:
    """Log-probabilities `(n, C)`: 0.8 for the true class; of the pictures in `wrong`, for another."""
    said = [classes.index((wrong or {}).get(i, name)) for i, name in enumerate(truth)]
    probabilities = np.full((len(truth), len(classes)), 0.2 / (len(classes) - 1))
    probabilities[np.arange(len(truth)), said] = 0.8
    return np.log(probabilities).astype(np.float32)


@dataclass(kw_only=True)
class World:
    """A study to be: by default 120 pictures in turn of three classes, and two trials that are always right."""

    name: str = "celebs"
    classes: tuple[str, ...] = CLASSES
    pictures: Sequence[str] = tuple(f"sha-{i}" for i in range(120))
    truth: Sequence[str] = tuple(CLASSES[i % 3] for i in range(120))
    metric: str = "accuracy"
    groups: Sequence[str] | None = None
    trials: list[np.ndarray] = field(default_factory=list)  # repeat 0, trial by trial
    again: dict[int, np.ndarray] = field(default_factory=dict)  # repeat 1, by trial
    chosen: int | None = 0
    told: tuple[int, ...] = ()  # trials that ended after the choice
    with_hashes: bool = True
    ended: bool = True

    def stored(self, folder: Path) -> Path:
        """Write it into a store in a run's folder, and return the folder."""
        folder.mkdir(parents=True)
        labels = [self.classes.index(name) for name in self.truth]
        scored = self.trials or [answers(self.truth, self.classes)] * 2
        with Store.open(f"sqlite:///{folder}/study.db") as store:
            store.define_study(self._record(labels))
            store.add_trials(self.name, [self._trial(number) for number in range(len(scored))])
            store.start_attempts(self.name, "j1", [(number, 1) for number in range(len(scored))])
            if self.ended:
                store.record(self.name, [self._result(n, one, labels, JobKind.TRIALS) for n, one in enumerate(scored)])
            store.record(self.name, [self._result(n, one, labels, JobKind.CONFIRM) for n, one in self.again.items()])
            if self.chosen is not None:
                store.add_event(self.name, "chosen", {"trial": self.chosen, "indistinguishable": []})
            for trial in self.told:
                store.add_event(self.name, "told", {"trial": trial})
        return folder

    def contender(self, folder: Path, trial: int | None = None) -> Contender:
        with StoreReader.open(f"sqlite:///{self.stored(folder)}/study.db") as store:
            return load_contender(store, self.name, trial)

    def _record(self, labels: list[int]) -> StudyRecord:
        context = {
            "classes": list(self.classes),
            "labels": labels,
            "files": [f"{self.name}/{name}.png" for name in self.pictures],
            "metric": self.metric,
            "groups": list(self.groups) if self.groups else list(self.pictures),
            "backbones": {"mobilenet_v2": {"source": "imagenet"}},
        }
        if self.with_hashes:
            context["hashes"] = list(self.pictures)
        created = "2026-11-22T17:00:00+00:00"
        return StudyRecord(name=self.name, config={}, definition={}, context=context, created=created)

    def _trial(self, number: int) -> TrialRecord:
        recipe = Recipe(backbone="mobilenet_v2", head="mlp", phases=(Phase(epochs=3),))
        return TrialRecord(
            number=number, kind=TrialKind.SEARCH, state=TrialState.WAITING, params={}, recipe=recipe.to_json()
        )

    def _result(self, trial: int, log_probs: np.ndarray, labels: list[int], kind: JobKind) -> RowResult:
        return RowResult(
            job="j1",
            kind=kind,
            trial=trial,
            attempt=1,
            repeat=int(kind is JobKind.CONFIRM),
            state=TrialState.COMPLETED,
            score=score(self.metric, log_probs, labels),
            log_probs=log_probs,
            facts=FACTS,
        )
