"""Local executors on the fake workbench, and what their events say."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from fake_workbench import context

from tlsearch.execution.local import LocalExecutor
from tlsearch.work import WorkerContext


@pytest.fixture
def make_executor(tmp_path: Path) -> Iterator[Callable[..., LocalExecutor]]:
    """Executors that are closed at the end of the test; result lines in `results`, logs in `logs`."""
    with ExitStack() as stack:

        def make(
            *contexts: WorkerContext, workbench: str = "fake_workbench:open_workbench", **options: Any
        ) -> LocalExecutor:
            made = LocalExecutor(
                contexts or [context()],
                results=tmp_path / "results",
                logs=tmp_path / "logs",
                workbench=workbench,
                **options,
            )
            return stack.enter_context(made)

        yield make


@pytest.fixture
def executor(make_executor: Callable[..., LocalExecutor]) -> LocalExecutor:
    """One worker."""
    return make_executor()
