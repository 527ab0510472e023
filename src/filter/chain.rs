//! Filters of one route, in order.

use std::{fmt, sync::Arc};

use super::{Filter, HeaderFilter, RewriteFilter, Verdict};
use crate::{
    exchange::{Exchange, Request, Response},
    failure::{BadRequest, Failure},
};

/// The filters of a route; empty for most.
#[derive(Debug, Default)]
pub struct Chain(Box<[AnyFilter]>);

/// A member of a chain.
pub enum AnyFilter {
    /// Changes path and host.
    Rewrite(RewriteFilter),
    /// Changes header fields.
    Header(HeaderFilter),
    /// A filter of an embedding program.
    Custom(Arc<str>, Arc<dyn Filter>),
}

impl Chain {
    /// Makes a chain of these filters, in the order in which requests pass them.
    pub fn new(filters: Vec<AnyFilter>) -> Self {
        Self(filters.into())
    }

    /// Passes a request through the filters, first to last, until one answers it.
    ///
    /// # Errors
    /// The failure with which a filter ends the exchange.
    pub async fn on_request(
        &self,
        exchange: &mut Exchange,
        request: &mut Request,
    ) -> Result<Verdict, Failure> {
        for filter in &self.0 {
            let verdict = match filter {
                AnyFilter::Rewrite(filter) => filter.on_request(exchange, request)?,
                AnyFilter::Header(filter) => filter.on_request(exchange, request),
                AnyFilter::Custom(_, filter) => filter.on_request(exchange, request).await?,
            };
            if let Verdict::Reply(_) = verdict {
                return Ok(verdict);
            }
        }
        Ok(Verdict::Continue)
    }

    /// Passes a response through the filters, last to first.
    ///
    /// # Errors
    /// The failure to answer in place of the response.
    pub async fn on_response(
        &self,
        exchange: &mut Exchange,
        response: &mut Response,
    ) -> Result<(), Failure> {
        for filter in self.0.iter().rev() {
            match filter {
                AnyFilter::Rewrite(_) => {}
                AnyFilter::Header(filter) => filter.on_response(exchange, response),
                AnyFilter::Custom(_, filter) => filter.on_response(exchange, response).await?,
            }
        }
        Ok(())
    }

    /// Returns true if the route removes or sets request fields of this name (case-insensitive), so
    /// that the client's own are dropped.
    pub fn owns_of_request(&self, name: &[u8]) -> bool {
        self.header_filters()
            .any(|filter| filter.owns_of_request(name))
    }

    /// Returns true if the route removes or sets response fields of this name (case-insensitive).
    pub fn owns_of_response(&self, name: &[u8]) -> bool {
        self.header_filters()
            .any(|filter| filter.owns_of_response(name))
    }

    fn header_filters(&self) -> impl Iterator<Item = &HeaderFilter> {
        self.0.iter().filter_map(|filter| match filter {
            AnyFilter::Header(filter) => Some(filter),
            AnyFilter::Rewrite(_) | AnyFilter::Custom(..) => None,
        })
    }

    /// Returns the path of a request after the filters; none if they do not change it.
    ///
    /// # Errors
    /// The rule that the path breaks.
    pub fn rewritten(&self, path: &str) -> Result<Option<String>, BadRequest> {
        let rules = self.0.iter().filter_map(|filter| match filter {
            AnyFilter::Rewrite(filter) => filter.path.as_ref(),
            AnyFilter::Header(_) | AnyFilter::Custom(..) => None,
        });
        let mut rewritten = None;
        for rule in rules {
            let before = rewritten.as_deref().unwrap_or(path);
            if let Some(path) = rule.apply(before)? {
                rewritten = Some(path);
            }
        }
        Ok(rewritten)
    }

    /// Returns the names of the filters, in order.
    pub fn names(&self) -> Vec<&str> {
        self.0
            .iter()
            .map(|filter| match filter {
                AnyFilter::Rewrite(_) => "rewrite",
                AnyFilter::Header(_) => "headers",
                AnyFilter::Custom(name, _) => name,
            })
            .collect()
    }
}

impl fmt::Debug for AnyFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rewrite(filter) => filter.fmt(f),
            Self::Header(filter) => filter.fmt(f),
            Self::Custom(name, _) => write!(f, "Custom({name})"),
        }
    }
}
