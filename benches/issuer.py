"""Who signs in the bench: an identity provider and a client with a key, fast, in nothing but Python.

The nonce of each signature is the one before plus one, so a signature costs two inversions instead
of a scalar multiplication. Anyone who sees two of them has the key: each lives for one run, on
loopback, and is good for nothing else.
"""

import base64
import hashlib
import json
import secrets
import time

P = 2**256 - 2**224 + 2**192 + 2**96 - 1
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
KEY_ID = "bench"
LIFETIME_S = 3600


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def add(a, b):
    """The sum of two points of P-256, neither of them infinity nor the other's negative."""
    slope = (
        (3 * a[0] * a[0] - 3) * pow(2 * a[1], -1, P)
        if a == b
        else (b[1] - a[1]) * pow(b[0] - a[0], -1, P)
    ) % P
    x = (slope * slope - a[0] - b[0]) % P
    return x, (slope * (a[0] - x) - a[1]) % P


def multiply(scalar: int):
    """`scalar` times the base point, for a scalar of at least 1."""
    point, power = None, G
    while scalar:
        if scalar & 1:
            point = power if point is None else add(point, power)
        power, scalar = add(power, power), scalar >> 1
    return point


class Key:
    """One ES256 key, and any number of signatures by it."""

    def __init__(self):
        self._secret = secrets.randbelow(N - 1) + 1
        self._public = multiply(self._secret)
        self._nonce = secrets.randbelow(N >> 1) + 1
        self._commitment = multiply(self._nonce)

    def jwk(self) -> dict:
        """The public key (RFC 7518 section 6.2)."""
        x, y = (base64url(part.to_bytes(32, "big")) for part in self._public)
        return {"kty": "EC", "crv": "P-256", "x": x, "y": y}

    def compact(self, header: str, claims: dict) -> str:
        """A signed token; the header is encoded already."""
        signing_input = f"{header}.{base64url(json.dumps(claims).encode())}"
        return f"{signing_input}.{base64url(self._sign(signing_input.encode()))}"

    def _sign(self, message: bytes) -> bytes:
        self._nonce += 1
        self._commitment = add(self._commitment, G)
        r = self._commitment[0] % N
        digest = int.from_bytes(hashlib.sha256(message).digest(), "big")
        s = pow(self._nonce, -1, N) * (digest + r * self._secret) % N
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def encoded(header: dict) -> str:
    """A header as it stands in a token."""
    return base64url(json.dumps(header).encode())


class Issuer:
    """One issuer, one key, any number of tokens, each with its own `jti`."""

    def __init__(self, url: str):
        self.url = url
        self._key = Key()
        self._header = encoded({"typ": "at+jwt", "alg": "ES256", "kid": KEY_ID})
        self._serial = 0

    def jwks(self) -> dict:
        """The public key as a JWK Set (RFC 7517), to pin at Deputy or to serve."""
        return key_set(self._key)

    def token(self, claims: dict) -> str:
        """An RFC 9068 access token with `claims` beside `iss`, `iat`, `exp` and a fresh `jti`."""
        self._serial += 1
        now = int(time.time())
        own = {"iss": self.url, "iat": now, "exp": now + LIFETIME_S, "jti": f"t-{self._serial}"}
        return self._key.compact(self._header, own | claims)


def key_set(key: Key) -> dict:
    """The key in a set, under the one name that all keys of the bench have."""
    return {"keys": [key.jwk() | {"kid": KEY_ID, "use": "sig", "alg": "ES256"}]}


class Client:
    """A client that proves itself by assertions (RFC 7523) and its key by proofs (RFC 9449)."""

    LIFETIME_S = 240

    def __init__(self, client_id: str):
        self.client_id = client_id
        self._key = Key()
        self._assertion = encoded({"alg": "ES256", "kid": KEY_ID})
        self._proof = encoded({"typ": "dpop+jwt", "alg": "ES256", "jwk": self._key.jwk()})
        self._serial = 0

    def jwks(self) -> dict:
        return key_set(self._key)

    def assertion(self, audience: str) -> str:
        now = int(time.time())
        parties = {"iss": self.client_id, "sub": self.client_id, "aud": audience}
        times = {"iat": now, "exp": now + self.LIFETIME_S}
        return self._key.compact(self._assertion, parties | times | {"jti": self._fresh("a")})

    def proof(self, uri: str, nonce: str) -> str:
        said = {"htm": "POST", "htu": uri, "iat": int(time.time()), "jti": self._fresh("p")}
        return self._key.compact(self._proof, said | {"nonce": nonce})

    def _fresh(self, prefix: str) -> str:
        self._serial += 1
        return f"{prefix}-{self._serial}"
