// Writes keys as jwks.json, and a token of each algorithm on a line of tokens, by jose.

const fs = require("node:fs");
const path = require("node:path");
const jose = require("jose");

const folder = process.argv[2];
const algorithms = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"];

async function main() {
  const keys = [];
  const lines = [];
  const sign = (alg, key) =>
    new jose.SignJWT({ roles: ["admin"] })
      .setProtectedHeader({ alg, kid: alg, typ: "JWT" })
      .setSubject("anna")
      .setIssuer("https://login.example")
      .setAudience(["shop", "other"])
      .setIssuedAt()
      .setExpirationTime("5m")
      .sign(key);
  for (const alg of algorithms) {
    const pair = await jose.generateKeyPair(alg, { extractable: true });
    keys.push({ ...(await jose.exportJWK(pair.publicKey)), kid: alg, alg, use: "sig" });
    lines.push(await sign(alg, pair.privateKey));
  }
  for (const [alg, length] of [["HS256", 32], ["HS384", 48], ["HS512", 64]]) {
    const secret = new Uint8Array(length).fill(7);
    keys.push({ kty: "oct", k: Buffer.from(secret).toString("base64url"), kid: alg, alg });
    lines.push(await sign(alg, secret));
  }
  fs.writeFileSync(path.join(folder, "jwks.json"), JSON.stringify({ keys }));
  fs.writeFileSync(path.join(folder, "tokens"), lines.join("\n"));
}

main();
