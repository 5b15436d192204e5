"""Clients that prove themselves with a key instead of a secret (`private_key_jwt`, RFC 7523).

Needs the package `cryptography`: install `deputy-mcp[keys]`.
"""

import base64
import json
import secrets
import time
from collections.abc import Mapping
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
# Seconds for which an assertion may be used; Deputy takes none that lives longer than 300.
LIFE_S = 60
# Bytes of chance in a `jti`: an assertion is made for one request and works once.
_JTI_BYTES = 16
# RFC 7518 section 3.4: each half of an ES256 signature.
_HALF = 32


class PrivateKey:
    """The private key of a client whose public key is registered at Deputy.

    Give it to `Agent` or `Deputy` where a secret would stand.
    """

    def __init__(self, key: EllipticCurvePrivateKey | Ed25519PrivateKey, kid: str) -> None:
        """Takes a key on P-256 (ES256) or Ed25519 (EdDSA); `ValueError` for another curve."""
        curve = key.curve.name if isinstance(key, EllipticCurvePrivateKey) else None
        if curve not in {None, SECP256R1.name}:
            raise ValueError(f"a key on `{curve}` is not taken: make one on P-256")
        self._key = key
        self._alg = "EdDSA" if isinstance(key, Ed25519PrivateKey) else "ES256"
        self._kid = kid

    @classmethod
    def from_pem(cls, pem: bytes, kid: str, password: bytes | None = None) -> Self:
        """Reads a PEM file's bytes; `kid` is what the registered key is called.

        Raises `TypeError` for another kind of key, `ValueError` for what is no key.
        """
        key = load_pem_private_key(pem, password)
        if not isinstance(key, EllipticCurvePrivateKey | Ed25519PrivateKey):
            raise TypeError("only keys on P-256 and Ed25519 are taken: make one of those")
        return cls(key, kid)

    def __repr__(self) -> str:
        return f"PrivateKey(kid={self._kid!r})"

    def proof(self, client_id: str, issuer: str) -> dict[str, str]:
        """The parameters of one request that say who asks (RFC 7523 section 2.2)."""
        now = int(time.time())
        head = {"typ": "client-authentication+jwt", "alg": self._alg, "kid": self._kid}
        said = {
            "iss": client_id,
            "sub": client_id,
            "aud": issuer,
            "iat": now,
            "exp": now + LIFE_S,
            "jti": secrets.token_urlsafe(_JTI_BYTES),
        }
        signed = f"{_part(head)}.{_part(said)}"
        assertion = f"{signed}.{_base64url(self._signature(signed.encode()))}"
        return {
            "client_id": client_id,
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion,
        }

    def _signature(self, text: bytes) -> bytes:
        if isinstance(self._key, Ed25519PrivateKey):
            return self._key.sign(text)
        r, s = decode_dss_signature(self._key.sign(text, ECDSA(SHA256())))
        return r.to_bytes(_HALF) + s.to_bytes(_HALF)


def _part(value: Mapping[str, Any]) -> str:
    return _base64url(json.dumps(value, separators=(",", ":")).encode())


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
