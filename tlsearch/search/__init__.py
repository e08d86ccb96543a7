"""What to try next: the only importer of optuna."""

from tlsearch.search.baselines import baseline_recipe, baselines_left_out
from tlsearch.search.importance import parameter_importance
from tlsearch.search.jobs import Proposal, SpaceExhausted, next_round
from tlsearch.search.racing import prune_threshold
from tlsearch.search.space import SearchSpace

__all__ = [
    "Proposal",
    "SearchSpace",
    "SpaceExhausted",
    "baseline_recipe",
    "baselines_left_out",
    "next_round",
    "parameter_importance",
    "prune_threshold",
]
