"""Breaker: stops a run whose trials fail one after another, for something else is wrong then."""

from tlsearch.errors import BreakerError
from tlsearch.records import TrialRecord, TrialState

FAILURES_AT_THE_START = 5  # in a row: the run stops itself
FAILURES_JUDGED = 10  # from so many trials on, more failures than half stop it


class Breaker:
    """Counts how the trials of this run ended. Earlier runs don't count: their cause may have been mended."""

    def __init__(self) -> None:
        self._ended = self._failed = 0
        self._last: TrialRecord | None = None  # that failed

    def count(self, record: TrialRecord) -> None:
        """A trial ended that somebody trained."""
        self._ended += 1
        if record.state is TrialState.FAILED:
            self._failed += 1
            self._last = record

    def break_if_hopeless(self) -> None:
        """Say so where it is no use to go on.

        Raises:
            BreakerError: With the newest failure.
        """
        at_once = self._failed == self._ended >= FAILURES_AT_THE_START
        mostly = self._ended >= FAILURES_JUDGED and self._failed * 2 > self._ended
        if self._last is not None and (at_once or mostly):
            why = f"{self._last.reason}: {self._last.detail}"
            raise BreakerError(
                f"{self._failed} of {self._ended} trials failed; the last one: {why}",
                hint="mend the cause, and run the same command again",
            )
