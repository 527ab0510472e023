//! Differences on purpose.

use super::Known;

/// A whole answer that we compress with gzip, and they do not.
const OURS_ALONE: &[(&str, &str, &str)] = &[
    ("coding", "gzip", ""),
    ("length", "", "36000"),
    ("ranges", "", "bytes"),
    ("tag", "W/\"one\"", "\"one\""),
];

/// The same the other way round.
const THEIRS_ALONE: &[(&str, &str, &str)] = &[
    ("coding", "", "gzip"),
    ("length", "36000", ""),
    ("vary", "", "accept-encoding"),
];

const KEEPS_DIGESTS: Known = Known {
    why: "a digest of the plain body is none of the compressed one: theirs stays, and is wrong",
    requests: &["digests"],
    lines: &[("digests", "", "Q2hlY2sgSW50ZWdyaXR5IQ==sha-256=:AA==:")],
};
const VARY_OF_304: Known = Known {
    why: "a 304 has the Vary and the tag of its 200 (RFC 9110 section 15.4.5)",
    requests: &["304 with a weak tag"],
    lines: &[
        ("vary", "accept-encoding", ""),
        ("tag", "W/\"one\"", "\"one\""),
    ],
};
const VARY_OF_STRONG_304: Known = Known {
    why: VARY_OF_304.why,
    requests: &["304"],
    lines: &[("vary", "accept-encoding", "")],
};
const VARY_TWICE: Known = Known {
    why: "what Vary has is not added again",
    requests: &["Vary"],
    lines: &[(
        "vary",
        "accept-encoding, cookie",
        "accept-encoding, accept-encoding, cookie",
    )],
};
const VARY_BESIDE_ALL: Known = Known {
    why: "nothing is to be added to a Vary of all",
    requests: &["Vary of all"],
    lines: &[("vary", "*", "*, accept-encoding")],
};

/// Differences to nginx.
pub(super) const NGINX: &[Known] = &[
    Known {
        why: "a client that likes the plain answer more gets it; nginx looks at the weight of gzip alone",
        requests: &["identity preferred"],
        lines: &[
            ("coding", "", "gzip"),
            ("length", "36000", ""),
            ("ranges", "bytes", ""),
            ("tag", "\"one\"", "W/\"one\""),
        ],
    },
    Known {
        why: "\"*\" is any coding, and lines are one list (RFC 9110 sections 12.5.3 and 5.3)",
        requests: &["star", "two lines"],
        lines: OURS_ALONE,
    },
    Known {
        why: "no-transform forbids it (RFC 9111 section 5.2.2.6)",
        requests: &["no-transform"],
        lines: THEIRS_ALONE,
    },
    Known {
        why: "and its tag stays",
        requests: &["no-transform"],
        lines: &[("tag", "\"kept\"", "W/\"kept\"")],
    },
    Known {
        why: "nginx compresses 200, 403 and 404 alone",
        requests: &["500"],
        lines: &[
            ("coding", "gzip", ""),
            ("length", "", "36000"),
            ("vary", "accept-encoding", ""),
        ],
    },
    VARY_OF_304,
    VARY_OF_STRONG_304,
    VARY_TWICE,
    VARY_BESIDE_ALL,
    KEEPS_DIGESTS,
];

/// Differences to Caddy.
pub(super) const CADDY: &[Known] = &[
    Known {
        why: "also the plain answer depends on Accept-Encoding (RFC 9110 section 12.5.5)",
        requests: &[
            "nothing accepted",
            "q of 0",
            "q of 0.0",
            "identity",
            "star of 0",
            "another name",
            "an empty list",
            "no length, plain",
        ],
        lines: &[("vary", "accept-encoding", "")],
    },
    Known {
        why: "other bytes have another strong tag, or a weak one (RFC 9110 section 8.8.1)",
        requests: &[
            "gzip",
            "a list",
            "q of 1",
            "q of 0.001",
            "q with blanks",
            "in capitals",
            "HEAD",
            "a range of a whole",
        ],
        lines: &[("tag", "W/\"one\"", "\"one\"")],
    },
    Known {
        why: "the length of an answer to HEAD is that to GET; Caddy compresses nothing",
        requests: &["HEAD"],
        lines: &[("length", "", "20")],
    },
    Known {
        why: "a client that likes the plain answer more gets it",
        requests: &["identity preferred"],
        lines: &[
            ("coding", "", "gzip"),
            ("length", "36000", ""),
            ("ranges", "bytes", ""),
        ],
    },
    Known {
        why: "\"*\" is any coding (RFC 9110 section 12.5.3)",
        requests: &["star", "gzip forbidden by name, star"],
        lines: &[
            ("coding", "zstd", ""),
            ("length", "", "36000"),
            ("ranges", "", "bytes"),
            ("tag", "W/\"one\"", "\"one\""),
            ("vary", "accept-encoding", ""),
        ],
    },
    Known {
        why: "lines are one list (RFC 9110 section 5.3)",
        requests: &["two lines"],
        lines: OURS_ALONE,
    },
    Known {
        why: "and so is its Vary",
        requests: &["two lines"],
        lines: &[("vary", "accept-encoding", "")],
    },
    Known {
        why: "a type that the server does not name is not guessed",
        requests: &["no type"],
        lines: THEIRS_ALONE,
    },
    Known {
        why: "no-transform forbids it (RFC 9111 section 5.2.2.6)",
        requests: &["no-transform"],
        lines: THEIRS_ALONE,
    },
    Known {
        why: "a part is one of the plain body: a client that joins parts gets rubbish",
        requests: &["a part"],
        lines: THEIRS_ALONE,
    },
    VARY_OF_304,
    VARY_OF_STRONG_304,
    VARY_TWICE,
    VARY_BESIDE_ALL,
    KEEPS_DIGESTS,
];
