"""How frequent classes are among what answers were learned from, and which metrics do without."""

import numpy as np

from tlsearch.stats.metrics import Floats, Integers

CLASSES_ALIKE = ("balanced_accuracy", "macro_f1")  # metrics for which a rare class counts as much as a frequent one


def log_priors(labels: Integers, classes: int) -> Floats:
    """`(C,)`: how frequent each class is; 0 of a class without pictures."""
    counts, total = np.bincount(labels, minlength=classes), max(len(labels), 1)
    return np.asarray(np.log(np.where(counts > 0, counts, total) / total), dtype=np.float64)
