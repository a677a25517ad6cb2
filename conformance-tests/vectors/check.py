"""Recomputes spec/v1/vectors with Python's own means: `python check.py FOLDER`. Knows the specification, and none of our code.

What is checked of an input is what its page says of it; where this and the files differ, one of the two is wrong."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
from datetime import datetime, timedelta, timezone
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from zoneinfo import ZoneInfo

import cbor2
import pycddl
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

MOST = 2**53 - 1
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"


class Refused(Exception):
    """An input that must not be accepted, and why."""


def must(right: bool, why: str) -> None:
    if not right:
        raise Refused(why)


def b64(text: str) -> bytes:
    """Unpadded base64url, written in the one way that there is."""
    must(re.fullmatch(r"[A-Za-z0-9_-]*", text) is not None, "not base64url")
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    must(b64_of(data) == text, "not canonical")
    return data


def b64_of(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


# ---- terms


def read_id(text: str) -> None:
    must(re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", text) is not None, "ID-001")


def read_content_name(text: str) -> None:
    must(text.startswith("sha256-") and len(b64(text[7:])) == 32, "ID-002")


def read_json(text: str, whole_numbers: bool = False) -> object:
    """HTTP-004."""

    def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
        must(len({name for name, _ in pairs}) == len(pairs), "a member twice")
        return dict(pairs)

    def integer(digits: str) -> int:
        must(abs(int(digits)) <= MOST, "beyond 2^53 - 1")
        return int(digits)

    def fraction(digits: str) -> float:
        must(not whole_numbers, "no integer")
        return float(digits)

    def depth(value: object) -> int:
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
        return 0 if inner is None else 1 + max(map(depth, inner), default=0)

    def constant(name: str) -> None:
        raise Refused(name)

    try:
        value = json.loads(text, object_pairs_hook=once, parse_int=integer, parse_float=fraction, parse_constant=constant)
    except ValueError as error:
        raise Refused(str(error)) from error
    must(depth(value) <= 32, "too deep")
    return value


def read_money(text: str) -> None:
    value = read_json(text)
    must(isinstance(value, dict), "no object")
    amount, currency = value.get("amount"), value.get("currency")
    must(type(amount) is int, "MONEY-001")
    must(isinstance(currency, str) and re.fullmatch(r"[A-Z]{3}", currency) is not None, "MONEY-001")


def share(amount: int, percent: int) -> int:
    """Half away from zero (MONEY-002)."""
    exact = Fraction(abs(amount) * percent, 100)
    rounded = int(exact + Fraction(1, 2))
    return rounded if amount >= 0 else -rounded


def read_texts(value: object) -> None:
    must(isinstance(value, dict) and 1 <= len(value) <= 64, "TEXT-001")
    for tag, text in value.items():
        must(re.fullmatch(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{2,8})*", tag) is not None, "no BCP 47 tag")
        must(isinstance(text, str) and len(text.encode()) <= 8192 and text.strip() != "", "TEXT-001")
        must(not any(ord(c) < 32 and c != "\n" or 127 <= ord(c) < 160 for c in text), "TEXT-001")
        must(not any("\u202a" <= c <= "\u202e" for c in text), "TEXT-002")


def instant(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise Refused(str(error)) from error
    must(at.tzinfo is not None, "no offset")
    return at


def read_moment(value: dict[str, str]) -> None:
    """TIME-003."""
    must(instant(value["at"]) == instant(value["local"]), "another moment")


def moment_of(local: str, zone: str) -> str:
    """TIME-004, TIME-005: the instant of a local time, or why it has none."""
    said = datetime.fromisoformat(local)
    naive, rules = said.replace(tzinfo=None), ZoneInfo(zone)
    readings = {naive.replace(tzinfo=rules, fold=fold).astimezone(timezone.utc) for fold in (0, 1)}
    real = {at for at in readings if at.astimezone(rules).replace(tzinfo=None) == naive}
    if said.tzinfo is not None:
        real = {at for at in real if at == said}
    if not real:
        return "gap"
    return "fold" if len(real) > 1 else real.pop().isoformat().replace("+00:00", "Z")


def business_date(at: str, zone: str, cutoff: str) -> str:
    """TIME-006."""
    local = instant(at).astimezone(ZoneInfo(zone))
    early = (local.hour, local.minute) < tuple(int(part) for part in cutoff.split(":"))
    return str(local.date() - timedelta(days=1 if early else 0))


# ---- keys and manifests


P = 2**255 - 19
Y_OF_ORDER_8 = int.from_bytes(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little")
SMALL_ORDER = {0, 1, P - 1, Y_OF_ORDER_8, P - Y_OF_ORDER_8}


def strict_point(encoded: bytes) -> None:
    """MAN-002: a point in the one way that it is written, and not of small order (RFC 8032, 5.1.3; the 8 torsion points)."""
    y = int.from_bytes(encoded, "little") & (2**255 - 1)
    must(len(encoded) == 32 and y < P and y not in SMALL_ORDER, "a point that is refused")


def verified(key: bytes, message: bytes, signature: bytes) -> None:
    must(len(signature) == 64, "no signature")
    strict_point(key)
    strict_point(signature[:32])
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError) as error:
        raise Refused("the signature does not fit") from error


def read_signature(case: dict[str, str]) -> None:
    verified(bytes.fromhex(case["public"]), case["message"].encode(), bytes.fromhex(case["signature"]))


def succession(keys: dict[str, object], origins: set[str]) -> int:
    """MAN-012: the number of the recovery key's word, 0 where the identity key is the first."""
    jws = keys.get("succession")
    if jws is None:
        return 0
    header, word = (read_json(b64(jws[part]).decode(), whole_numbers=True) for part in ("protected", "payload"))
    recovery = b64(keys["recovery"])
    kid = b64_of(hashlib.sha256(recovery).digest()[:16])
    must(header == {"alg": "EdDSA", "typ": "admit-succession+jws", "kid": kid}, "MAN-012")
    verified(recovery, f"{jws['protected']}.{jws['payload']}".encode(), b64(jws["signature"]))
    must(word["origin"] in origins and word["identity"] == keys["identity"] and word["number"] >= 1, "MAN-012")
    return word["number"]


