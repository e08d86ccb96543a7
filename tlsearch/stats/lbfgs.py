"""L-BFGS: the minimum of a smooth convex function, from its gradients alone (Liu and Nocedal 1989).

Written out because importing `scipy.optimize` takes longer than all the fits of a small study.
"""

from collections import deque
from collections.abc import Callable

import numpy as np

from tlsearch.stats.metrics import Floats

Function = Callable[[Floats], tuple[float, Floats]]  # a point to its value and gradient
REMEMBERED = 10  # steps
DESCENT = 1e-4  # Armijo's: the share of what the gradient promises that a step must bring
HALVINGS = 30


def minimise(function: Function, start: Floats, *, steps: int, tolerance: float) -> Floats:
    """Walk from a point until no gradient is over the tolerance, no step brings anything, or the steps are used up.

    Args:
        function: Smooth and convex.
        start: `(k,)`.
        steps: At most so many.
        tolerance: On the largest entry of the gradient.
    """
    point = start
    value, gradient = function(point)
    pairs: deque[tuple[Floats, Floats]] = deque(maxlen=REMEMBERED)
    for _ in range(steps):
        if np.abs(gradient).max() <= tolerance:
            break
        found = _step(function, point, value, gradient, _direction(gradient, pairs))
        if found is None:
            break
        moved, value, turned = found
        pairs.append((moved - point, turned - gradient))
        point, gradient = moved, turned
    return point


def _step(
    function: Function, point: Floats, value: float, gradient: Floats, direction: Floats
) -> tuple[Floats, float, Floats] | None:
    """The first of a whole step, half of it, and so on, that descends enough; None where rounding hides descent."""
    slope, length = float(gradient @ direction), 1.0
    for _ in range(HALVINGS):
        moved = point + length * direction
        reached, turned = function(moved)
        if reached <= value + DESCENT * length * slope:
            return moved, reached, turned
        length /= 2
    return None


def _direction(gradient: Floats, pairs: deque[tuple[Floats, Floats]]) -> Floats:
    """The gradient downhill, turned by the curvature that the last steps met."""
    if not pairs:
        return np.asarray(-gradient / max(1.0, float(np.linalg.norm(gradient))))
    q = gradient.copy()
    shares = []
    for step, change in reversed(pairs):
        share = (step @ q) / (step @ change)
        shares.append(share)
        q -= share * change
    step, change = pairs[-1]
    q *= (step @ change) / (change @ change)
    for (step, change), share in zip(pairs, reversed(shares), strict=True):
        q += (share - (change @ q) / (step @ change)) * step
    return np.asarray(-q)
