//! All keys of the file provider, and those of entry points.

use super::imported;
use crate::import::{
    files::Text,
    tests::has,
    traefik::tree::{self, Node, Value},
};

#[test]
fn each_key_that_there_is_becomes_something_or_is_named() {
    let tree = tree::parse(Text {
        name: "all.yml".into(),
        text: ALL.to_owned(),
    });
    let text = imported("all.yml", &block_form(&tree.unwrap(), 0));
    has(
        &text,
        &["[routes.all]", "access.deny = [\"0.0.0.0/0\", \"::/0\"]"],
    );
    assert!(!text.contains("W6ph5Mm5"), "{text}");
}

/// Writes a tree with a line for each value.
fn block_form(node: &Node, depth: usize) -> String {
    let indent = "  ".repeat(depth);
    match &node.value {
        Value::Map(entries) if entries.is_empty() => " {}\n".to_owned(),
        Value::Map(entries) => {
            let entries = entries
                .iter()
                .map(|(key, node)| format!("{indent}{key:?}:{}", block_form(node, depth + 1)));
            format!("\n{}", entries.collect::<String>())
        }
        Value::List(items) => {
            let items = items
                .iter()
                .map(|node| format!("{indent}-{}", block_form(node, depth + 1)));
            format!("\n{}", items.collect::<String>())
        }
        Value::Text(text) => format!(" {text:?}\n"),
        Value::Null => "\n".to_owned(),
    }
}

