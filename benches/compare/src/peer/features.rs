//! Parts of the configuration of Sluicegate that are switched on or off.

/// Parts of our own configuration that are switched on or off.
#[derive(Clone, Debug, Default)]
pub(crate) struct Features {
    /// Lines of `[proxy]`.
    pub(crate) proxy: &'static str,
    /// Destination of the route; empty: the pool.
    pub(crate) target: &'static str,
    pub(crate) route: &'static str,
    pub(crate) pool: &'static str,
    pub(crate) tables: &'static str,
    /// Files that stand beside the configuration.
    pub(crate) files: Vec<(&'static str, Vec<u8>)>,
    /// Fields that requests have besides those of a browser.
    pub(crate) fields: Vec<(&'static str, String)>,
    pub(crate) ask: Ask,
    pub(crate) labels: Labels,
    /// Further keys of the listener with TLS, which then is asked in place of the plain one.
    pub(crate) tls: Option<&'static str>,
    /// Requests have the session of a login at the provider; `$provider` is its address.
    pub(crate) login: bool,
    /// Lines of a second route and of its pool, which get no requests.
    pub(crate) elsewhere: Option<Elsewhere>,
}

/// Answers that requests ask for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Ask {
    /// The same small answer, which is private.
    #[default]
    Usual,
    /// So many answers in turn, all of which may be stored.
    Stored { count: usize, bytes: u64 },
}

/// Labels of endpoints.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Labels {
    /// Nothing.
    #[default]
    None,
    /// Versions: 1.0.0 and 2.0.0 in turn.
    Versions,
    /// Zones: a and b in turn.
    Zones,
}

/// Parts that are switched on where no request goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Elsewhere {
    pub(crate) target: &'static str,
    pub(crate) route: &'static str,
    pub(crate) pool: &'static str,
}

impl Features {
    /// Returns true if route or pool have more than those of `bare`.
    pub(crate) fn is_local_beside(&self, bare: &Self) -> bool {
        (self.target, self.route, self.pool) != (bare.target, bare.route, bare.pool)
    }
}
