//! What the system tells of processes, and where they run.

use std::{
    collections::HashSet,
    fs, io,
    ops::{Range, Sub},
    time::Duration,
};

use rustix::{
    param::clock_ticks_per_second,
    process::{Pid, Resource, Rlimit, getrlimit, setrlimit},
    thread::{CpuSet, sched_getaffinity, sched_setaffinity},
};

/// Processor time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cpu {
    pub(crate) user: Duration,
    pub(crate) system: Duration,
}

impl Cpu {
    pub(crate) fn total(self) -> Duration {
        self.user + self.system
    }
}

impl Sub for Cpu {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            user: self.user.saturating_sub(before.user),
            system: self.system.saturating_sub(before.system),
        }
    }
}

/// Processor time that a process and all that it started have used.
pub(crate) fn cpu_of_tree(root: u32) -> Cpu {
    let mut cpu = Cpu::default();
    for pid in tree(root) {
        // One that has just ended is not an error.
        if let Some(stat) = stat(pid) {
            cpu.user += ticks(stat.user);
            cpu.system += ticks(stat.system);
        }
    }
    cpu
}

/// Memory in bytes that a process and all that it started hold; what several share is
/// divided among them.
pub(crate) fn memory_of_tree(root: u32) -> u64 {
    let of_one = |pid| {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok()
    };
    tree(root).into_iter().filter_map(of_one).sum::<u64>() * 1024
}

/// Processor time that the whole machine has used, except for waiting.
pub(crate) fn cpu_of_machine() -> io::Result<Duration> {
    let text = fs::read_to_string("/proc/stat")?;
    let line = text.lines().next().unwrap_or_default();
    let figures: Vec<u64> = line
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    // user nice system idle iowait irq softirq
    let busy = [0, 1, 2, 5, 6]
        .iter()
        .filter_map(|&at| figures.get(at))
        .sum();
    Ok(ticks(busy))
}

/// A process and all that it started, by their ids.
pub(crate) fn tree(root: u32) -> Vec<u32> {
    let processes: Vec<(u32, u32)> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, stat(pid)?.parent)))
        .collect();
    let mut found = HashSet::from([root]);
    loop {
        let count = found.len();
        let children = processes
            .iter()
            .filter(|(_, parent)| found.contains(parent));
        let children: Vec<u32> = children.map(|&(pid, _)| pid).collect();
        found.extend(children);
        if found.len() == count {
            return found.into_iter().collect();
        }
    }
}

/// Keeps the calling thread, and what it starts from now on, on these processors.
pub(crate) fn pin(processors: impl IntoIterator<Item = usize>) -> io::Result<()> {
    let mut set = CpuSet::new();
    processors
        .into_iter()
        .for_each(|processor| set.set(processor));
    Ok(sched_setaffinity(None, &set)?)
}

/// The processors that the calling thread may use.
pub(crate) fn processors() -> io::Result<Vec<usize>> {
    let set = sched_getaffinity(None)?;
    Ok(ALL.filter(|&processor| set.is_set(processor)).collect())
}

/// Every processor that a machine can have.
pub(crate) const ALL: Range<usize> = 0..CpuSet::MAX_CPU;

/// Lets this process, and what it starts, open as many files as it may.
pub(crate) fn raise_open_files() -> io::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    Ok(setrlimit(Resource::Nofile, raised)?)
}

/// What the machine is, for the head of a table.
pub(crate) fn machine() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let count = text
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count();
    let model = text
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("unknown", |text| text.trim_start_matches([' ', '\t', ':']));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{count} processors ({model}), Linux {}", kernel.trim())
}

/// The id of a process as a number of the system.
pub(crate) fn pid(id: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(id).ok()?)
}

struct Stat {
    parent: u32,
    user: u64,
    system: u64,
}

fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name stands in brackets and may have anything in it.
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    Some(Stat {
        parent: fields.get(1)?.parse().ok()?,
        user: fields.get(11)?.parse().ok()?,
        system: fields.get(12)?.parse().ok()?,
    })
}

fn ticks(count: u64) -> Duration {
    Duration::from_nanos(count * 1_000_000_000 / clock_ticks_per_second())
}
