"""Searching: asks for jobs, one ahead of the workers, and listens until the budget is used up."""

from collections.abc import Callable, Mapping, Sequence

from tlsearch.records import TrialRecord
from tlsearch.runner.budget import alone_at_most, is_foreseen, trials_in_time
from tlsearch.runner.confirming import confirmed
from tlsearch.runner.dispatch import Dispatcher
from tlsearch.runner.floors import Keeping
from tlsearch.runner.jobs import POLL_S
from tlsearch.runner.journal import Journal
from tlsearch.runner.proposals import as_record, first_job
from tlsearch.runner.setup import Setup
from tlsearch.search.jobs import Known, Proposal, SpaceExhausted, next_round
from tlsearch.store.store import Store


class Searching:
    """The search of one run.

    A job is asked for while the one before it trains: the sampler knows all trials but those in flight, which it is
    told as running, and it is not asked before a first start-up trial has ended. So with one worker what is asked for
    follows from the study alone, whether a run was stopped in between or not; with several also from the order in which
    they end. Where the time has an end, a job whose rows nothing foretells has one of them, and none waits behind it.

    Args:
        setup: Of the study.
        store: Holds answers and confirmations.
        journal: Of the run.
        dispatcher: Runs the jobs.
        capacity: How many of them at a time.
        notice: Told why the search ends before its budget.
        trial_ended: Told of duplicates, which end as they are asked for.
    """

    def __init__(
        self,
        setup: Setup,
        *,
        store: Store,
        journal: Journal,
        dispatcher: Dispatcher,
        capacity: int,
        notice: Callable[[str], None],
        trial_ended: Callable[[TrialRecord], None],
    ) -> None:
        self._setup, self._journal, self._dispatcher, self._capacity = setup, journal, dispatcher, capacity
        self._notice, self._trial_ended = notice, trial_ended
        self._keeping = Keeping(setup.floors, store=store, study=setup.record)
        self._scored_again = confirmed(store, setup.record.name)  # by earlier runs: this one confirms after its search
        self._alone_at_most = alone_at_most(context.device for context in setup.contexts)
        self._known = Known()
        self._asked_in_vain_with: tuple[int, int] | None = None  # so many in flight and ended: the same answer again

    def until_used_up(self, probe_scores: Mapping[str, float]) -> str:
        """Ask, dispatch and listen; returns why it ended: "trials", "time" or "exhausted"."""
        why = ""
        while True:
            if not why and self._dispatcher.room > 0 and self._in_flight_and_ended != self._asked_in_vain_with:
                why = self._ask(probe_scores)
            else:
                if not self._dispatcher.jobs:
                    break
                self._dispatcher.hear(POLL_S)
        if why == "time":  # told once all that were in work have ended, and count
            self._notice(self._out_of_time(self._dispatcher.ledger.trials))
        return why

    @property
    def _in_flight_and_ended(self) -> tuple[int, int]:
        """How many jobs are in flight, and how many trials have ended: what an answer depends on."""
        return len(self._dispatcher.jobs), sum(record.state.ended for record in self._dispatcher.ledger.trials)

    def _ask(self, probe_scores: Mapping[str, float]) -> str:
        """Ask for what workers can take; returns why there will be no more, or ""."""
        history = self._dispatcher.ledger.trials
        room = self._room(history)
        if room < 1 and self._dispatcher.a_worker_is_free:
            return "time"
        found = next_round(
            self._setup.space,
            history,
            config=self._setup.config,
            probe_scores=probe_scores,
            room=room,
            workers=self._capacity,
            missed=self._keeping.missed(history),
            known=self._known,
        )
        if isinstance(found, SpaceExhausted):
            self._notice(f"nothing new is left to try: {found.duplicates} proposals in a row were known")
            return "exhausted"
        self._asked_in_vain_with = None if found else self._in_flight_and_ended
        if not found:
            return "" if self._dispatcher.jobs else "trials"
        job = first_job(found)
        timed = self._setup.config.study.budget.time_s is not None
        self._take_up(job[:1] if timed and not is_foreseen(job[0].recipe, history) else job, history)
        return ""

    def _room(self, history: Sequence[TrialRecord]) -> int:
        """How many trials the time allows besides those in flight; more than any budget where it has no end."""
        budget = self._setup.config.study.budget
        unlimited = budget.trials + len(self._setup.config.baselines)
        if budget.time_s is None:
            return unlimited
        in_time = trials_in_time(
            history,
            competing=self._keeping.admitted(history),
            scored_again=self._scored_again,
            side_by_side=self._dispatcher.ledger.side_by_side,
            at_most=self._alone_at_most,
            left_s=budget.time_s - self._journal.used_seconds,
            truth=self._setup.dataset.fresh is not None,
        )
        if not self._dispatcher.a_worker_is_free:  # a worker has its share of what is in flight before it
            in_flight = [row.recipe for job in self._dispatcher.jobs.values() for row in job.rows]
            if not all(is_foreseen(recipe, history) for recipe in in_flight):  # what is queued is not recalled
                return 0
            in_time -= len(in_flight) / self._capacity
        return int(min(in_time, unlimited))

    def _out_of_time(self, history: Sequence[TrialRecord]) -> str:
        budget, counted = self._setup.config.study.budget, sum(record.counted for record in history)
        return (
            f"the search ends after {counted} of {budget.trials} trials, {self._journal.used_seconds:.0f} s of "
            f"{budget.time_s:g} s: the rest is for confirming the best and for the final fit"
        )

    def _take_up(self, proposals: Sequence[Proposal], history: Sequence[TrialRecord]) -> None:
        """Store a job's proposals as trials, and dispatch it; duplicates have ended already."""
        asked = [as_record(len(history) + place, proposal, history) for place, proposal in enumerate(proposals)]
        job = [record for record in asked if not record.state.ended]
        self._dispatcher.ledger.add(asked, [record.number for record in job])
        for record in asked:
            if record.state.ended:
                self._trial_ended(record)
        if job:
            self._dispatcher.dispatch(job)
