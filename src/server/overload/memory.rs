//! The memory that this process may use, as the kernel tells.
//!
//! Sources: proc(5) (`/proc/meminfo`), cgroups(7) versions 1 and 2.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Memory of the machine, or the limit of the control group or of a parent, whichever is least.
pub(super) fn available() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo").ok();
    let machine = machine.as_deref().and_then(total);
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let allowed = bounds(&groups, Path::new("/sys/fs/cgroup"));
    allowed.into_iter().chain(machine).min()
}

fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    kib.checked_mul(1024)
}

/// The bounds of the groups that the process is in, up to the root that it can see. A container
/// sees its own group as the root, whatever the path says.
fn bounds(groups: &str, root: &Path) -> Vec<u64> {
    let mut bounds = Vec::new();
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else {
            continue;
        };
        let (root, file) = if controllers.is_empty() {
            (root.to_path_buf(), "memory.max")
        } else if controllers.split(',').any(|name| name == "memory") {
            (root.join("memory"), "memory.limit_in_bytes")
        } else {
            continue;
        };
        let within = PathBuf::from(path.trim_start_matches('/'));
        for group in within.ancestors() {
            let read = fs::read_to_string(root.join(group).join(file));
            // "max", and the huge number of version 1, are none.
            let bound = read.ok().and_then(|text| text.trim().parse::<u64>().ok());
            bounds.extend(bound.filter(|bound| *bound < NO_BOUND));
        }
    }
    bounds
}

/// Version 1 writes the largest multiple of a page for "no bound".
const NO_BOUND: u64 = 1 << 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_less_than_there_is() {
        let used = crate::telemetry::metrics::resident_bytes().unwrap();
        let available = available().unwrap();
        assert!(used > 1 << 20);
        assert!(used < available);
    }

    #[test]
    fn the_least_of_the_groups_counts_and_max_is_none() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("a/b/memory.max", "max\n");
        write("a/memory.max", "4096\n");
        write("memory/x/memory.limit_in_bytes", "9223372036854771712\n");
        write("memory/memory.limit_in_bytes", "8192\n");
        let of = |groups| bounds(groups, root.path());
        assert_eq!(of("0::/a/b\n"), [4096]);
        assert_eq!(of("5:cpu,memory:/x\n1:name=systemd:/a\n"), [8192]);
        assert_eq!(of("0::/elsewhere\n"), Vec::<u64>::new());
        assert_eq!(of("nonsense"), Vec::<u64>::new());
    }
}
