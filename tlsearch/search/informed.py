"""Informed: one of Optuna's samplers with the trials that it was told of."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Literal

import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, PartialFixedSampler, RandomSampler, TPESampler
from optuna.storages import InMemoryStorage
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial

from tlsearch.search.space import SearchSpace
from tlsearch.search.telling import ToldTrial
from tlsearch.space import ParamValue

SamplerName = Literal["tpe", "random"]


class Informed:
    """A sampler and its trials: those that it began with, those that it hears of, and its own answers.

    Args:
        trials: In the order of their numbers.
        sampler: By its name in a study file.
        seed: Equal seeds and trials give equal answers.
    """

    def __init__(self, trials: Sequence[ToldTrial], *, sampler: SamplerName, seed: int) -> None:
        self._sampler: BaseSampler = TPE(trials, seed=seed) if sampler == "tpe" else RandomSampler(seed=seed)
        self._given: Mapping[str, ParamValue] = {}
        self._storage = InMemoryStorage()
        with quiet():
            self._id = self._storage.create_new_study([StudyDirection.MAXIMIZE])
            name = self._storage.get_study_name_from_id(self._id)
            self._study = optuna.load_study(study_name=name, storage=self._storage, sampler=self._sampler)
        for trial in trials:
            self.hear(trial)

    def hear(self, trial: ToldTrial) -> None:
        """Take up a trial; not by `add_trial`, which looks once more whether each value lies in its range."""
        self._storage.create_new_trial(self._id, template_trial=trial)

    def ask(self, space: SearchSpace, given: Mapping[str, ParamValue]) -> dict[str, ParamValue]:
        """Choose values for every searched dimension that counts; some of them are given."""
        with quiet():
            if given != self._given:
                self._study.sampler = PartialFixedSampler(dict(given), self._sampler) if given else self._sampler
                self._given = given
            return space.suggest(self._study.ask())


class TPE(TPESampler):
    """Optuna's TPE, with one density over the parameters that all its trials have, for they are known beforehand.

    Optuna finds them by comparing every range of every trial, once a study: a quarter of a short round.
    """

    def __init__(self, trials: Sequence[ToldTrial], *, seed: int) -> None:
        super().__init__(seed=seed)
        ended = [trial.distributions for trial in trials if trial.state.is_finished()]
        shared = set.intersection(*map(set, ended)) if ended else set()
        self._shared = {name: ended[0][name] for name in sorted(shared)}

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """The parameters of the one density, by name."""
        return dict(self._shared)


@contextmanager
def quiet() -> Iterator[None]:
    """Work without Optuna's log lines and its notice that fixing values is experimental."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)
