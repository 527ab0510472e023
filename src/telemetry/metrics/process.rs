//! Process metrics from the kernel, under the names that all Prometheus clients use.
//!
//! Read at each scrape from `/proc/self`; values that cannot be read are left out.

use std::fmt::Write;
use std::fs;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

/// Notes the start time of the process; only the first call counts.
pub(super) fn note_start() {
    START_SECONDS.get_or_init(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.map_or(0, |since| since.as_secs())
    });
}

/// Writes the families that could be read.
pub(super) fn render(out: &mut String) {
    if let Some(ticks) = cpu_ticks() {
        let seconds = format_args!("{}.{:02}", ticks / TICKS, ticks % TICKS);
        let help = "User and system CPU time spent.";
        family(out, "process_cpu_seconds_total", "counter", help, &seconds);
    }
    if let Some(open) = open_files() {
        let help = "Open file descriptors.";
        family(out, "process_open_fds", "gauge", help, &open);
    }
    if let Some(bytes) = resident_bytes() {
        let help = "Resident memory.";
        family(out, "process_resident_memory_bytes", "gauge", help, &bytes);
    }
    if let Some(start) = START_SECONDS.get() {
        let help = "Unix time at which the process started.";
        family(out, "process_start_time_seconds", "gauge", help, start);
    }
}

fn family(out: &mut String, name: &str, kind: &str, help: &str, value: &dyn std::fmt::Display) {
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}"
    );
}

/// Fields 14 and 15 of proc_pid_stat(5); the name in field 2 may hold spaces and parentheses.
fn cpu_ticks() -> Option<u64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    user.checked_add(system)
}

/// Returns the resident memory of the process.
pub(crate) fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    kib.checked_mul(1024)
}

fn open_files() -> Option<usize> {
    // Reading the directory opens a descriptor of its own.
    Some(
        fs::read_dir("/proc/self/fd")
            .ok()?
            .count()
            .saturating_sub(1),
    )
}

/// `USER_HZ`, which Linux fixes at 100 towards user space.
const TICKS: u64 = 100;

static START_SECONDS: OnceLock<u64> = OnceLock::new();
