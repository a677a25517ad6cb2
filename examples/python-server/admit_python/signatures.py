"""Requests that a buyer's own key signs (RFC 9421, RFC 9530), in the one form of `spec/v1/buyer_keys.md`."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from typing import Mapping

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from .keys import base64url
from .web import Request
from .wire import Problem

TAG = "admit-buyer"
LIFE_MAX_S, AHEAD_MAX_S = 300, 60
FIELD_BYTES_MAX = 1024

_TEXT = r'"[^"\\]*"'
_PARAMETER = rf";([a-z*][a-z0-9_.*-]*)=({_TEXT}|-?[0-9]+)"
_SIGNATURE = re.compile(rf'\s*([a-z*][a-z0-9_.*-]*)=(\((?:{_TEXT}(?: {_TEXT})*)?\)(?:{_PARAMETER})*)\s*(?:,|$)')
_BYTES = re.compile(r"\s*([a-z*][a-z0-9_.*-]*)=:([A-Za-z0-9+/=]*):\s*(?:,|$)")


@dataclass(frozen=True)
class Signed:
    """What a signature says of itself."""

    label: str
    written: str
    covers: list[str]
    says: dict[str, str]


def members(pattern: re.Pattern[str], field: str) -> list[re.Match[str]]:
    """The members of a dictionary (RFC 9651), all of them of this form."""
    found, at = [], 0
    while at < len(field):
        match = pattern.match(field, at)
        if match is None or match.end() == at:
            raise ValueError("no dictionary of such members")
        found.append(match)
        at = match.end()
    return found


def read_inputs(field: str) -> list[Signed]:
    def read(match: re.Match[str]) -> Signed:
        inside, after = match[2][1:].split(")", 1)
        says = {name: value.strip('"') for name, value in re.findall(_PARAMETER, after)}
        return Signed(match[1], match[2], [part.strip('"') for part in inside.split()], says)

    return [read(match) for match in members(_SIGNATURE, field)]


def digest_of(body: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


class Signatures:
    """Reads who signed a request. What it refuses is a ValueError, and why."""

    def parts(self, request: Request, authority: str) -> dict[str, str]:
        """What must be covered (KEY-002)."""
        parts = {"@method": request.method, "@authority": authority, "@path": request.path, "@query": f"?{request.raw_query}"}
        if request.body:
            digest, kind = (request.headers.get(name, "") for name in ("Content-Digest", "Content-Type"))
            parts |= {"content-digest": digest.strip(), "content-type": kind.strip()}
        if "Idempotency-Key" in request.headers:
            parts["idempotency-key"] = request.headers["Idempotency-Key"]
        return parts

    def signer(self, request: Request, authority: str, now_s: float) -> bytes:
        """The 32 bytes of the key."""
        once = ("Signature-Input", "Signature", "Content-Digest", "Idempotency-Key")
        if any(len(request.headers.get_all(name, [])) > 1 for name in once):
            raise ValueError("send each field of a signature once")
        fields = {name: request.headers.get(name, "") for name in once[:2]}
        if any(len(field) > FIELD_BYTES_MAX for field in fields.values()):
            raise ValueError("the fields of a signature have at most 1024 bytes")
        ours = [signed for signed in read_inputs(fields["Signature-Input"]) if self.is_ours(signed.says)]
        if len(ours) != 1:
            raise ValueError(f"send one signature with the tag {TAG}")
        signed, parts = ours[0], self.parts(request, authority)
        self.check_cover(signed, parts)
        self.check_form(signed.says)
        self.check_time(signed.says, now_s)
        if request.body:
            self.check_digest(request)
        key = base64.urlsafe_b64decode(signed.says.get("keyid", "") + "=")
        signatures = {match[1]: base64.b64decode(match[2]) for match in members(_BYTES, fields["Signature"])}
        base = "".join(f'"{part}": {parts.get(part, "")}\n' for part in signed.covers)
        base += f'"@signature-params": {signed.written}'
        try:
            Ed25519PublicKey.from_public_bytes(key).verify(signatures.get(signed.label, b""), base.encode())
        except InvalidSignature as error:
            raise ValueError("the signature does not fit") from error
        return key

    def is_ours(self, says: Mapping[str, str]) -> bool:
        return says.get("tag") == TAG

    def check_cover(self, signed: Signed, parts: Mapping[str, str]) -> None:
        if sorted(signed.covers) != sorted(parts):
            raise ValueError(f"a signature covers exactly {' '.join(parts)}")

    def check_form(self, says: Mapping[str, str]) -> None:
        if says.get("alg") != "ed25519" or not 16 <= len(says.get("nonce", "")) <= 64:
            raise ValueError('`alg` is "ed25519", and `nonce` has 16 to 64 characters')

    def check_time(self, says: Mapping[str, str], now_s: float) -> None:
        """KEY-004."""
        created, expires = int(says["created"]), int(says["expires"])
        if not (0 < expires - created <= LIFE_MAX_S and created <= now_s + AHEAD_MAX_S and now_s < expires):
            raise ValueError("the signature is not good now")

    def check_digest(self, request: Request) -> None:
        """KEY-003."""
        digests = [digest.strip() for digest in request.headers.get("Content-Digest", "").split(",")]
        if digest_of(request.body) not in digests:
            raise ValueError("the body is not the one whose Content-Digest was signed")

    def owner(self, request: Request, authority: str, now_s: float) -> str:
        """The thumbprint of the key (RFC 7638), where the SHA-256 of a secret is (KEY-006)."""
        try:
            key = self.signer(request, authority, now_s)
        except (ValueError, KeyError) as error:
            raise Problem("unauthenticated", str(error)) from error
        return hashlib.sha256(f'{{"crv":"Ed25519","kty":"OKP","x":"{base64url(key)}"}}'.encode()).hexdigest()
