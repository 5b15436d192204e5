"""Signed JWTs (RFC 7515), made with a private key. Needs the package `cryptography`."""

import base64
import json
from collections.abc import Mapping
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

# RFC 7518 section 3.4: each half of an ES256 signature, and of the public key.
_HALF = 32


class Signer:
    """A private key, and the algorithm that goes with it. It is never shown."""

    def __init__(self, key: EllipticCurvePrivateKey | Ed25519PrivateKey) -> None:
        """Takes a key on P-256 (ES256) or Ed25519 (EdDSA); `ValueError` for another curve."""
        curve = key.curve.name if isinstance(key, EllipticCurvePrivateKey) else None
        if curve not in {None, SECP256R1.name}:
            raise ValueError(f"a key on `{curve}` is not taken: make one on P-256")
        self._key = key
        self._alg = "EdDSA" if isinstance(key, Ed25519PrivateKey) else "ES256"

    @classmethod
    def generate(cls) -> Self:
        """A new key on P-256."""
        return cls(generate_private_key(SECP256R1()))

    @classmethod
    def from_pem(cls, pem: bytes, password: bytes | None = None) -> Self:
        """Reads a PEM file's bytes.

        Raises `TypeError` for another kind of key, `ValueError` for what is no key.
        """
        key = load_pem_private_key(pem, password)
        if not isinstance(key, EllipticCurvePrivateKey | Ed25519PrivateKey):
            raise TypeError("only keys on P-256 and Ed25519 are taken: make one of those")
        return cls(key)

    def jwt(self, header: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
        """The claims, signed, under this header and the key's `alg`."""
        signed = f"{_part({**header, 'alg': self._alg})}.{_part(claims)}"
        return f"{signed}.{base64url(self._signature(signed.encode()))}"

    def public_jwk(self) -> dict[str, str]:
        """The public half (RFC 7517), and nothing beside it."""
        if isinstance(self._key, Ed25519PrivateKey):
            raw = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
            return {"kty": "OKP", "crv": "Ed25519", "x": base64url(raw)}
        point = self._key.public_key().public_numbers()
        x, y = (base64url(part.to_bytes(_HALF)) for part in (point.x, point.y))
        return {"kty": "EC", "crv": "P-256", "x": x, "y": y}

    def _signature(self, text: bytes) -> bytes:
        if isinstance(self._key, Ed25519PrivateKey):
            return self._key.sign(text)
        r, s = decode_dss_signature(self._key.sign(text, ECDSA(SHA256())))
        return r.to_bytes(_HALF) + s.to_bytes(_HALF)


def base64url(data: bytes) -> str:
    """Without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _part(value: Mapping[str, Any]) -> str:
    return base64url(json.dumps(value, separators=(",", ":")).encode())
