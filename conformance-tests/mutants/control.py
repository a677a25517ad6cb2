"""Test control: worlds of their own, and a clock that stands still."""

import time

from admit_python.cinema import Cinema
from admit_python.control import Control
from admit_python.keys import SigningKey
from admit_python.web import Response
from admit_python.wire import Fields, read

from . import mutant


@mutant("CTRL-004", "The clock of a run goes on by itself.")
class ClockTicks(Cinema):
    def __init__(self, origin, clock, *rest):
        began = time.monotonic()
        super().__init__(origin, lambda: clock() + int((time.monotonic() - began) * 1000), *rest)


@mutant("CTRL-004", "Only every other move of a clock counts.")
class ClockSticks(Control):
    def move_clock(self, request, run):
        clock, before = self.run(run).clock, self.run(run).clock.now
        response = super().move_clock(request, run)
        self.sticks = not getattr(self, "sticks", False)
        clock.now = before if self.sticks else clock.now
        return response


@mutant("CTRL-003", "All clocks move together.")
class MovesAllClocks(Control):
    def move_clock(self, request, run):
        advance_ms = Fields(read(request.body)).integer("advance_ms", 0, 2**53 - 1)
        for id, other in list(self.runs.items()):
            if id != run:
                other.clock.now += advance_ms
        return super().move_clock(request, run)


@mutant("CTRL-003", "All runs are one world.")
class SharesOneWorld(Control):
    world = None

    def create_run(self, request):
        response = super().create_run(request)
        id, run = list(self.runs.items())[-1]
        if self.world is None:
            self.world = run
            return response
        self.runs[id] = self.world
        body = response.body.replace(run.server.origin.encode(), self.world.server.origin.encode())
        return Response(201, body, response.headers)

    def delete_run(self, request, run):
        self.run(run)
        del self.runs[run]
        return Response(204)


@mutant("CTRL-003", "All runs have one identity key.")
class SharesOneKey(Cinema):
    key = SigningKey()

    def __init__(self, *wanted):
        super().__init__(*wanted)
        self.identity = self.key


@mutant("CTRL-003", "The clock of a run begins between two seconds.")
class BeginsBetweenSeconds(Control):
    def create_run(self, request):
        response = super().create_run(request)
        list(self.runs.values())[-1].clock.now += 333
        return response


@mutant("CTRL-001", "Test control is not listed: who sells by it looks like who sells to people.")
class HidesTestControl(Cinema):
    def manifest_document(self, now):
        return {**super().manifest_document(now), "capabilities": []}


@mutant("CTRL-002", "Test control is for anybody.")
class ObeysAnybody(Control):
    def check_secret(self, request):
        pass


@mutant("CTRL-003", "The origin of a run that was ended still answers.")
class NeverEnds(Control):
    def delete_run(self, request, run):
        self.run(run)
        del self.runs[run]
        return Response(204)


@mutant("CTRL-005", "Staff's new price changes nothing.")
class ForgetsPrices(Control):
    actions = {**Control.actions, "change_price": lambda self, cinema, house, body: None}
