//! The requests, and how their server answers.

/// Requests for one URL, and how its server answers.
pub(super) struct Case {
    pub(super) name: &'static str,
    /// Status, and fields.
    pub(super) answer: (&'static str, &'static str),
    /// Method, query, and lines of each request.
    pub(super) requests: &'static [(&'static str, &'static str, &'static str)],
}

const fn case(
    name: &'static str,
    fields: &'static str,
    requests: &'static [(&'static str, &'static str, &'static str)],
) -> Case {
    Case {
        name,
        answer: ("200 OK", fields),
        requests,
    }
}

const fn of(
    status: &'static str,
    name: &'static str,
    fields: &'static str,
    requests: &'static [(&'static str, &'static str, &'static str)],
) -> Case {
    Case {
        name,
        answer: (status, fields),
        requests,
    }
}

const GET: (&str, &str, &str) = ("GET", "", "");
const TWICE: &[(&str, &str, &str)] = &[GET, GET];
const FRESH: &str = "cache-control: max-age=600\r\n";
const TAGGED: &str = "cache-control: max-age=600\r\netag: \"one\"\r\nlast-modified: Sat, 21 Nov 2026 12:00:00 GMT\r\n";

pub(super) const CASES: &[Case] = &[
    case("max-age", FRESH, TWICE),
    case(
        "max-age in capitals",
        "cache-control: Max-Age=600\r\n",
        TWICE,
    ),
    case("max-age of 0", "cache-control: max-age=0\r\n", TWICE),
    case(
        "s-maxage over max-age",
        "cache-control: max-age=0, s-maxage=600\r\n",
        TWICE,
    ),
    case(
        "s-maxage of 0",
        "cache-control: max-age=600, s-maxage=0\r\n",
        TWICE,
    ),
    case(
        "Expires",
        "expires: Thu, 01 Jan 2099 00:00:00 GMT\r\n",
        TWICE,
    ),
    case(
        "Expires long ago",
        "expires: Thu, 01 Jan 1998 00:00:00 GMT\r\n",
        TWICE,
    ),
    case("Expires of 0", "expires: 0\r\n", TWICE),
    case(
        "max-age over Expires",
        "cache-control: max-age=600\r\nexpires: Thu, 01 Jan 1998 00:00:00 GMT\r\n",
        TWICE,
    ),
    case("nothing said", "", TWICE),
    case(
        "a date alone",
        "last-modified: Sat, 21 Nov 2026 12:00:00 GMT\r\n",
        TWICE,
    ),
    case("private", "cache-control: private, max-age=600\r\n", TWICE),
    case(
        "no-store",
        "cache-control: no-store, max-age=600\r\n",
        TWICE,
    ),
    case(
        "no-cache",
        "cache-control: no-cache, max-age=600\r\n",
        TWICE,
    ),
    case(
        "two lines",
        "cache-control: public\r\ncache-control: max-age=600\r\n",
        TWICE,
    ),
    case(
        "Set-Cookie",
        "cache-control: max-age=600\r\nset-cookie: a=b\r\n",
        TWICE,
    ),
    case(
        "an age",
        "cache-control: max-age=600\r\nage: 700\r\n",
        TWICE,
    ),
    case(
        "Vary, the same",
        "cache-control: max-age=600\r\nvary: x-lang\r\n",
        &[("GET", "", "x-lang: de"), ("GET", "", "x-lang: de")],
    ),
    case(
        "Vary, others",
        "cache-control: max-age=600\r\nvary: x-lang\r\n",
        &[
            ("GET", "", "x-lang: de"),
            ("GET", "", "x-lang: fr"),
            ("GET", "", "x-lang: de"),
            ("GET", "", "x-lang: fr"),
        ],
    ),
    case(
        "Vary of all",
        "cache-control: max-age=600\r\nvary: *\r\n",
        TWICE,
    ),
    case(
        "Authorization",
        FRESH,
        &[("GET", "", "authorization: Basic YTpi"), GET],
    ),
    case(
        "Authorization, public",
        "cache-control: public, max-age=600\r\n",
        &[("GET", "", "authorization: Basic YTpi"), GET],
    ),
    case(
        "cookies of the request",
        FRESH,
        &[("GET", "", "cookie: a=1"), ("GET", "", "cookie: a=2")],
    ),
    case(
        "other queries",
        FRESH,
        &[
            ("GET", "?a=1", ""),
            ("GET", "?a=2", ""),
            ("GET", "?a=1", ""),
        ],
    ),
    case(
        "queries in another order",
        FRESH,
        &[("GET", "?a=1&b=2", ""), ("GET", "?b=2&a=1", "")],
    ),
    case("HEAD of a stored one", FRESH, &[GET, ("HEAD", "", "")]),
    case("HEAD first", FRESH, &[("HEAD", "", ""), GET]),
    case(
        "a range of a stored one",
        TAGGED,
        &[GET, ("GET", "", "range: bytes=2-4")],
    ),
    case(
        "a range at the end",
        TAGGED,
        &[GET, ("GET", "", "range: bytes=-2")],
    ),
    case(
        "a range beyond the end",
        TAGGED,
        &[GET, ("GET", "", "range: bytes=100-")],
    ),
    case(
        "a range that is none",
        TAGGED,
        &[GET, ("GET", "", "range: lines=1-2")],
    ),
    case(
        "If-Range that holds",
        TAGGED,
        &[GET, ("GET", "", "range: bytes=2-4\nif-range: \"one\"")],
    ),
    case(
        "If-Range that does not",
        TAGGED,
        &[GET, ("GET", "", "range: bytes=2-4\nif-range: \"two\"")],
    ),
    case(
        "If-None-Match that holds",
        TAGGED,
        &[GET, ("GET", "", "if-none-match: \"zero\", \"one\"")],
    ),
    case(
        "If-None-Match, weak",
        TAGGED,
        &[GET, ("GET", "", "if-none-match: W/\"one\"")],
    ),
    case(
        "If-None-Match of all",
        TAGGED,
        &[GET, ("GET", "", "if-none-match: *")],
    ),
    case(
        "If-None-Match that does not",
        TAGGED,
        &[GET, ("GET", "", "if-none-match: \"two\"")],
    ),
    case(
        "If-None-Match first",
        TAGGED,
        &[("GET", "", "if-none-match: \"one\""), GET],
    ),
    case(
        "If-Modified-Since that holds",
        TAGGED,
        &[
            GET,
            (
                "GET",
                "",
                "if-modified-since: Sat, 21 Nov 2026 12:00:00 GMT",
            ),
        ],
    ),
    case(
        "If-Modified-Since, later",
        TAGGED,
        &[
            GET,
            (
                "GET",
                "",
                "if-modified-since: Sun, 22 Nov 2026 12:00:00 GMT",
            ),
        ],
    ),
    case(
        "If-Modified-Since, before",
        TAGGED,
        &[
            GET,
            (
                "GET",
                "",
                "if-modified-since: Fri, 20 Nov 2026 12:00:00 GMT",
            ),
        ],
    ),
    case(
        "a tag, stale at once",
        "cache-control: max-age=0\r\netag: \"one\"\r\n",
        TWICE,
    ),
    case(
        "a tag, to be validated",
        "cache-control: no-cache\r\netag: \"one\"\r\n",
        TWICE,
    ),
    case("POST between", FRESH, &[GET, ("POST", "", ""), GET]),
    case("POST twice", FRESH, &[("POST", "", ""), ("POST", "", "")]),
    case("DELETE between", FRESH, &[GET, ("DELETE", "", ""), GET]),
    case("OPTIONS between", FRESH, &[GET, ("OPTIONS", "", ""), GET]),
    case(
        "a client that wants it new",
        FRESH,
        &[GET, ("GET", "", "cache-control: no-cache")],
    ),
    case(
        "a client that wants it new, as in 1996",
        FRESH,
        &[GET, ("GET", "", "pragma: no-cache")],
    ),
    case(
        "a client of max-age 0",
        FRESH,
        &[GET, ("GET", "", "cache-control: max-age=0")],
    ),
    case(
        "a client of no-store",
        FRESH,
        &[("GET", "", "cache-control: no-store"), GET],
    ),
    case(
        "a client that wants a stored one",
        FRESH,
        &[GET, ("GET", "", "cache-control: only-if-cached")],
    ),
    case(
        "a client that wants a stored one, none",
        FRESH,
        &[("GET", "", "cache-control: only-if-cached")],
    ),
    case(
        "for CDNs",
        "cache-control: no-store\r\ncdn-cache-control: max-age=600\r\n",
        TWICE,
    ),
    case(
        "for nginx",
        "cache-control: no-store\r\nx-accel-expires: 600\r\n",
        TWICE,
    ),
    of("404 Not Found", "404", FRESH, TWICE),
    of("410 Gone", "410, nothing said", "", TWICE),
    of(
        "301 Moved Permanently",
        "301",
        "cache-control: max-age=600\r\nlocation: /x\r\n",
        TWICE,
    ),
    of("302 Found", "302, nothing said", "location: /x\r\n", TWICE),
    of("500 Internal Server Error", "500", FRESH, TWICE),
    of(
        "206 Partial Content",
        "206",
        "cache-control: max-age=600\r\ncontent-range: bytes 0-7/100\r\n",
        &[
            ("GET", "", "range: bytes=0-7"),
            ("GET", "", "range: bytes=0-7"),
        ],
    ),
];
