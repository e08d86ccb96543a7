"""The errors a user can meet: each says what, got what, and the way out; only `cli/` turns them into text."""

from collections.abc import Sequence
from dataclasses import dataclass


class TlsearchError(Exception):
    """A fault that the user can mend.

    Args:
        message: One line: what is wrong, where, and what was found.
        hint: The way out, or None where the message already names it.
    """

    exit_code = 2

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing wrong in a study file, with its place."""

    place: str  # a key path such as "search.epochs.low", or "12:5" for a line and column
    message: str
    wants_text: bool = False  # whether a text belongs there, and something else was found


class StudyFileError(TlsearchError):
    """A study file that cannot be used; carries every fault, not only the first."""

    def __init__(self, file: str, faults: Sequence[Fault], *, hint: str | None = None) -> None:
        super().__init__("\n".join(_fault_line(file, fault) for fault in faults), hint=hint)
        self.file = file
        self.faults = tuple(faults)


class UnknownNameError(TlsearchError):
    """A name that no plugin, study or device answers to."""


class PluginError(TlsearchError):
    """A plugin that cannot be loaded or breaks the contract of its hook."""


class DataError(TlsearchError):
    """Images, labels or folders that cannot be used as they are."""


class WeightsError(TlsearchError):
    """Pretrained weights that are out of reach, damaged or of another shape."""


class DeviceError(TlsearchError):
    """A device that this machine does not have."""


class StudyChangedError(TlsearchError):
    """Another study is stored under this name; carries what differs."""

    def __init__(self, name: str, differences: Sequence[str]) -> None:
        changed = "; ".join(differences)
        super().__init__(
            f"study '{name}' is stored with another definition: {changed}",
            hint="undo the change to continue it, or start another with --new-study NAME",
        )
        self.differences = tuple(differences)


class NothingCompletedError(TlsearchError):
    """No trial completed, so there is nothing to choose from."""

    exit_code = 1


class StoreError(TlsearchError):
    """The store cannot be opened, read or written."""

    exit_code = 3


class BreakerError(TlsearchError):
    """Too many trials failed: the study stopped itself."""

    exit_code = 4


class VerificationError(TlsearchError):
    """An exported model does not give the answers of the model that was measured."""

    exit_code = 5


class BusyError(TlsearchError):
    """Another coordinator runs this study."""

    exit_code = 75


class StoppedError(TlsearchError):
    """A signal ended a command, which can be given again.

    Args:
        message: What was stopped.
        signum: The signal, whose exit code is 128 + signum.
        hint: The command that goes on.
    """

    def __init__(self, message: str, *, signum: int, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.signum = signum
        self.exit_code = 128 + signum


def _fault_line(file: str, fault: Fault) -> str:
    if fault.place[:1].isdigit():
        return f"{file}:{fault.place}: {fault.message}"  # as editors and compilers write line and column
    return ": ".join(part for part in (file, fault.place, fault.message) if part)
