"""A whole study, from its file to its final model: `from tlsearch.runner import run_study`."""

from tlsearch.runner.setup import Places
from tlsearch.runner.story import Observer, Outcome, run_study

__all__ = ["Observer", "Outcome", "Places", "run_study"]
