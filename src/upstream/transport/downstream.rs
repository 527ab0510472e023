//! The client of a request, as far as it has part in how the request is sent.

use std::{cell::OnceCell, rc::Rc};

use http::StatusCode;

use crate::{semantics::Headers, upstream::pinned::Pinned};

/// The client of a request under way.
pub trait Downstream {
    /// Takes an interim response.
    fn interim(&self, status: StatusCode, headers: Headers);

    /// The connections to endpoints that are the client's own; none where it cannot have any.
    fn pinned(&self) -> Option<&OnceCell<Rc<Pinned>>>;
}
