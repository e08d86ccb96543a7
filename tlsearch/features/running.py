"""How one prefix runs over some pictures: decided once by measured rates, opened when asked for, checked once."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import torch

from tlsearch.features.checks import check_cacheable, check_independent, check_untouched
from tlsearch.features.extract import MEASURED, choose_pass, open_pass
from tlsearch.features.files import write_whole
from tlsearch.features.passes import BATCH, EAGER, GRAPH, Pass
from tlsearch.features.pictures import Pictures
from tlsearch.model import Prefix


class Running:
    """The pass of a prefix.

    Args:
        prefix: Frozen, in inference mode.
        pictures: To measure on, and to compare answers.
        passes: Pictures that will go through.
        exported: Where the exported prefix lies, or is to lie.
        decision: The file that keeps which runtime was the fastest; a damaged one counts as missing.
        device: Of passes.
        threads: For passes on a CPU.
        deterministic: Runs eagerly, whatever was decided.
    """

    def __init__(
        self,
        prefix: Prefix,
        pictures: Pictures,
        *,
        passes: int,
        exported: Path,
        decision: Path,
        device: torch.device,
        threads: int,
        deterministic: bool,
    ) -> None:
        self._prefix, self._pictures, self._passes = prefix, pictures, passes
        self._exported, self._decision = exported, decision
        self._device, self._threads = device, threads
        self._chosen: str | None = EAGER if deterministic else None
        self._pass: Pass | None = None
        self._checked = False
        self.note = ""  # why passes are slower than they might be, once that was found

    @property
    def decided(self) -> str | None:
        """How passes run, where that is known without measuring."""
        if self._chosen is None:
            self._chosen = _read(self._decision)
        return self._chosen

    @property
    def runtime(self) -> str:
        """How passes run: decided once, the same in every later run unless it can no longer be opened."""
        return self.decided or self._choose().runtime

    def ready(self) -> Pass:
        """The pass, open and checked; `runtime` may be another from here on, where the one it was cannot be opened."""
        runtime = self.runtime
        check_cacheable(self._prefix)
        run = self._pass or self._opened(runtime) or self._choose()
        self._pass = run
        if not self._checked:
            few = self._pictures.sample(3)
            check_untouched(self._prefix, few[:1])
            if len(few) == 3:
                check_independent(run, few)
            self._checked = True
        return run

    def values_each(self) -> int:
        """How many values one picture has at all cuts together: the prefix is asked about one."""
        check_cacheable(self._prefix)
        one = torch.from_numpy(self._pictures.sample(1)).to(self._prefix.normalise.scale.device)
        with torch.no_grad():
            return sum(output.numel() for output in self._prefix(one))

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """While passes may run. What they hold is given back: activations of every lane, or buffers on a GPU.

        To open one again takes 0.04 s.
        """
        try:
            yield
        finally:
            self._pass = None

    def _opened(self, runtime: str) -> Pass | None:
        """None where a CUDA graph cannot be captured: the GPU may be busier than it was when that was decided."""
        try:
            return open_pass(
                runtime,
                self._prefix,
                lambda: self._pictures.sample(MEASURED),
                image_px=self._pictures.image_px,
                onnx_file=self._exported,
                device=self._device,
                threads=self._threads,
            )
        except RuntimeError:
            if runtime != GRAPH:
                raise
            return None

    def _choose(self) -> Pass:
        """Decide by measured rates, in place of whatever was decided before."""
        check_cacheable(self._prefix)
        chosen = choose_pass(
            self._prefix,
            self._pictures.sample(MEASURED),
            passes=self._passes,
            onnx_file=self._exported,
            device=self._device,
            threads=self._threads,
            deterministic=False,  # else nothing is left to choose
        )
        self.note = chosen.note
        self._pass, self._chosen = chosen.run, chosen.run.runtime
        write_whole(self._decision, self._chosen.encode())
        return chosen.run


def _read(decision: Path) -> str | None:
    """The runtime that a file names; None where it is missing, cannot be read, or names none that there is."""
    try:
        name = decision.read_bytes().decode(errors="replace")
    except OSError:
        return None
    return name if name in BATCH else None