/// All keys of the file provider, each with a value that makes sense.
const ALL: &str = r#"
http:
  routers:
    all:
      entryPoints: [web, websecure]
      middlewares: [m00, m02, m04, m05, m06, m08, m10, m11, m12, m13, m15, m19, m20, m23]
      service: s1
      rule: Host(`a.example`) && HeadersRegexp(`X-A`, `^b`)
      ruleSyntax: v2
      priority: 42
      tls: {options: o1, certResolver: le, domains: [{main: a.example, sans: [b.example]}]}
      observability: {accessLogs: false, metrics: true, tracing: true}
    more: {rule: PathPrefix(`/m`), service: s2, middlewares: [m01, m03, m07, m09, m14]}
    yet: {rule: PathPrefix(`/n`), service: s3, middlewares: [m16, m17, m18, m21, m22]}
    last: {rule: PathPrefix(`/o`), service: s4, newKey: x}
  services:
    s1:
      loadBalancer:
        sticky: {cookie: {name: a, secure: true, httpOnly: true, sameSite: none, maxAge: 1, path: /, domain: x}}
        servers: [{url: "http://10.0.0.1", weight: 2, preservePath: true}, {url: "http://10.0.0.2", newKey: x}]
        strategy: p2c
        healthCheck: {scheme: http, mode: http, path: /up, method: HEAD, status: 204, port: 42, interval: 42s, unhealthyInterval: 2s, timeout: 4s, hostname: x, followRedirects: true, headers: {a: b}, newKey: x}
        passiveHealthCheck: {failureWindow: 3s, maxFailedAttempts: 3}
        passHostHeader: true
        responseForwarding: {flushInterval: 42ms}
        serversTransport: t1
        newKey: x
    s2: {mirroring: {service: s1, mirrorBody: true, maxBodySize: 42, healthCheck: {}, mirrors: [{name: s5, percent: 42}, {name: s1, percent: 4}]}}
    s3: {weighted: {healthCheck: {}, services: [{name: s1, weight: 42}, {name: s5}], sticky: {cookie: {name: a}}}}
    s4: {failover: {service: s1, fallback: s5, healthCheck: {}, errors: {status: ["500"]}}}
    s5: {loadBalancer: {servers: [{url: "https://10.0.0.5"}], serversTransport: t2}}
    s6: {newKind: {a: b}}
  middlewares:
    m00: {addPrefix: {prefix: /x}}
    m01: {basicAuth: {users: ["u:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g="], usersFile: users, realm: r, removeHeader: true, headerField: X-U}}
    m02: {buffering: {maxRequestBodyBytes: 42, memRequestBodyBytes: 42, maxResponseBodyBytes: 42, memResponseBodyBytes: 42, retryExpression: "IsNetworkError()"}}
    m03: {chain: {middlewares: [m00, m02]}}
    m04: {circuitBreaker: {expression: "NetworkErrorRatio() > 0.30", checkPeriod: 1s, fallbackDuration: 1s, recoveryDuration: 1s, responseCode: 500}}
    m05: {compress: {excludedContentTypes: [text/a], includedContentTypes: [text/html], minResponseBodyBytes: 42, defaultEncoding: gzip, encodings: [gzip]}}
    m06: {contentType: {autoDetect: true}}
    m07: {digestAuth: {users: ["u:r:h"], usersFile: f, removeHeader: true, realm: r, headerField: x}}
    m08: {errors: {status: ["500-502"], service: s1, query: "/{status}", statusRewrites: {"500": 502}}}
    m09: {forwardAuth: {address: "https://auth.example/v", tls: {ca: shop.pem, cert: shop.pem, key: shop.key, insecureSkipVerify: true, newKey: x}, trustForwardHeader: true, authResponseHeaders: [X-U], authResponseHeadersRegex: ^X, authRequestHeaders: [A], addAuthCookiesToResponse: [c], headerField: X-V, forwardBody: true, maxBodySize: 1, preserveLocationHeader: true, preserveRequestMethod: true}}
    m10:
      headers:
        customRequestHeaders: {X-A: b, Connection: upgrade, Host: h.example, X-Forwarded-Proto: ""}
        customResponseHeaders: {X-C: d, Server: ""}
        accessControlAllowCredentials: true
        accessControlAllowHeaders: [X-A]
        accessControlAllowMethods: [GET]
        accessControlAllowOriginList: ["https://a.example"]
        accessControlAllowOriginListRegex: ["^https://b"]
        accessControlExposeHeaders: [X-B]
        accessControlMaxAge: 42
        addVaryHeader: true
        allowedHosts: [a.example]
        hostsProxyHeaders: [X-H]
        sslRedirect: true
        sslTemporaryRedirect: true
        sslHost: a.example
        sslForceHost: true
        sslProxyHeaders: {X-Forwarded-Proto: https}
        stsSeconds: 42
        stsIncludeSubdomains: true
        stsPreload: true
        forceSTSHeader: true
        frameDeny: true
        customFrameOptionsValue: SAMEORIGIN
        contentTypeNosniff: true
        browserXssFilter: true
        customBrowserXSSValue: "0"
        contentSecurityPolicy: default-src 'self'
        contentSecurityPolicyReportOnly: default-src 'self'
        publicKey: x
        referrerPolicy: same-origin
        permissionsPolicy: geolocation=()
        featurePolicy: x
        isDevelopment: true
    m11: {ipAllowList: {sourceRange: [10.0.0.0/8], rejectStatusCode: 404, ipStrategy: {depth: 1, excludedIPs: [10.0.0.1], ipv6Subnet: 64}}}
    m12: {inFlightReq: {amount: 42, sourceCriterion: {ipStrategy: {depth: 1}, requestHeaderName: x, requestHost: true}}}
    m13: {passTLSClientCert: {pem: true, info: {notAfter: true, sans: true, subject: {country: true}, issuer: {country: true}}}}
    m14: {plugin: {p: {a: b}}}
    m15: {rateLimit: {average: 42, period: 42s, burst: 42, redis: {endpoints: ["a:1"]}, sourceCriterion: {ipStrategy: {depth: 1}, requestHeaderName: x, requestHost: true}}}
    m16: {redirectRegex: {regex: "^https?://a.example/x/(.*)", replacement: "https://b.example/$1", permanent: true}}
    m17: {redirectScheme: {scheme: ftp, port: 1, permanent: true, forcePermanentRedirect: true}}
    m18: {replacePath: {path: /p}}
    m19: {replacePathRegex: {regex: "^/a", replacement: /b?c}}
    m20: {retry: {attempts: 42, initialInterval: 42s, timeout: 1s, maxRequestBodyBytes: 1, status: ["502"]}}
    m21: {stripPrefix: {prefixes: [/a, /b], forceSlash: true}}
    m22: {stripPrefixRegex: {regex: [/c, /d]}}
    m23: {grpcWeb: {allowOrigins: ["*"]}}
    m24: {newKind: {a: b}}
  serversTransports:
    t1: {serverName: a, insecureSkipVerify: true, rootCAs: [shop.pem], maxIdleConnsPerHost: 4}
    t2:
      serverName: a
      insecureSkipVerify: true
      rootCAs: [shop.pem, b]
      certificates: [{certFile: a, keyFile: b}, {certFile: c, keyFile: d}]
      maxIdleConnsPerHost: 42
      forwardingTimeouts: {dialTimeout: 4s, responseHeaderTimeout: 42s, idleConnTimeout: 0, readIdleTimeout: 42s, pingTimeout: 42s}
      disableHTTP2: true
      peerCertURI: x
      spiffe: {ids: [a], trustDomain: b}
    t3: {serverName: x}
  models: {a: {b: c}}
