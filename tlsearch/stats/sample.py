"""The training pictures that closed forms are fitted on: all of a fold, or an even selection of very many."""

from dataclasses import dataclass, replace

from tlsearch.stats.directions import Classifier, Directions, Features
from tlsearch.stats.metrics import Floats, Groups, Integers
from tlsearch.stats.priors import log_priors
from tlsearch.stats.ridge import apart
from tlsearch.stats.thinning import thinned

MOST_FITTED = 10_000  # pictures of a fit; in double precision 1 280 features of so many take 100 MB


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What the closed forms of one fold are fitted on.

    Args:
        directions: Of the features.
        labels: `(n,)`.
        groups: `(n,)`, of pictures that belong together; None, each alone, where all do.
        shift: `(C,)` log: how much more frequent each class is among all training pictures than in the sample.
    """

    directions: Directions
    labels: Integers
    groups: Groups | None
    shift: Floats

    @classmethod
    def of(
        cls, features: Features, labels: Integers, classes: int, train: Integers, *, groups: Groups | None = None
    ) -> "Sample":
        """Choose from a fold's training pictures; the features of no others are read.

        Args:
            features: `(N, D)` of all pictures.
            labels: `(N,)`.
            classes: C.
            train: Rows, at least one.
            groups: `(N,)`, of pictures that belong together.
        """
        rows = train[thinned(labels[train], MOST_FITTED)]
        return cls(
            directions=Directions.of(features[rows]),
            labels=labels[rows],
            groups=None if groups is None else apart([groups[row] for row in rows.tolist()]),
            shift=log_priors(labels[train], classes) - log_priors(labels[rows], classes),
        )

    def answering(self, fit: Classifier) -> Classifier:
        """A fit on the sample, as one whose classes are as frequent as among all training pictures."""
        return replace(fit, bias=fit.bias + self.shift)
