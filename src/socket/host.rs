//! Name of this machine.

/// Returns the name by which this machine knows itself.
pub fn hostname() -> String {
    let name = rustix::system::uname();
    name.nodename().to_string_lossy().into_owned()
}
