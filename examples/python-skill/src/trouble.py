"""How a run fails, in the host's words."""

import traceback

from wit_world.imports.types import Error_Cancelled, Error_Limit, Failure, Problem


class Failed(Exception):
    """Ends the run as failed. The label is one of those that `wit/0.1/types.wit` lists."""

    def __init__(self, label, message):
        super().__init__(f"{label}: {message}")
        self.failure = Failure(label, message, "{}")


def failure_of(error):
    """The failure that an error answered by the host means for the run."""
    if isinstance(error, Error_Cancelled):
        return Failure("operator-abort", "cancelled", "{}")
    if isinstance(error, Error_Limit):
        return Failure("timeout", error.value, "{}")
    if isinstance(error.value, Problem):
        return Failure(error.value.label or "skill-fault", error.value.message, "{}")
    return Failure("skill-fault", error.value, "{}")


def fault_of(error):
    """The failure that a mistake of this code means; uncaught, it would abort the guest."""
    # What is written to standard error is in the host's log.
    traceback.print_exception(error)
    where = traceback.extract_tb(error.__traceback__)[-1]
    text = f"{type(error).__name__}: {error} ({where.filename}, line {where.lineno})"
    return Failure("skill-fault", text, "{}")
