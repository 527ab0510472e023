//! The client of a request, as needed for sending the request.

use std::{cell::OnceCell, rc::Rc};

use http::StatusCode;

use crate::{semantics::Headers, upstream::pinned::Pinned};

/// The client of a request under way.
pub trait Downstream {
    /// Takes an interim response.
    fn interim(&self, status: StatusCode, headers: Headers);

    /// The client's own upstream connections; none if it cannot have any.
    fn pinned(&self) -> Option<&OnceCell<Rc<Pinned>>>;
}
