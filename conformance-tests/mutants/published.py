"""What a cinema publishes: manifest, programme, layouts and prices."""

from admit_python.cinema import DAY, Cinema
from admit_python.server import Api
from admit_python.views import Views
from admit_python.wire import instant

from . import mutant


@mutant("MAN-004", "A manifest lives for eight days.")
class LivesForEightDays(Cinema):
    def manifest_document(self, now):
        return {**super().manifest_document(now), "expires": instant(now + 8 * DAY)}


@mutant("MAN-006", "Identity and recovery key are one.")
class RecoversWithTheSameKey(Cinema):
    def manifest_document(self, now):
        document = super().manifest_document(now)
        return {**document, "keys": {**document["keys"], "recovery": document["keys"]["identity"]}}


@mutant("PROG-002", "A programme is in the order in which its screenings were made, backwards.")
class ListsBackwards(Cinema):
    def programme(self, cursor):
        document = super().programme(cursor)
        return {**document, "screenings": document["screenings"][::-1]}


@mutant("PROG-003", "A screening that is asked for alone is as it was when it was made.")
class ShowsItAsItWas(Views):
    def screening(self, house):
        return {**super().screening(house), "status": "on_sale"}


@mutant("PROG-003", "A screening that is asked for alone has its first price table for ever.")
class ShowsItsFirstPrices(Api):
    def screening(self, request, screening):
        self.first = getattr(self, "first", {})
        with self.cinema.house(screening) as (house, _):
            now, house.prices = house.prices, self.first.setdefault(screening, house.prices)
            response = super().screening(request, screening)
            house.prices = now
        return response


@mutant("LAY-002", "A seat has a neighbour who knows nothing of it.")
class ForgetsANeighbour(Cinema):
    def layout(self, document):
        document["seats"][0].pop("right", None)
        return super().layout(document)


@mutant("ID-002", "A layout is sent with a line feed that its name does not know.")
class SendsOtherBytes(Api):
    def layout(self, request, layout):
        return self.cached(request, self.cinema.documents.read("layouts", layout) + b"\n", "no-cache")


@mutant("MONEY-002", "An offer's total is a cent more than its parts.")
class AddsACent(Cinema):
    def price_table(self, document):
        for offer in document["offers"]:
            offer["total"] = {**offer["total"], "amount": offer["total"]["amount"] + 1}
        return super().price_table(document)