def origins_of(manifest: dict[str, object]) -> set[str]:
    """Where it is, was, or went."""
    return {manifest["origin"], manifest.get("moved_to", manifest["origin"]), *manifest.get("moved_from", [])}


def known_by(manifest: dict[str, object]) -> dict[str, object]:
    """What a reader remembers of a manifest that it accepted."""
    keys = manifest["keys"]
    number = succession(keys, origins_of(manifest))
    return {"identity": keys["identity"], "recovery": keys["recovery"], "succession": number, "serial": manifest["serial"]}


def read_manifest(case: dict[str, object]) -> None:
    jws, now = case["jws"], instant(case["now"])
    header, payload = (read_json(b64(jws[part]).decode(), whole_numbers=True) for part in ("protected", "payload"))
    keys = payload["keys"]
    identity = b64(keys["identity"])
    kid = b64_of(hashlib.sha256(identity).digest()[:16])
    must(header == {"alg": "EdDSA", "typ": "admit-manifest+jws", "kid": kid}, "MAN-001")
    verified(identity, f"{jws['protected']}.{jws['payload']}".encode(), b64(jws["signature"]))
    must(payload["origin"] == case["origin"], "MAN-003")
    issued, expires = instant(payload["issued"]), instant(payload["expires"])
    must(now < expires and issued < expires <= issued + timedelta(days=7), "MAN-004")
    must(issued <= now + timedelta(minutes=5), "MAN-004")
    number = succession(keys, origins_of(payload))
    must(payload["origin"] not in (payload.get("moved_to"), *payload.get("moved_from", [])), "MAN-014")
    must(len(payload.get("moved_from", [])) <= 8, "MAN-014")
    if case["known"]:
        known = case["known"]
        must(known["recovery"] == keys["recovery"], "MAN-005")
        must(number >= known["succession"], "MAN-012")
        if number == known["succession"]:
            must(known["identity"] == keys["identity"], "MAN-005")
            must(payload["serial"] >= known["serial"], "MAN-005")
    every = [keys["identity"], keys["recovery"], *(ticket["key"] for ticket in keys["ticket"])]
    must(len(set(every)) == len(every), "MAN-006")


