"""Tokens that are bound to a key, and the proofs that go with them (DPoP, RFC 9449).

Needs the package `cryptography`: install `deputy-mcp[keys]`.
"""

import hashlib
import secrets
import time
from collections import OrderedDict
from typing import Self
from urllib.parse import urlsplit

from deputy_mcp.signing import Signer, base64url

# Bytes of chance in a `jti`: a proof is made for one request and works once.
_JTI_BYTES = 16
# Servers whose latest nonce is remembered.
_MAX_ORIGINS = 64
# Characters of a nonce; a server that gives a longer one gets proofs without.
_MAX_NONCE = 256


class ProofKey:
    """A key that an agent's tokens are bound to: whoever steals a token cannot use it.

    Give one to `Agent(…, dpop=…)`. Made anew at every start it needs no keeping: tokens live for
    minutes. It also remembers what servers want in the next proof (`DPoP-Nonce`).
    """

    def __init__(self, signer: Signer) -> None:
        self._signer = signer
        self._header = {"typ": "dpop+jwt", "jwk": signer.public_jwk()}
        self._nonces: OrderedDict[str, str] = OrderedDict()

    @classmethod
    def generate(cls) -> Self:
        """A new key, on P-256, that never leaves the process."""
        return cls(Signer.generate())

    @classmethod
    def from_pem(cls, pem: bytes, password: bytes | None = None) -> Self:
        """A kept key, on P-256 or Ed25519, from a PEM file's bytes.

        Raises `TypeError` for another kind of key, `ValueError` for what is no key.
        """
        return cls(Signer.from_pem(pem, password))

    def __repr__(self) -> str:
        return "ProofKey(…)"

    def proof(self, method: str, url: str, token: str | None = None) -> str:
        """The proof for one request, of the key and of the token that is sent with it.

        RFC 9449 section 4.2: `htu` is the URL without query and fragment.
        """
        said: dict[str, str | int] = {
            "jti": secrets.token_urlsafe(_JTI_BYTES),
            "htm": method,
            "htu": url.split("#", 1)[0].split("?", 1)[0],
            "iat": int(time.time()),
        }
        if token is not None:
            said["ath"] = base64url(hashlib.sha256(token.encode()).digest())
        if (nonce := self._nonces.get(_origin(url))) is not None:
            said["nonce"] = nonce
        return self._signer.jwt(self._header, said)

    def observe(self, url: str, nonce: str | None) -> None:
        """Takes note of the nonce that an answer brings (RFC 9449 section 8.2)."""
        if nonce is None or not 0 < len(nonce) <= _MAX_NONCE:
            return
        origin = _origin(url)
        self._nonces[origin] = nonce
        self._nonces.move_to_end(origin)
        while len(self._nonces) > _MAX_ORIGINS:
            self._nonces.popitem(last=False)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()