tcp:
  routers: {t: {rule: HostSNI(`*`), service: x, tls: {passthrough: true}}}
  services: {x: {loadBalancer: {servers: [{address: "a:1"}]}}}
  middlewares: {m: {inFlightConn: {amount: 1}}}
udp:
  routers: {u: {service: x}}
tls:
  certificates: [{certFile: shop.pem, keyFile: shop.key, stores: [default]}]
  options:
    default: {minVersion: VersionTLS13, maxVersion: VersionTLS13, cipherSuites: [A], curvePreferences: [B], clientAuth: {caFiles: [shop.pem], clientAuthType: VerifyClientCertIfGiven}, sniStrict: true, alpnProtocols: [h2], newKey: x}
    o1: {minVersion: VersionTLS12, clientAuth: {caFiles: [shop.pem], clientAuthType: RequireAndVerifyClientCert}}
  stores:
    default: {defaultCertificate: {certFile: shop.pem, keyFile: shop.key}, defaultGeneratedCert: {resolver: a, domain: {main: b}}}
    other: {defaultCertificate: {certFile: a, keyFile: b}}
entryPoints:
  web:
    address: ":80"
    asDefault: true
    reusePort: true
    http: {redirections: {entryPoint: {to: websecure, scheme: https, permanent: false, priority: 10}}, middlewares: [m00], encodeQuerySemicolons: true, maxHeaderBytes: 65536}
    http2: {maxConcurrentStreams: 42}
    http3: {advertisedPort: 443}
    proxyProtocol: {trustedIPs: [10.0.0.0/8], insecure: true}
    forwardedHeaders: {trustedIPs: [10.0.0.0/8], insecure: true}
    transport: {respondingTimeouts: {readTimeout: 60, writeTimeout: 0, idleTimeout: 180}, lifeCycle: {requestAcceptGraceTimeout: 1, graceTimeOut: 10}, keepAliveMaxRequests: 42, keepAliveMaxTime: 42}
    newKey: x
  websecure: {address: ":443", http: {tls: {options: x, certResolver: le, domains: [{main: a}]}}}
  dns: {address: ":53/udp"}
providers: {file: {filename: none.yml, watch: true}, docker: {endpoint: x}}
api: {dashboard: true, insecure: true}
ping: {entryPoint: web}
log: {level: DEBUG}
accessLog: {filePath: /x, filters: {statusCodes: ["200"]}}
metrics: {prometheus: {buckets: [0.1]}}
tracing: {otlp: {http: {endpoint: x}}}
global: {checkNewVersion: true}
certificatesResolvers: {le: {acme: {email: a, storage: b}}}
serversTransport: {insecureSkipVerify: true}
experimental: {plugins: {p: {moduleName: x, version: y}}}
newTable: {a: b}
"#;
