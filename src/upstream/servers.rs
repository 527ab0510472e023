//! Servers of a registry as logs and the admin API show them.

use std::fmt;

/// Writes servers with commas between them.
pub(super) fn write_servers(
    f: &mut fmt::Formatter<'_>,
    servers: impl IntoIterator<Item: fmt::Display>,
) -> fmt::Result {
    for (at, server) in servers.into_iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        write!(f, "{comma}{server}")?;
    }
    Ok(())
}
