"""Requests that are signed by a key: what is taken for a signature, and whose it is."""

import dataclasses

from admit_python.signatures import Signatures

from . import mutant


@mutant("KEY-001", "A signature that was made for something else is taken.")
class TakesAnyTag(Signatures):
    def is_ours(self, says):
        return True


@mutant("KEY-001", "Nobody looks at the algorithm.")
class TakesAnyAlgorithm(Signatures):
    def check_form(self, says):
        super().check_form(dict(says) | {"alg": "ed25519"})


@mutant("KEY-001", "A nonce may be short.")
class TakesAnyNonce(Signatures):
    def check_form(self, says):
        super().check_form(dict(says) | {"nonce": "n" * 16})


@mutant("KEY-002", "A signature covers what it likes.")
class CoversAnything(Signatures):
    def check_cover(self, signed, parts):
        pass


@mutant("KEY-002", "The Idempotency-Key need not be covered.")
class KeysUncovered(Signatures):
    def check_cover(self, signed, parts):
        keyless = {part for part in parts if part != "idempotency-key"}
        covers = [part for part in signed.covers if part != "idempotency-key"]
        super().check_cover(dataclasses.replace(signed, covers=covers), dict.fromkeys(keyless, ""))


@mutant("KEY-002", "The server is whoever Host says.")
class BelievesHost(Signatures):
    def parts(self, request, authority):
        return super().parts(request, request.headers.get("Host", authority))


@mutant("KEY-003", "The digest is signed, and nobody reckons it again.")
class BelievesDigests(Signatures):
    def check_digest(self, request):
        pass


@mutant("KEY-004", "What was signed once is good for ever.")
class NeverOver(Signatures):
    def check_time(self, says, now_s):
        super().check_time(says, min(now_s, int(says["expires"]) - 1))


@mutant("KEY-004", "A signature may be good for an hour.")
class GoodForAnHour(Signatures):
    def check_time(self, says, now_s):
        life = int(says["expires"]) - int(says["created"])
        super().check_time(dict(says) | {"expires": str(int(says["created"]) + min(life, 300))}, now_s)


@mutant("KEY-004", "A signature may be of tomorrow.")
class OfTomorrow(Signatures):
    def check_time(self, says, now_s):
        super().check_time(says, max(now_s, int(says["created"])))


@mutant("KEY-006", "All who come with a key are one buyer.")
class OneKeyForAll(Signatures):
    def owner(self, request, authority, now_s):
        super().owner(request, authority, now_s)
        return "somebody with a key"