# ---- signed requests


ITEM = r'"((?:[^"\\\\]|\\\\.)*)"|(-?[0-9]+)|:([A-Za-z0-9+/=]*):'


def members(field: str) -> dict[str, str]:
    """The members of a dictionary (RFC 9651), each as it is written."""
    found, at = {}, 0
    member = re.compile(rf'\s*([a-z*][a-z0-9_.*-]*)=((?:\([^)]*\)|{ITEM})(?:;[a-z*][a-z0-9_.*-]*(?:=(?:{ITEM}))?)*)\s*(?:,|$)')
    while at < len(field):
        match = member.match(field, at)
        must(match is not None, "no dictionary")
        found[match[1]], at = match[2], match.end()
    return found


def parameters(member: str) -> dict[str, object]:
    after = member[member.index(")") + 1 :]
    every = re.finditer(rf";([a-z*][a-z0-9_.*-]*)(?:=(?:{ITEM}))?", after)
    return {one[1]: int(one[3]) if one[3] else one[2] for one in every}


def read_request(case: dict[str, object]) -> None:
    parts = {"@method": case["method"], "@authority": case["authority"], "@path": case["path"], "@query": "?" + (case["query"] or "")}
    for part in ("content-digest", "content-type", "idempotency-key"):
        value = case[part.replace("-", "_")]
        parts |= {part: value} if value is not None else {}
    if case["body"] is not None:
        digest = base64.b64encode(hashlib.sha256(case["body"].encode()).digest()).decode()
        must(members(case["content_digest"]).get("sha-256") == f":{digest}:", "KEY-003")
    must(len(case["signature_input"]) <= 1024 and len(case["signature"]) <= 1024, "KEY-001")
    ours = [(label, text) for label, text in members(case["signature_input"]).items() if parameters(text).get("tag") == case["tag"]]
    must(len(ours) == 1, "KEY-001")
    label, text = ours[0]
    covered = [part.strip('"') for part in text[1 : text.index(")")].split(" ")]
    must(sorted(covered) == sorted(parts), "KEY-002")
    says, now = parameters(text), instant(case["now"]).timestamp()
    must(says["alg"] == "ed25519" and 16 <= len(says["nonce"]) <= 64, "KEY-001")
    must(0 < says["expires"] - says["created"] <= 300 and says["created"] <= now + 60 and now < says["expires"], "KEY-004")
    base = "".join(f'"{part}": {parts[part]}\n' for part in covered) + f'"@signature-params": {text}'
    verified(b64(says["keyid"]), base.encode(), base64.b64decode(members(case["signature"])[label].strip(":")))


def read_move(case: dict[str, object]) -> None:
    """Two manifests that are good by themselves: whether the second is of the server that the first says moved there."""
    for which in ("old", "new"):
        read_manifest({"jws": case[which], "origin": case[f"{which}_origin"], "now": case["now"], "known": None})
    old, new = (read_json(b64(case[which]["payload"]).decode(), whole_numbers=True) for which in ("old", "new"))
    check_moved_from(old, new)


def check_moved_from(old: dict[str, object], new: dict[str, object]) -> None:
    must(old.get("moved_to") == new["origin"] and old["origin"] in new.get("moved_from", []), "MAN-015")
    must(all(old["keys"][key] == new["keys"][key] for key in ("identity", "recovery")), "MAN-015")


# ---- tickets


