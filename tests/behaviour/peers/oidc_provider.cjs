// An OpenID provider (npm oidc-provider) with its pages for development: any name logs in.
//
// Arguments: its port, the URL of the callback of the client "shop", its URL after a logout, and the one
// at which it takes logout tokens. It tells at /refreshes how many refresh tokens were used, at
// /revocations how many were revoked.

const path = require("node:path");
const { pathToFileURL } = require("node:url");

const [port, callback, loggedOut, backChannel] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;

async function main() {
  // It is a module, for which Node does not look at NODE_PATH.
  const place = path.join(process.env.NODE_PATH, "oidc-provider/lib/index.js");
  const { Provider } = await import(pathToFileURL(place));
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: "shop",
        client_secret: "a secret of the shop: with / and +",
        redirect_uris: [callback],
        post_logout_redirect_uris: [loggedOut],
        backchannel_logout_uri: backChannel,
        backchannel_logout_session_required: true,
        grant_types: ["authorization_code", "refresh_token"],
      },
    ],
    claims: { openid: ["sub", "groups"], email: ["email"], profile: ["name"] },
    conformIdTokenClaims: false,
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({ sub: id, groups: ["staff", "buyers"], email: `${id}@shop.example`, name: id }),
    }),
    issueRefreshToken: () => true,
    rotateRefreshToken: true,
    pkce: { required: () => true },
    features: {
      rpInitiatedLogout: { enabled: true },
      backchannelLogout: { enabled: true },
      revocation: { enabled: true },
    },
    // Without its guard against addresses of this machine.
    fetch: (url, { dispatcher, ...options }) => fetch(url, options),
    ttl: { AccessToken: 1, IdToken: 3600, RefreshToken: 3600 },
    cookies: { keys: ["a key of the provider"] },
  });
  const counts = { "/refreshes": 0, "/revocations": 0 };
  provider.on("grant.success", (ctx) => {
    counts["/refreshes"] += ctx.oidc.params.grant_type === "refresh_token" ? 1 : 0;
  });
  provider.use(async (ctx, next) => {
    if (ctx.path in counts) {
      ctx.body = String(counts[ctx.path]);
      return;
    }
    await next();
    if (ctx.path === "/token/revocation" && ctx.status === 200) {
      counts["/revocations"] += 1;
    }
  });
  provider.on("backchannel.error", (_, error) => console.error(error));
  provider.on("server_error", (_, error) => console.error(error));
  provider.listen(port, "127.0.0.1", () => process.stdout.write("ready\n"));
}

main();
