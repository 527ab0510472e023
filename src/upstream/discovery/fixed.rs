//! Endpoints written in the configuration: one list, which only a reload changes.

use std::future::pending;

use super::{BoxFuture, Discovery, DiscoveryError, EndpointList, Update};
use crate::upstream::endpoint::Endpoint;

/// A list that is returned once.
#[derive(Debug)]
pub struct Fixed {
    endpoints: Option<Vec<Endpoint>>,
}

impl Fixed {
    /// Returns the source of this list.
    #[must_use]
    pub const fn new(endpoints: Vec<Endpoint>) -> Self {
        Self {
            endpoints: Some(endpoints),
        }
    }
}

impl Discovery for Fixed {
    fn next(&mut self) -> BoxFuture<'_, Result<Update, DiscoveryError>> {
        Box::pin(async move {
            match self.endpoints.take() {
                Some(endpoints) => Ok(Update::List(EndpointList::new(endpoints))),
                None => pending().await,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_list_comes_once_and_then_never_changes() {
        let mut source: Box<dyn Discovery> = Box::new(Fixed::new(Vec::new()));
        let empty = Update::List(EndpointList::default());
        assert_eq!(source.next().await.unwrap(), empty);
        let again = tokio::time::timeout(Duration::from_secs(3600), source.next());
        assert!(again.await.is_err());
    }
}