def base45(text: str) -> bytes:
    """RFC 9285."""
    must(all(c in ALPHABET for c in text) and len(text) % 3 != 1, "no Base45")
    data = bytearray()
    for at in range(0, len(text), 3):
        digits = [ALPHABET.index(c) for c in text[at : at + 3]]
        number = sum(digit * 45**n for n, digit in enumerate(digits))
        size = len(digits) - 1
        must(number < 256**size, "no Base45")
        data += number.to_bytes(size, "big")
    return bytes(data)


def one_item(data: bytes) -> object:
    """One CBOR item, and nothing after it."""
    stream = BytesIO(data)
    try:
        item = cbor2.CBORDecoder(stream).decode()
    except (cbor2.CBORDecodeError, EOFError) as error:
        raise Refused("no CBOR") from error
    must(stream.read() == b"", "more after its end")
    return item


class Cddl:
    """spec/v1/ticket.cddl. What is signed and what is around it are judged apart: `.cbor` within an array is more than the tool can."""

    def __init__(self, text: str) -> None:
        plain = re.sub(r" \.cbor \w+", "", text)
        self.rules = {rule: pycddl.Schema(f"root = {rule}\n{plain}") for rule in ("ticket", "header", "claims", "holder_proof", "proof_header", "proof")}

    def fits(self, rule: str, data: bytes) -> bool:
        try:
            self.rules[rule].validate_cbor(data)
        except pycddl.ValidationError:
            return False
        return True

    def fits_ticket(self, data: bytes, rules: tuple[str, str, str] = ("ticket", "header", "claims")) -> bool:
        whole, header, claims = rules
        if not self.fits(whole, data):
            return False
        protected, _, payload, _ = one_item(data).value
        return self.fits(header, protected) and self.fits(claims, payload)


def read_ticket(code: str, keys: list[str]) -> dict[str, object]:
    must(code.startswith("ADMIT1:"), "no prefix")
    data = base45(code[7:])
    must(0 < len(data) <= 1024, "TICK-003")
    signed = one_item(data)
    must(isinstance(signed, cbor2.CBORTag) and signed.tag == 18 and len(signed.value) == 4, "no COSE_Sign1")
    protected, unprotected, payload, signature = signed.value
    header = one_item(protected)
    must(header.get(1) == -8 and len(unprotected) == 0, "TICK-005")
    key = next((b64(key) for key in keys if hashlib.sha256(b64(key)).digest()[:8] == header.get(4)), None)
    must(key is not None, "a key that is not listed")
    verified(key, cbor2.dumps(["Signature1", protected, b"admit-ticket-v1", payload]), signature)
    claims = one_item(payload)
    screening, hall, row, seat, ticket_type, admits, generation = claims[-65537]
    holder = claims[8][3].hex() if 8 in claims else None
    must(len(data) <= (220 if holder else 200), "TICK-003")
    return {
        "id": claims[7].hex(),
        "not_before": claims[5],
        "not_after": claims[4],
        "screening": screening.hex(),
        "hall": hall,
        "row": row,
        "seat": seat,
        "ticket_type": ticket_type,
        "admits": admits,
        "generation": generation,
        "holder": holder,
    }


def read_proof(shown: dict[str, str]) -> bytes:
    """TICK-010: the bytes of the proof."""
    must(shown["code"].startswith("ADMITP1:"), "no prefix")
    data = base45(shown["code"][8:])
    must(0 < len(data) <= 1024, "TICK-003")
    signed = one_item(data)
    must(isinstance(signed, cbor2.CBORTag) and signed.tag == 18 and len(signed.value) == 4, "no COSE_Sign1")
    protected, unprotected, payload, signature = signed.value
    must(one_item(protected).get(1) == -8 and len(unprotected) == 0, "no Ed25519")
    ticket, made, key = one_item(payload)
    verified(key, cbor2.dumps(["Signature1", protected, b"admit-holder-proof-v1", payload]), signature)
    thumbprint = hashlib.sha256(f'{{"crv":"Ed25519","kty":"OKP","x":"{b64_of(key)}"}}'.encode()).hexdigest()
    must(ticket.hex() == shown["ticket"] and thumbprint[:32] == shown["holder"], "another ticket or holder")
    must(made - 120 <= instant(shown["now"]).timestamp() < made + 120, "not of now")
    return data


