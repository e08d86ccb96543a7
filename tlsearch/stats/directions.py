"""Features in the coordinates of their own spread, in which many linear fits are cheap; and what such a fit is."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tlsearch.stats.calibration import tempered
from tlsearch.stats.metrics import Floats

Features = NDArray[np.floating]  # (n, D)
STRONGEST = 512  # directions, of 1 280: the others change no score by more than 0.2 points, and cost the time
ROUNDING = 1e-7  # of the largest singular value: directions below are noise of the arithmetic
TINY = float(np.finfo(np.float64).tiny)


@dataclass(frozen=True, slots=True, kw_only=True)
class Classifier:
    """One linear layer from features to logits.

    Args:
        weights: `(D, C)`.
        bias: `(C,)`.
    """

    weights: Floats
    bias: Floats

    def log_probs(self, features: Features) -> Floats:
        """Features `(n, D)` to log-probabilities `(n, C)`."""
        logits = np.asarray(features, dtype=np.float64) @ self.weights + self.bias
        return np.asarray(tempered(logits, 1.0), dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Directions:
    """The main directions of some pictures' features, their mean square distance from the mean scaled to 1.

    Labels play no part in it. Only the strongest are kept.

    Args:
        unit: `(n, k)` orthonormal columns of mean 0.
        spread: `(k,)` how far the features reach along each, the largest first.
        mean: `(D,)` of the features.
        axes: `(D, k)`: `(features - mean) @ axes` are coordinates, of these and of other pictures.
    """

    unit: Floats
    spread: Floats
    mean: Floats
    axes: Floats

    @classmethod
    def of(cls, features: Features) -> "Directions":
        """Turn features `(n, D)` of at least one picture, by the smaller of the two Gram matrices."""
        x = np.array(features, dtype=np.float64)  # one copy, changed in place: of 20 000 pictures it takes 200 MB
        mean = x.mean(axis=0)
        x -= mean
        scale = max(float(np.linalg.norm(x) / np.sqrt(len(x))), TINY)
        x /= scale
        n, width = x.shape
        values, vectors = np.linalg.eigh(x @ x.T if n <= width else x.T @ x)  # ascending
        spread = np.sqrt(np.maximum(values[::-1][:STRONGEST], 0.0))
        kept = spread > ROUNDING * max(float(spread[0]), TINY)
        spread, vectors = spread[kept], vectors[:, ::-1][:, :STRONGEST][:, kept]
        unit, turn = (vectors, x.T @ vectors / spread) if n <= width else (x @ vectors / spread, vectors)
        return cls(unit=unit, spread=spread, mean=mean, axes=turn / scale)

    def strongest(self, most: int) -> "Directions":
        """At most so many of them."""
        return replace(self, unit=self.unit[:, :most], spread=self.spread[:most], axes=self.axes[:, :most])

    @property
    def coordinates(self) -> Floats:
        """`(n, k)`: the features, turned."""
        return np.asarray(self.unit * self.spread)

    def classifier(self, weights: Floats, bias: Floats) -> Classifier:
        """A fit on coordinates, `(k, C)` and `(C,)`, as one on features."""
        on_features = self.axes @ weights
        return Classifier(weights=on_features, bias=bias - self.mean @ on_features)


def of_unit_length(features: Features) -> Floats:
    """Scale each picture's features `(n, D)` to length 1.

    Of the networks tried, lengths tell of contrast and light more than of what is seen.
    """
    x = np.array(features, dtype=np.float64)
    x /= np.maximum(np.linalg.norm(x, axis=1, keepdims=True), TINY)
    return x
