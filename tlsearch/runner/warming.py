"""What a study's workers import while its data are still being checked."""

from collections.abc import Sequence

from tlsearch.devices import cpu_threads
from tlsearch.execution.warm_up import EXPORTING, WORKBENCH, WarmUp
from tlsearch.host import PluginHost
from tlsearch.study import StudyConfig


def warm_up_of(config: StudyConfig, *, host: PluginHost, devices: Sequence[str]) -> WarmUp:
    """One worker a device, and what every job imports; then the frameworks that the study's backbones are built in, and
    on a CPU last what exports a network, which only long passes do: the first job of few pictures has come by then.

    Args:
        config: The study.
        host: With its plugins.
        devices: That it computes on.
    """
    frameworks = {host.backbone(table.name).framework for table in config.backbones}
    exporting = EXPORTING if "cpu" in devices else ()
    return WarmUp(
        workers=len(devices),
        threads=max(1, cpu_threads() // len(devices)),
        versions=host.versions(),
        modules=(WORKBENCH, *sorted(frameworks - {"torch"}), *exporting),
    )
