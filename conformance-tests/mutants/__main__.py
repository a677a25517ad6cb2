"""`python -m mutants NAME --control 127.0.0.1:PORT --secret SECRET`, or `--list`."""

import sys

from admit_python.__main__ import main
from admit_python.server import Parts

from . import (  # noqa: F401
    MUTANTS,
    bookings,
    buyer_keys,
    cancelling,
    control,
    holds,
    notifications,
    published,
    receipts,
    repeats,
    requests,
    seats,
    tickets,
)


def run() -> None:
    if sys.argv[1:] == ["--list"]:
        for mutant in MUTANTS.values():
            print(f"{mutant.name:<36} {mutant.must:<10} {mutant.sentence}")
        return
    if len(sys.argv) < 2 or sys.argv[1] not in MUTANTS:
        sys.exit(f"{__doc__}\nSay a name of the list first.")
    parts = dict(MUTANTS[sys.argv.pop(1)].parts)
    control_of = {"control": parts.pop("control")} if "control" in parts else {}
    main(Parts(**parts), **control_of)


run()
