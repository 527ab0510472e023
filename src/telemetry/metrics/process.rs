//! Process metrics from the kernel, under the names that all Prometheus clients use.
//!
//! Read at each scrape from `/proc/self`; values that cannot be read are left out.

use std::fmt::{Display, Write};
use std::fs;
use std::sync::OnceLock;
use std::time::SystemTime;

use super::exposition::Exposition;
use super::text;
use crate::semantics::date::unix_seconds;

/// Notes the start time of the process; only the first call counts.
pub(super) fn note_start() {
    START_SECONDS.get_or_init(|| unix_seconds(SystemTime::now()));
}

/// Writes the families that could be read.
pub(super) fn render(exposition: Exposition, out: &mut String) {
    let mut family = |name: &str, kind: &str, help: &str, value: Option<&dyn Display>| {
        if let Some(value) = value {
            text::head(exposition, name, kind, help, out);
            // Writing to a String cannot fail.
            let _ = writeln!(out, "{name} {value}");
        }
    };
    let cpu = cpu_ticks().map(|ticks| format!("{}.{:02}", ticks / TICKS, ticks % TICKS));
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let max_fds = soft_limit(&limits, "Max open files");
    let memory_max = soft_limit(&limits, "Max address space");
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let (open, resident) = (open_files(), kib_of(&status, "VmRSS:"));
    let (virtual_memory, threads) = (kib_of(&status, "VmSize:"), number_of(&status, "Threads:"));
    let help = "User and system CPU time spent.";
    family("process_cpu_seconds_total", "counter", help, shown(&cpu));
    let help = "Maximum number of open file descriptors.";
    family("process_max_fds", "gauge", help, shown(&max_fds));
    let help = "Open file descriptors.";
    family("process_open_fds", "gauge", help, shown(&open));
    let help = "Resident memory.";
    family(
        "process_resident_memory_bytes",
        "gauge",
        help,
        shown(&resident),
    );
    let help = "Unix time at which the process started.";
    let start = START_SECONDS.get();
    family("process_start_time_seconds", "gauge", help, shown(&start));
    let help = "Threads of the process.";
    family("process_threads", "gauge", help, shown(&threads));
    let help = "Virtual memory.";
    family(
        "process_virtual_memory_bytes",
        "gauge",
        help,
        shown(&virtual_memory),
    );
    let help = "Maximum amount of virtual memory, where there is a limit.";
    family(
        "process_virtual_memory_max_bytes",
        "gauge",
        help,
        shown(&memory_max),
    );
}

fn shown<T: Display>(value: &Option<T>) -> Option<&dyn Display> {
    value.as_ref().map(|value| value as &dyn Display)
}

/// Soft limit of this name in proc_pid_limits(5); none if there is no limit.
fn soft_limit(limits: &str, name: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// Number in a line of proc_pid_status(5).
fn number_of(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// Bytes in a line of proc_pid_status(5) that counts KiB.
fn kib_of(status: &str, name: &str) -> Option<u64> {
    number_of(status, name)?.checked_mul(1024)
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
    kib_of(&status, "VmRSS:")
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
