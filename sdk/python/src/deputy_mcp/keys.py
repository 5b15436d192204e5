"""Clients that prove themselves with a key instead of a secret (`private_key_jwt`, RFC 7523).

Needs the package `cryptography`: install `deputy-mcp[keys]`.
"""

import secrets
import time
from typing import Self

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from deputy_mcp.signing import Signer

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
# Seconds for which an assertion may be used; Deputy takes none that lives longer than 300.
LIFE_S = 60
# Bytes of chance in a `jti`: an assertion is made for one request and works once.
_JTI_BYTES = 16


class PrivateKey:
    """The private key of a client whose public key is registered at Deputy.

    Give it to `Agent` or `Deputy` where a secret would stand.
    """

    def __init__(self, key: EllipticCurvePrivateKey | Ed25519PrivateKey | Signer, kid: str) -> None:
        """Takes a key on P-256 (ES256) or Ed25519 (EdDSA); `ValueError` for another curve."""
        self._signer = key if isinstance(key, Signer) else Signer(key)
        self._kid = kid

    @classmethod
    def from_pem(cls, pem: bytes, kid: str, password: bytes | None = None) -> Self:
        """Reads a PEM file's bytes; `kid` is what the registered key is called.

        Raises `TypeError` for another kind of key, `ValueError` for what is no key.
        """
        return cls(Signer.from_pem(pem, password), kid)

    def __repr__(self) -> str:
        return f"PrivateKey(kid={self._kid!r})"

    def proof(self, client_id: str, issuer: str) -> dict[str, str]:
        """The parameters of one request that say who asks (RFC 7523 section 2.2)."""
        now = int(time.time())
        head = {"typ": "client-authentication+jwt", "kid": self._kid}
        said = {
            "iss": client_id,
            "sub": client_id,
            "aud": issuer,
            "iat": now,
            "exp": now + LIFE_S,
            "jti": secrets.token_urlsafe(_JTI_BYTES),
        }
        return {
            "client_id": client_id,
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": self._signer.jwt(head, said),
        }