# ---- money


def refund(policy: dict[str, object], price: int, starts_at: str, now: str) -> int | None:
    """CANC-002."""
    for tier in policy["tiers"]:
        if instant(now) < instant(starts_at) - timedelta(seconds=tier["until_before_start_s"]):
            fee = policy.get("fee_per_ticket", {"amount": 0})["amount"]
            return max(0, share(price, tier["refund_percent"]) - fee)
    return None


def total(table: dict[str, object], tickets: list[dict[str, str]]) -> int | None:
    """BOOK-002, PRICE-002, PRICE-003."""
    offers = {(o["ticket_type"], o["zone"]): o["total"]["amount"] for o in table["offers"]}
    types = {t["id"]: t for t in table["ticket_types"]}
    pairs = [(t["ticket_type"], t["zone"]) for t in tickets]
    if any(pair not in offers for pair in pairs):
        return None
    chosen = [ticket_type for ticket_type, _ in pairs]
    for name, kind in types.items():
        company = kind.get("needs_one_of", [])
        if company and name in chosen:
            needed = -(-chosen.count(name) // kind.get("each_goes_with", 1))
            if sum(chosen.count(other) for other in company) < needed:
                return None
    fees = sum(fee["amount"]["amount"] for fee in table.get("booking_fees", []))
    return sum(offers[pair] for pair in pairs) + fees


# ---- seats


class Hall:
    """A layout of which some seats are free, by the rules of a screening (CHOOSE-002 to CHOOSE-006)."""

    def __init__(self, layout: dict[str, object], case: dict[str, object]) -> None:
        self.seats = {seat["id"]: seat for seat in layout["seats"]}
        self.focal = layout["focal_point"]
        self.free = set(self.seats) - set(case["not_free"])
        self.rules = {"orphans": "off", "orphans_below_percent": 10, "groups": "by_place"} | case["seat_rules"]
        self.released = case.get("companions_released", False)

    def is_ordinary(self, id: str) -> bool:
        kind = self.seats[id]["kind"]
        return kind != "wheelchair_space" and (kind != "companion" or self.released)

    def beside(self, id: str) -> list[str]:
        return [self.seats[id][side] for side in ("left", "right") if side in self.seats[id]]

    def left_over(self, taken: list[str]) -> list[dict[str, str]]:
        groups = {self.seats[id]["group"] for id in taken if "group" in self.seats[id]}
        rest = [id for id in self.seats if id in self.free and id not in taken and self.seats[id].get("group") in groups]
        if self.rules["groups"] == "whole" and rest:
            return [{"seat": id, "reason": "part_of_group"} for id in rest]
        before = {id for id in self.free if self.is_ordinary(id)}
        after = before - set(taken)
        ordinary = sum(map(self.is_ordinary, self.seats))
        if self.rules["orphans"] == "off" or 100 * len(after) < ordinary * self.rules["orphans_below_percent"]:
            return []
        alone = [id for id in self.seats if self.is_alone(id, after) and not self.is_alone(id, before)]
        if self.rules["orphans"] == "lenient":
            alone = [id for id in alone if len(self.block(id, before) - set(taken)) > 1]
        return [{"seat": id, "reason": "left_alone"} for id in alone]

    def is_alone(self, id: str, open: set[str]) -> bool:
        return id in open and not any(beside in open for beside in self.beside(id))

    def block(self, id: str, open: set[str]) -> set[str]:
        block, ends = set(), [id]
        while ends:
            seat = ends.pop()
            if seat in open and seat not in block:
                block.add(seat)
                ends += self.beside(seat)
        return block

    def rows(self, case: dict[str, object], count: int) -> list[list[str]]:
        """Every so many neighbours that the party would take, whatever they leave over."""
        found = []
        for id in self.seats:
            row = [id]
            while len(row) < count and "right" in self.seats[row[-1]]:
                row.append(self.seats[row[-1]]["right"])
            if len(row) == count and all(self.suits(seat, row, case) for seat in row):
                spaces = sum(self.seats[seat]["kind"] == "wheelchair_space" for seat in row)
                found += [row] if spaces == case["wheelchairs"] else []
        return found

    def suits(self, id: str, row: list[str], case: dict[str, object]) -> bool:
        seat = self.seats[id]
        with_space = any(space in row for space in seat.get("companion_of", []))
        right_kind = self.is_ordinary(id) or with_space or (seat["kind"] == "wheelchair_space" and case["wheelchairs"] > 0)
        return id in self.free and seat["zone"] in case["zones"] and right_kind

    def distances(self, row: list[str]) -> list[int]:
        points = [self.seats[id] for id in row]
        return sorted((p["x"] - self.focal["x"]) ** 2 + (p["y"] - self.focal["y"]) ** 2 for p in points)


def check_best(checks: Checks, hall: Hall, case: dict[str, object]) -> None:
    allowed = [row for row in hall.rows(case, case["count"]) if not hall.left_over(row)]
    chosen = case["seats"]
    checks.same(f"{case['what']}: may be chosen", chosen in allowed if chosen else allowed, bool(chosen) if chosen else [])
    if chosen:
        nearer = [row for row in allowed if any(there < here for here, there in zip(hall.distances(chosen), hall.distances(row)))]
        checks.same(f"{case['what']}: nearer in any way", nearer, [])
    alone = case | {"wheelchairs": 0}
    most = max((n for n in range(1, len(hall.seats) + 1) if hall.rows(alone, n)), default=0)
    checks.same(f"{case['what']}: most together", most, case["most_together"])


# ---- feeds


def read_feed(page: dict[str, object]) -> None:
    must(isinstance(page, dict) and isinstance(page["next"], str), "no page")
    for item in page["items"]:
        read_id(item["screening"])
        read_id(item["cinema"])
        must(re.fullmatch(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z", item["changed_at"]) is not None, "TIME-001")
        if item.get("data") is not None:
            must({"id", "cinema", "hall", "items", "starts_at", "sales"} <= set(item["data"]), "no screening")


def known_after(pages: list[dict[str, object]]) -> dict[str, str]:
    """FEED-001, FEED-002."""
    known = {}
    for page in pages:
        for item in page["items"]:
            known[item["screening"]] = item.get("data") and item["data"]["status"]
    return {id: status for id, status in known.items() if status}


# ---- all of them


class Checks:
    def __init__(self, folder: Path) -> None:
        self.folder, self.done, self.wrong = folder, 0, []

    def load(self, name: str) -> dict[str, list]:
        return json.loads((self.folder / f"{name}.json").read_text())

    def judge(self, what: str, cases: list, read) -> None:
        for case in cases:
            try:
                read(case["input"])
                accepted = True
            except (Refused, KeyError, TypeError, ValueError) as error:
                accepted, why = False, error
            if accepted != case["valid"]:
                self.wrong.append(f"{what}: {case['input']!r} is {'accepted' if accepted else f'refused ({why})'} here")
            self.done += 1

    def same(self, what: str, here: object, there: object) -> None:
        if here != there:
            self.wrong.append(f"{what}: {here!r} here, {there!r} in the file")
        self.done += 1


def main() -> None:
    checks = Checks(Path(sys.argv[1]))
    ids, documents, money = (checks.load(name) for name in ("ids", "json", "money"))
    checks.judge("id", ids["ids"], read_id)
    checks.judge("content name", ids["content_names"], read_content_name)
    for case in ids["names_of"]:
        name = "sha256-" + b64_of(hashlib.sha256(case["document"].encode()).digest())
        checks.same(f"name of {case['document']!r}", name, case["name"])
    for case in ids["screening_digests"]:
        digest = hashlib.sha256(case["screening"].encode()).hexdigest()[:16]
        checks.same(f"digest of {case['screening']}", digest, case["digest"])
    checks.judge("document", documents["documents"], read_json)
    checks.judge("signed document", documents["signed_documents"], lambda text: read_json(text, whole_numbers=True))
    checks.judge("amount", money["amounts"], read_money)
    for case in money["percentages"]:
        checks.same(f"{case['percent']} % of {case['amount']}", share(case["amount"], case["percent"]), case["share"])
    checks.judge("texts", checks.load("texts")["texts"], read_texts)
    times = checks.load("times")
    checks.judge("moment", times["moments"], read_moment)
    for case in times["locals"]:
        checks.same(f"{case['local']} in {case['zone']}", moment_of(case["local"], case["zone"]), case["is"])
    for case in times["business_dates"]:
        date = business_date(case["at"], case["zone"], case["cutoff"])
        checks.same(f"evening of {case['at']}", date, case["business_date"])
    for case in checks.load("keys")["keys"]:
        secret = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(case["seed"]))
        public = secret.public_key().public_bytes_raw()
        checks.same("public key", b64_of(public), case["public"])
        checks.same("key id", b64_of(hashlib.sha256(public).digest()[:16]), case["key_id"])
        checks.same("signature", secret.sign(case["message"].encode()).hex(), case["signature"])
    checks.judge("signature", checks.load("signatures")["signatures"], read_signature)
    manifests = checks.load("manifests")
    checks.judge("manifest", manifests["manifests"], read_manifest)
    checks.judge("move", manifests["moves"], read_move)
    checks.judge("request", checks.load("requests")["requests"], read_request)
    choices = checks.load("choices")
    for case in choices["chosen"]:
        checks.same(case["what"], Hall(choices["layout"], case).left_over(case["seats"]), case["conflicts"])
    for case in choices["best"]:
        check_best(checks, Hall(choices["layout"], case), case)
    feeds = checks.load("feeds")
    checks.judge("page of a feed", feeds["pages"], read_feed)
    for case in feeds["histories"]:
        checks.same(case["what"], known_after(case["pages"]), case["screenings"])
        checks.same(f"{case['what']}: the cursor", case["pages"][-1]["next"], case["read_on"])
    tickets = checks.load("tickets")
    cddl = Cddl((checks.folder.parent / "ticket.cddl").read_text())
    checks.judge("proof", tickets["proofs"], read_proof)
    for case in tickets["proofs"]:
        if case["valid"]:
            rules = ("holder_proof", "proof_header", "proof")
            checks.same("a proof by the CDDL", cddl.fits_ticket(read_proof(case["input"]), rules), True)
    for case in tickets["tickets"]:
        try:
            says = read_ticket(case["code"], tickets["ticket_key"])
        except (Refused, KeyError, TypeError, ValueError, AttributeError):
            says = None
        checks.same(f"ticket {case.get('why', case['code'][:20])}", says, case.get("says"))
        if says:
            data = base45(case["code"][7:])
            checks.same("a ticket by the CDDL", cddl.fits_ticket(data), True)
            protected, unprotected, payload, signature = one_item(data).value
            claims = one_item(payload)
            claims[-65537][2] = "x" * 13
            longer = cbor2.CBORTag(18, [protected, unprotected, cbor2.dumps(claims), signature])
            checks.same("a row's label of 13 bytes by the CDDL", cddl.fits_ticket(cbor2.dumps(longer)), False)
    for case in checks.load("policies")["refunds"]:
        back = refund(case["policy"], case["price"]["amount"], case["starts_at"], case["now"])
        checks.same(f"refund at {case['now']}", back, case["refund"])
    prices = checks.load("prices")
    for case in prices["totals"]:
        checks.same(f"total of {case['tickets']}", total(prices["price_table"][0], case["tickets"]), case["total"])
    for wrong in checks.wrong:
        print(wrong)
    print(f"{checks.done - len(checks.wrong)} of {checks.done} vectors are the same here")
    sys.exit(1 if checks.wrong else 0)


if __name__ == "__main__":
    main()
