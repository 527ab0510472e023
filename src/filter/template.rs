//! Texts with `{places}` that are filled from an exchange.

use std::fmt::Write as _;

use crate::{
    config::value::{
        Template,
        template::{CLAIM, Piece, Placeholder},
    },
    exchange::Exchange,
};

/// Parts of a message that a template may name besides the exchange.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scope<'a> {
    /// The path, without query.
    pub path: &'a str,
    /// The query, without `?`.
    pub query: Option<&'a str>,
    /// The method.
    pub method: &'a str,
}

/// Fills a template. A placeholder without a value is left empty.
pub fn render(template: &Template, exchange: &Exchange, scope: Scope<'_>) -> String {
    let mut text = String::new();
    for piece in template.pieces() {
        match piece {
            Piece::Text(literal) => text.push_str(literal),
            Piece::Fill(Placeholder::ClientIp) => {
                let _ = write!(text, "{}", exchange.client_ip());
            }
            Piece::Fill(Placeholder::RequestId) => text.push_str(exchange.request_id()),
            Piece::Fill(Placeholder::Host) => text.push_str(exchange.host()),
            Piece::Fill(Placeholder::HostPort) => text.push_str(exchange.host_port()),
            Piece::Fill(Placeholder::Listener) => text.push_str(exchange.listener_name()),
            Piece::Fill(Placeholder::Route) => push(&mut text, exchange.route_name()),
            Piece::Fill(Placeholder::Pool) => push(&mut text, exchange.pool_name()),
            Piece::Fill(Placeholder::Endpoint) => push(&mut text, exchange.endpoint()),
            Piece::Fill(Placeholder::Version) => push(&mut text, exchange.version()),
            Piece::Fill(Placeholder::Path) => text.push_str(scope.path),
            Piece::Fill(Placeholder::Query) => {
                if let Some(query) = scope.query {
                    text.push('?');
                    text.push_str(query);
                }
            }
            Piece::Fill(Placeholder::Scheme) => text.push_str(exchange.scheme().as_str()),
            Piece::Fill(Placeholder::TlsSubject) => push(&mut text, exchange.tls_subject()),
            Piece::Fill(Placeholder::AuthUser) => push(&mut text, exchange.user()),
            Piece::Fill(Placeholder::Claim(name)) => {
                let name = name.strip_prefix(CLAIM).unwrap_or(name);
                push(&mut text, exchange.claim(name).as_deref());
            }
            Piece::Fill(Placeholder::Method) => text.push_str(scope.method),
        }
    }
    text
}

fn push(text: &mut String, part: Option<&str>) {
    text.push_str(part.unwrap_or_default());
}
