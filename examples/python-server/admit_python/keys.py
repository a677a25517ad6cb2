"""Keys, and the manifest's signature."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from .wire import write


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def content_name(data: bytes) -> str:
    """The name of a document that never changes (ID-002)."""
    return "sha256-" + base64url(hashlib.sha256(data).digest())


class SigningKey:
    """An Ed25519 key pair."""

    def __init__(self) -> None:
        self._private = Ed25519PrivateKey.generate()
        self.public: bytes = self._private.public_key().public_bytes_raw()

    def sign(self, data: bytes) -> bytes:
        return self._private.sign(data)

    def fingerprint(self, length: int) -> bytes:
        """The first bytes of SHA-256 of the public key: a `kid`, which is only a hint."""
        return hashlib.sha256(self.public).digest()[:length]


class ManifestSigner:
    """Signs manifests as flattened JWS (MAN-001)."""

    def header(self, key: SigningKey) -> dict[str, Any]:
        return {"alg": "EdDSA", "typ": "admit-manifest+jws", "kid": base64url(key.fingerprint(16))}

    def sign(self, key: SigningKey, manifest: dict[str, Any]) -> dict[str, str]:
        protected, payload = base64url(write(self.header(key))), base64url(write(manifest))
        signature = key.sign(f"{protected}.{payload}".encode())
        return {"protected": protected, "payload": payload, "signature": base64url(signature)}
