"""Writes keys as jwks.json, and a token of each algorithm on a line of tokens, by PyJWT."""

import json
import pathlib
import sys
import time

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, HMACAlgorithm, OKPAlgorithm, RSAAlgorithm

folder = pathlib.Path(sys.argv[1])
rsa_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
ec_keys = {
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "ES384": ec.generate_private_key(ec.SECP384R1()),
    "ES512": ec.generate_private_key(ec.SECP521R1()),
}
ed_key = ed25519.Ed25519PrivateKey.generate()
secret = b"s" * 64

signers = {alg: rsa_key for alg in ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")}
signers |= ec_keys | {"EdDSA": ed_key} | {alg: secret for alg in ("HS256", "HS384", "HS512")}

keys = [json.loads(RSAAlgorithm.to_jwk(rsa_key.public_key())) | {"kid": "RS"}]
keys += [json.loads(ECAlgorithm.to_jwk(key.public_key())) | {"kid": alg} for alg, key in ec_keys.items()]
keys += [json.loads(OKPAlgorithm.to_jwk(ed_key.public_key())) | {"kid": "EdDSA"}]
keys += [json.loads(HMACAlgorithm.to_jwk(secret)) | {"kid": "HS"}]
kids = {"RS": "RS", "PS": "RS", "HS": "HS"}

claims = {"sub": "anna", "iss": "https://login.example", "aud": "shop", "exp": int(time.time()) + 300}
(folder / "jwks.json").write_text(json.dumps({"keys": keys}))
lines = [
    jwt.encode(claims, key, algorithm=alg, headers={"kid": kids.get(alg[:2], alg)})
    for alg, key in signers.items()
]
(folder / "tokens").write_text("\n".join(lines))
