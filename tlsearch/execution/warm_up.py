"""The order to warm up, apart from all that it takes to obey one: a run gives it before it has loaded anything."""

from collections.abc import Mapping
from dataclasses import dataclass

WORKBENCH = "tlsearch.workbench.bench"  # what every job imports, and torch with it
EXPORTING = ("torch.onnx", "onnx", "onnxruntime")  # what a long pass on a CPU imports, in half a second


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmUp:
    """What workers do before there is anything to do.

    Args:
        workers: How many.
        threads: For computing on a CPU, each.
        versions: Of distributions, as in a `WorkerContext`: compared before these modules are imported.
        modules: To import, one after another; what is asked for meanwhile goes before the next.
    """

    workers: int
    threads: int
    versions: Mapping[str, str]
    modules: tuple[str, ...]
