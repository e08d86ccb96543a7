"""A whole study, from its file to its final model: `from tlsearch.runner import run_study`."""

from tlsearch.runner.live import Observer
from tlsearch.runner.setup import Places
from tlsearch.runner.story import Outcome, run_study

__all__ = ["Observer", "Outcome", "Places", "run_study"]
