"""The last whole round that a study of so many trials asks its sampler for, to be timed again and again."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tlsearch.host import PluginHost
from tlsearch.records import TrialKind, TrialRecord, TrialState
from tlsearch.search import SearchSpace
from tlsearch.search.jobs import Known, Proposal, next_round
from tlsearch.study import StudyConfig, load_study

STUDY = Path(__file__).parents[1] / "studies" / "celebs.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A round: how many trials it asked for, and the milliseconds that it took."""

    rows: int
    took_ms: float

    @property
    def each_ms(self) -> float:
        """Of one trial."""
        return self.took_ms / self.rows


class Searched:
    """The space of studies/celebs.toml, and a study of head-only trials in it.

    Args:
        trials: Its budget.
    """

    def __init__(self, trials: int) -> None:
        host = PluginHost.load()
        budget = (f"study.budget.trials={trials}", "search.unfrozen=0")  # rows of a job are heads
        config: StudyConfig = load_study(STUDY, overrides=budget, host=host)
        backbones = [host.backbone(table.name) for table in config.backbones]
        heads = {name: host.head(name) for name in config.search.heads}
        self._space = SearchSpace.build(config, backbones, heads, metric="accuracy")
        self._config, self._trials, self._known = config.model_copy(update={"baselines": []}), trials, Known()

    def ask(self, history: Sequence[TrialRecord]) -> list[Proposal]:
        """One round."""
        found = next_round(
            self._space, history, config=self._config, probe_scores={}, room=self._trials, known=self._known
        )
        assert isinstance(found, list)
        return found

    def before_the_last_round(self) -> list[TrialRecord]:
        """Trials that ended, as such a study asks for them, up to its last round of full size; scores are drawn."""
        rng = np.random.default_rng(0)
        found: list[TrialRecord] = []
        before, largest = found, 0
        while proposals := self.ask(found):
            if proposals[0].kind is TrialKind.SEARCH and len(proposals) >= largest:
                before, largest = found, len(proposals)
            found = [*found, *(_ended(one, len(found) + n, rng) for n, one in enumerate(proposals))]
        return before


def _ended(proposal: Proposal, number: int, rng: np.random.Generator) -> TrialRecord:
    return TrialRecord(
        number=number,
        kind=proposal.kind,
        state=TrialState.COMPLETED,
        params=proposal.params,
        recipe=proposal.recipe.to_json(),
        score=float(rng.normal()),
        duplicate_of=proposal.duplicate_of,
    )


def ask_last(searched: Searched, history: Sequence[TrialRecord]) -> Asked:
    """Time the last round of a study.

    Args:
        searched: The study.
        history: What it has `before_the_last_round`.
    """
    searched.ask(history)  # what is known of a trial for good is known by now
    began = time.perf_counter()
    found = searched.ask(history)
    return Asked(rows=len(found), took_ms=(time.perf_counter() - began) * 1e3)
