"""Compares a dataset's pictures before they are split: one job on a worker, whose answer is kept for all studies."""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from tlsearch.data.linking import COMPARED_PX, Link, Links, links_of
from tlsearch.data.near import RULE_VERSION
from tlsearch.data.pixels import PixelStore, ProgressCallback
from tlsearch.devices import cpu_threads
from tlsearch.disk import writing
from tlsearch.errors import TlsearchError, WeightsError
from tlsearch.execution.executor import Executor
from tlsearch.host import PluginHost
from tlsearch.hubs import Hubs
from tlsearch.records import TrialState
from tlsearch.runner.errand import run_errand
from tlsearch.runner.jobs import job_id
from tlsearch.training.recipe import LINEAR, Recipe
from tlsearch.weights import resolve_weights
from tlsearch.work import BackboneChoice, Job, JobKind, Progress, Row, WorkerContext

# One network for all studies, whose weights come with the installation: were it the study's, its holdout would move
# when a backbone is added.
REFERENCE = "efficientnet_lite0"
WITHOUT_NETWORK = (
    f"Copies of pictures were looked for without the network {REFERENCE}, which cannot be had here: some that are "
    "cropped unevenly may have been missed."
)
# Small, so that what cropping and compression change is hardly seen: it leads to as many copies as 128 px, also where
# they are cropped unevenly (docs/design.md, section 8), in a quarter of the time.
REFERENCE_PX = 64


class LinkFinder:
    """Finds the pictures of a dataset that show one photograph, or reads what an earlier command found.

    It is a `FindLinks`, for `prepare_data`.

    Args:
        host: With its plugins.
        hubs: The command's.
        cache: Of this user.
        plugins: Plugin files given with `--plugin`.
        device: What the worker computes on.
        make_executor: Starts workers, one a context.
        progress: Told what is done with how many of how many.
    """

    def __init__(
        self,
        *,
        host: PluginHost,
        hubs: Hubs,
        cache: Path,
        plugins: Sequence[Path],
        device: str,
        make_executor: Callable[[Sequence[WorkerContext]], Executor],
        progress: ProgressCallback | None = None,
    ) -> None:
        self._host, self._hubs, self._cache, self._plugins = host, hubs, cache, plugins
        self._device, self._make_executor, self._progress = device, make_executor, progress

    def __call__(self, store: PixelStore, files: Sequence[Path], indices: Sequence[int]) -> Links:
        """The links among some pictures of a store.

        They follow from the pictures alone: not from their order, nor from the side at which the store keeps them.

        Args:
            store: Of decoded pictures.
            files: One a picture of the store.
            indices: Which to compare: readable, and no two with equal pixels.

        Raises:
            TlsearchError: Where the pictures cannot be compared.
        """
        network = self._network()
        ordered = sorted(indices, key=lambda index: store.hashes[index])
        hashes = [store.hashes[index] for index in ordered]
        identity = [RULE_VERSION, COMPARED_PX, REFERENCE_PX, network.digest if network else "", hashes]
        digest = hashlib.sha256(json.dumps(identity).encode()).hexdigest()
        file = self._cache / "links" / f"{digest[:32]}.json"
        found = _read(file)
        if found is None:
            found = self._compared(store, files, ordered, network)
            _write(file, found)
        return links_of(found, len(ordered), note="" if network else WITHOUT_NETWORK)

    def _network(self) -> BackboneChoice | None:
        """The reference network; None where its plugin or its weights are not there."""
        spec = self._host.backbones().get(REFERENCE)
        if spec is None:
            return None
        try:
            weights = resolve_weights(spec, "auto", cache_dir=self._cache / "weights", seed=0, hubs=self._hubs)
        except WeightsError:
            return None  # told by the note of the links
        return BackboneChoice(
            name=spec.name,
            params={},
            image_px=REFERENCE_PX,
            source=weights.source,
            path=str(weights.path or ""),
            digest=weights.digest,
            variant=weights.variant,
            preprocessing=asdict(weights.preprocessing),
            trained_on=weights.trained_on,
            license=weights.license,
        )

    def _compared(
        self, store: PixelStore, files: Sequence[Path], indices: Sequence[int], network: BackboneChoice | None
    ) -> list[Link]:
        if store.shorter_px != COMPARED_PX:
            beside = store.at(COMPARED_PX)
            if beside is None:
                beside = PixelStore.build(files, COMPARED_PX, store.folder.parent, self._preparing)
            store = beside
        recipe = Recipe(backbone=REFERENCE, head=LINEAR, phases=())
        job = Job(id=job_id("alike", "pictures"), kind=JobKind.ALIKE, rows=(Row(trial=-1, attempt=1, recipe=recipe),))
        context = self._context(store, indices, network)
        result = run_errand(job, context, make_executor=self._make_executor, progress=self._tell)
        if result.state is not TrialState.COMPLETED:
            raise TlsearchError(f"the pictures could not be compared with one another: {result.detail}")
        return [
            Link(one=one, other=other, likeness=float(likeness), mirrored=bool(mirrored))
            for first, second, likeness, mirrored in result.extras["pairs"]
            for one, other in [sorted((store.hashes[first], store.hashes[second]))]
        ]

    def _context(self, store: PixelStore, indices: Sequence[int], network: BackboneChoice | None) -> WorkerContext:
        """Of a worker that knows pictures and no study."""
        return WorkerContext(
            study="pictures",
            seed=0,
            metric="accuracy",
            classes=("any",),
            pixels=str(store.folder),
            pixels_digest=store.digest,
            labels=(0,) * len(store),
            development=tuple(indices),
            holdout=(),
            folds=((0,) * len(indices),),
            backbones={network.name: network} if network else {},
            augments=("none",),
            views=1,
            unfrozen=(0,),
            device=self._device,
            threads=cpu_threads(),
            cache=str(self._cache),
            cache_bytes=0,
            models="",
            deterministic=False,
            plugins=tuple(str(file) for file in self._plugins),
            versions=self._host.versions(),
            dataset={},
        )

    def _preparing(self, _: str, done: int, total: int) -> None:
        self._tell(Progress(text="preparing pictures to compare them", done=done, total=total))

    def _tell(self, progress: Progress) -> None:
        if self._progress is not None:
            self._progress(progress.text, progress.done, progress.total)


def _read(file: Path) -> list[Link] | None:
    """Kept links; None where there are none, or they are damaged and are looked for again."""
    try:
        digest, text = file.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return None
    if hashlib.sha256(text.encode()).hexdigest() != digest:
        return None
    return [Link(**link) for link in json.loads(text)]


def _write(file: Path, links: Sequence[Link]) -> None:
    """Keep links under a name that is whole or not there. Raises StoreError."""
    text = json.dumps([asdict(link) for link in links])
    digest = hashlib.sha256(text.encode()).hexdigest()
    with writing(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_suffix(f".{os.getpid()}.tmp")
        unfinished.write_text(f"{digest}\n{text}\n", encoding="utf-8")
        os.replace(unfinished, file)
