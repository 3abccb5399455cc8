"""How a run fails, in the host's words."""

import traceback

from wit_world.imports.types import Error_Cancelled, Error_Limit, Failure

# The labels of `failure` in `wit/types.wit` that a text from the host may start with.
LABELS = ("dropped", "missing-object", "sensor-stall", "safety-stop", "unreachable")


class Failed(Exception):
    """Ends the run as failed. The label is one of those that `wit/types.wit` lists."""

    def __init__(self, label, message):
        super().__init__(f"{label}: {message}")
        self.failure = Failure(label, message, "{}")


def failure_of(error):
    """The failure that an error answered by the host means for the run."""
    text = getattr(error, "value", "cancelled")
    label, _, message = text.partition(": ")
    if label in LABELS:
        return Failure(label, message, "{}")
    if isinstance(error, Error_Cancelled):
        return Failure("operator-abort", text, "{}")
    if isinstance(error, Error_Limit):
        return Failure("timeout", text, "{}")
    return Failure("skill-fault", text, "{}")


def fault_of(error):
    """The failure that a mistake of this code means; uncaught, it would abort the guest."""
    # What is written to standard error is in the host's log.
    traceback.print_exception(error)
    where = traceback.extract_tb(error.__traceback__)[-1]
    text = f"{type(error).__name__}: {error} ({where.filename}, line {where.lineno})"
    return Failure("skill-fault", text, "{}")
