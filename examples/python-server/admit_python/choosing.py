"""Rules about what may be left over when seats are chosen (CHOOSE-002 to CHOOSE-006)."""

from __future__ import annotations

from typing import Sequence

from .seating import Seating
from .wire import Problem


class Choosing(Seating):
    def check_rules(self, seats: Sequence[str], now: int) -> None:
        broken = self.left_alone(seats, now) + self.parts_of_groups(seats)
        if broken:
            raise Problem("rule_broken", "take these seats, too, or choose others", conflicts=broken, seq=self.seq)

    def left_alone(self, seats: Sequence[str], now: int) -> list[dict[str, str]]:
        """Seats with company before the hold and none after it (CHOOSE-002 to CHOOSE-004)."""
        rule = self.screening.seat_rules.get("orphans", "off")
        if rule not in ("strict", "lenient") or self.is_nearly_full():
            return []
        before = {seat for seat in self.free() if self.is_company(seat, now)}
        after = before - set(seats)
        alone = [
            seat
            for seat in self.layout.seats
            if seat in after and self.beside(seat, before) and not self.beside(seat, after)
        ]
        if rule == "lenient":
            alone = [seat for seat in alone if len(self.block_of(seat, before) & after) > 1]
        return [{"seat": seat, "reason": "left_alone"} for seat in alone]

    def is_nearly_full(self) -> bool:
        percent = self.screening.seat_rules.get("orphans_below_percent", 10)
        return len(self.free()) * 100 < percent * len(self.layout.seats)

    def is_company(self, seat: str, now: int) -> bool:
        return not self.layout.is_wheelchair_space(seat) and not self.needs_space(seat, now)

    def beside(self, seat: str, among: set[str]) -> list[str]:
        return [other for other in self.layout.neighbours(seat) if other in among]

    def block_of(self, seat: str, among: set[str]) -> set[str]:
        """The seats that are side by side with this one."""
        found, ahead = {seat}, [seat]
        while ahead:
            fresh = set(self.beside(ahead.pop(), among)) - found
            found |= fresh
            ahead.extend(fresh)
        return found

    def parts_of_groups(self, seats: Sequence[str]) -> list[dict[str, str]]:
        """All free seats of a group, or none (CHOOSE-005)."""
        if self.screening.seat_rules.get("groups") != "whole":
            return []
        groups = {self.layout.seats[seat].get("group") for seat in seats} - {None}
        rest = [s for s in self.free() if s not in seats and self.layout.seats[s].get("group") in groups]
        return [{"seat": seat, "reason": "part_of_group"} for seat in rest]
