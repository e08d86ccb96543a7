"""What a worker process runs jobs on: data, features and training joined; never the store."""

from tlsearch.work import Workbench, WorkerContext


def open_workbench(context: WorkerContext) -> Workbench:
    """Open a study's workbench: loads torch, and each backbone once a job asks for it."""
    from tlsearch.workbench.bench import StudyBench

    return StudyBench(context)
