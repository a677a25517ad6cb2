"""`python -m admit_python`: a sample cinema (`--listen`), or test control for a conformance suite (`--control`)."""

from __future__ import annotations

import argparse
import contextlib
import json
import threading

from .cinema import Wanted
from .control import Control, serve_control
from .server import Parts, Server


def port_of(address: str) -> int:
    host, _, port = address.rpartition(":")
    if host != "127.0.0.1" or not port.isdecimal():
        raise argparse.ArgumentTypeError("say 127.0.0.1:PORT; in front of it belongs what speaks https")
    return int(port)


def sample_cinema(port: int, parts: Parts) -> Server:
    """Three shows of one film: this evening's, tomorrow's, and one that is not sold yet."""
    server = Server(port, parts=parts)
    server.cinema.add_screening(Wanted(rows=5, seats=8, starts_in_s=6 * 3600, price=1200, late_sales=True))
    server.cinema.add_screening(Wanted(rows=8, seats=12, starts_in_s=30 * 3600, wheelchair=True))
    server.cinema.add_screening(Wanted(starts_in_s=7 * 86_400, sales_open_in_s=86_400))
    server.start()
    return server


def main(parts: Parts = Parts(), control: type[Control] = Control) -> None:
    """Variants of this server call this with parts of their own."""
    parser = argparse.ArgumentParser(prog="admit_python", description=__doc__)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--listen", type=port_of, metavar="127.0.0.1:PORT", help="serve a sample cinema")
    where.add_argument("--control", type=port_of, metavar="127.0.0.1:PORT", help="offer test control, and nothing else")
    parser.add_argument("--secret", help="the secret of test control")
    options = parser.parse_args()
    if options.listen is not None:
        print(json.dumps({"origin": sample_cinema(options.listen, parts).origin}), flush=True)
    elif options.secret:
        http = serve_control(options.control, control(options.secret, parts))
        print(json.dumps({"control": http.origin}), flush=True)
    else:
        parser.error("--control needs --secret")
    with contextlib.suppress(KeyboardInterrupt):
        threading.Event().wait()


if __name__ == "__main__":
    main()
