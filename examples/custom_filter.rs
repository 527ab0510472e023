//! A filter of one's own: every request must show a key before it goes upstream.
//!
//! `API_KEY=secret cargo run --example custom_filter [proxy.toml]`, then
//! `curl -i http://127.0.0.1:8080/` and again with `-H 'x-api-key: secret'`.
#![expect(clippy::print_stderr, reason = "a program for the terminal")]

use std::{hint::black_box, process::ExitCode};

use http::StatusCode;
use sluicegate::{
    exchange::{Exchange, Reason, Refusal, Request, Response},
    failure::Failure,
    filter::{Filter, LocalBoxFuture, Verdict},
    semantics::{Known, Value},
    server::Server,
    telemetry::log::{self, LogFormat},
};

/// Lets pass who shows the key. One value serves all workers.
#[derive(Debug)]
struct ApiKey {
    key: String,
}

impl Filter for ApiKey {
    fn on_request<'a>(
        &'a self,
        exchange: &'a mut Exchange,
        request: &'a mut Request,
    ) -> LocalBoxFuture<'a, Result<Verdict, Failure>> {
        Box::pin(async move {
            // It is for us: the endpoint does not get to see it.
            let key = request.headers.get("x-api-key");
            let shown = key.is_some();
            let fits = key.is_some_and(|key| same(key.as_bytes(), self.key.as_bytes()));
            request.headers.remove("x-api-key");
            if fits {
                return Ok(Verdict::Continue);
            }
            let refusal = Refusal::new(StatusCode::UNAUTHORIZED, Reason::DENIED)
                .sentence("a key is needed")
                .header(Known::WwwAuthenticate, Value::from_static("ApiKey"))
                .detail(if shown { "a wrong key" } else { "no key" });
            Err(exchange.refuse(refusal))
        })
    }

    fn on_response<'a>(
        &'a self,
        _exchange: &'a mut Exchange,
        _response: &'a mut Response,
    ) -> LocalBoxFuture<'a, Result<(), Failure>> {
        Box::pin(async { Ok(()) })
    }
}

/// Compares in a time that does not tell how much of it is right.
fn same(shown: &[u8], key: &[u8]) -> bool {
    let pairs = shown.iter().zip(key);
    let different = pairs.fold(0, |sum, (a, b)| black_box(sum | (a ^ b)));
    shown.len() == key.len() && different == 0
}

fn main() -> ExitCode {
    let config = std::env::args_os().nth(1);
    let config = config.unwrap_or_else(|| "proxy.toml".into());
    let Ok(key) = std::env::var("API_KEY") else {
        eprintln!("API_KEY is not set: nobody could show the right key");
        return ExitCode::from(2);
    };
    if let Err(error) = log::init("info", LogFormat::Text) {
        eprintln!("{error}");
    }
    match Server::new(config)
        .with_filter("api_key", ApiKey { key })
        .run()
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
