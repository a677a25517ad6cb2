"""An adapter of `check.py` for `admit-conformance vectors --command`: asked in lines of JSON, it answers in lines of JSON."""

from __future__ import annotations

import hashlib
import json
import sys

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import check

JUDGES = {
    "ids/ids": check.read_id,
    "ids/content_names": check.read_content_name,
    "json/documents": check.read_json,
    "json/signed_documents": lambda text: check.read_json(text, whole_numbers=True),
    "money/amounts": check.read_money,
    "texts/texts": check.read_texts,
    "times/moments": check.read_moment,
    "signatures/signatures": check.read_signature,
    "requests/requests": check.read_request,
    "manifests/manifests": check.read_manifest,
    "manifests/moves": check.read_move,
    "tickets/proofs": check.read_proof,
    "feeds/pages": check.read_feed,
}


def key(of: dict) -> dict:
    secret = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(of["seed"]))
    public = secret.public_key().public_bytes_raw()
    return {
        "public": check.b64_of(public),
        "key_id": check.b64_of(hashlib.sha256(public).digest()[:16]),
        "signature": secret.sign(of["message"].encode()).hex(),
    }


def best(of: dict, shared: dict) -> dict:
    """The row of which every seat is at least as near as those of any other."""
    hall = check.Hall(shared["layout"], of)
    allowed = [row for row in hall.rows(of, of["count"]) if not hall.left_over(row)]
    together = of | {"wheelchairs": 0}
    most = max((n for n in range(1, len(hall.seats) + 1) if hall.rows(together, n)), default=0)
    return {"seats": min(allowed, key=hall.distances, default=[]), "most_together": most}


RECKONERS = {
    "ids/names_of": lambda of, _: {"name": "sha256-" + check.b64_of(hashlib.sha256(of["document"].encode()).digest())},
    "ids/screening_digests": lambda of, _: {"digest": hashlib.sha256(of["screening"].encode()).hexdigest()[:16]},
    "money/percentages": lambda of, _: {"share": check.share(of["amount"], of["percent"])},
    "times/locals": lambda of, _: {"is": check.moment_of(of["local"], of["zone"])},
    "times/business_dates": lambda of, _: {"business_date": check.business_date(of["at"], of["zone"], of["cutoff"])},
    "keys/keys": lambda of, _: key(of),
    "tickets/tickets": lambda of, shared: {"says": check.read_ticket(of["code"], shared["ticket_key"])},
    "policies/refunds": lambda of, _: {"refund": check.refund(of["policy"], of["price"]["amount"], of["starts_at"], of["now"])},
    "prices/totals": lambda of, shared: {"total": check.total(shared["price_table"][0], of["tickets"])},
    "choices/chosen": lambda of, shared: {"conflicts": check.Hall(shared["layout"], of).left_over(of["seats"])},
    "choices/best": best,
    "feeds/histories": lambda of, _: {"screenings": check.known_after(of["pages"]), "read_on": of["pages"][-1]["next"]},
}


def answer(asked: dict) -> dict:
    name = asked["vectors"]
    try:
        if asked["do"] == "judge" and name in JUDGES:
            JUDGES[name](asked["input"])
            return {"ok": {}}
        if asked["do"] == "reckon" and name in RECKONERS:
            return {"ok": RECKONERS[name](asked["of"], asked["with"])}
    except (check.Refused, KeyError, TypeError, ValueError, AttributeError) as error:
        return {"refused": str(error) or type(error).__name__}
    return {"unknown": f"{name} is nothing that this reads"}


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), flush=True)
