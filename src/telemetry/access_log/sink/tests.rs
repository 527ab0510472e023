//! Tests of the way from a worker's buffer to the file, with files that misbehave.

use std::fs::{self, OpenOptions};
use std::io::Read;
use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::UNIX_EPOCH;

use super::*;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::metrics::names::ACCESS_LOG_LINES_DROPPED_TOTAL;

const PATIENCE: Duration = Duration::from_secs(20);

fn settings(path: &Path) -> AccessLogSettings {
    AccessLogSettings {
        target: SinkTarget::File(path.to_owned(), None),
        format: Format::parse("{request_id} {path}").unwrap(),
        redaction: Redaction::default(),
        sample: Sample::ALL,
    }
}

fn open(path: &Path) -> (Metrics, AccessLog) {
    let metrics = Metrics::new(100);
    let dropped = metrics
        .control()
        .counter(&ACCESS_LOG_LINES_DROPPED_TOTAL, []);
    let log = AccessLog::open(settings(path), dropped).unwrap();
    (metrics, log)
}

fn open_at(target: SinkTarget) -> (Metrics, AccessLog) {
    let metrics = Metrics::new(100);
    let dropped = metrics
        .control()
        .counter(&ACCESS_LOG_LINES_DROPPED_TOTAL, []);
    let settings = AccessLogSettings {
        target,
        ..settings(Path::new("unused"))
    };
    let log = AccessLog::open(settings, dropped).unwrap();
    (metrics, log)
}

fn dropped(metrics: &Metrics) -> u64 {
    metrics.total(&ACCESS_LOG_LINES_DROPPED_TOTAL, [])
}

fn line<'a>(request_id: &'a str, path: &'a str) -> Line<'a> {
    Line {
        time: UNIX_EPOCH,
        request_id,
        trace_id: None,
        listener: "web",
        client: None,
        method: "GET",
        scheme: "http",
        host: "a",
        path,
        protocol: "HTTP/1.1",
        status: 200,
        reason: None,
        route: None,
        pool: None,
        endpoint: None,
        version: None,
        attempts: &[],
        not_retried: None,
        bytes_in: 0,
        bytes_out: 0,
        total: Duration::ZERO,
        upstream: None,
        queue: None,
        tls: None,
        tls_subject: None,
        user: None,
        user_agent: None,
        span_id: None,
        fields: &[],
    }
}

#[test]
fn lines_of_all_workers_arrive_whole_and_in_each_workers_order() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("access.log");
    let (metrics, log) = open(&path);
    thread::scope(|scope| {
        for name in ["a", "b", "c"] {
            let mut worker = log.worker();
            scope.spawn(move || {
                for n in 0..5000 {
                    worker.write(&line(name, &format!("/{n}")));
                }
            });
        }
    });
    assert!(log.settle(PATIENCE));
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(dropped(&metrics), 0);
    for name in ["a", "b", "c"] {
        let own = text.lines().filter_map(|line| line.strip_prefix(name));
        assert!(own.eq((0..5000).map(|n| format!(" /{n}"))));
    }
    assert_eq!(text.lines().count(), 15_000);
}

#[test]
fn after_a_rotation_lines_go_to_the_new_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("access.log");
    let rotated = directory.path().join("access.log.1");
    let (_metrics, log) = open(&path);
    let mut worker = log.worker();
    worker.write(&line("1", "/before"));
    worker.flush();
    assert!(log.settle(PATIENCE));
    fs::rename(&path, &rotated).unwrap();
    log.reopen();
    worker.write(&line("2", "/after"));
    drop(worker);
    assert!(log.settle(PATIENCE));
    assert_eq!(fs::read_to_string(&rotated).unwrap(), "1 /before\n");
    assert_eq!(fs::read_to_string(&path).unwrap(), "2 /after\n");
}

#[test]
fn a_full_disk_costs_lines_and_says_how_many() {
    let (metrics, log) = open(Path::new("/dev/full"));
    let mut worker = log.worker();
    worker.write(&line("1", "/"));
    worker.write(&line("2", "/"));
    worker.flush();
    assert!(log.settle(PATIENCE));
    assert_eq!(dropped(&metrics), 2);
}

#[test]
fn a_reader_that_hangs_does_not_stop_a_worker() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pipe");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    let fifo = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, &path, fifo, mode, 0).unwrap();
    // Open for reading too, so that opening for writing does not wait.
    let mut pipe = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&path)
        .unwrap();
    let (metrics, log) = open(&path);
    let mut worker = log.worker();
    // Far more than the pipe, the queue and the buffer hold.
    let long = "x".repeat(1000);
    let written = 10_000;
    for n in 0..written {
        worker.write(&line(&n.to_string(), &long));
    }
    worker.flush();
    assert!(!log.settle(Duration::from_millis(1)));
    let lost = dropped(&metrics);
    assert!(lost > 0 && lost < written, "{lost}");

    // When the reader goes on, all that was not counted as lost arrives.
    let mut arrived = 0;
    let mut buffer = vec![0; 64 * 1024];
    while arrived < written - lost {
        let read = pipe.read(&mut buffer).unwrap();
        let lines = buffer[..read].iter().filter(|byte| **byte == b'\n');
        arrived += u64::try_from(lines.count()).unwrap();
    }
    assert_eq!(arrived, written - lost);
    assert!(log.settle(PATIENCE));
}

#[test]
fn what_is_outside_the_sample_is_not_written() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("access.log");
    let metrics = Metrics::new(100);
    let counter = metrics
        .control()
        .counter(&ACCESS_LOG_LINES_DROPPED_TOTAL, []);
    let sample = Sample::new(0.5);
    let settings = AccessLogSettings {
        sample,
        ..settings(&path)
    };
    let log = AccessLog::open(settings, counter).unwrap();
    let mut worker = log.worker();
    let ids: Vec<String> = (0..100).map(|n| format!("id-{n}")).collect();
    for id in &ids {
        worker.write(&line(id, "/"));
    }
    worker.flush();
    assert!(log.settle(PATIENCE));
    let expected = ids.iter().filter(|id| sample.takes(id));
    let expected: String = expected.map(|id| format!("{id} /\n")).collect();
    assert!(!expected.is_empty());
    assert_eq!(fs::read_to_string(&path).unwrap(), expected);
}

#[test]
fn a_file_is_rotated_by_its_size_and_so_many_old_ones_are_kept() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("access.log");
    let rotation = Rotation {
        size: 10_000,
        keep: 3,
    };
    let target = SinkTarget::File(path.clone(), Some(rotation));
    // Two processes write to the file while one takes over.
    let ((_one, first), (_two, second)) = (open_at(target.clone()), open_at(target));
    let mut workers = [first.worker(), second.worker()];
    for n in 0..400 {
        let worker = &mut workers[n % 2];
        worker.write(&line(&format!("{n:04}"), &"x".repeat(94)));
        worker.flush();
        // As slowly as a tick, so that the order is known.
        assert!(first.settle(PATIENCE) && second.settle(PATIENCE));
    }
    let name = |number: u32| directory.path().join(format!("access.log.{number}"));
    assert!(!name(4).exists());
    let mut numbers = Vec::new();
    for file in [name(3), name(2), name(1), path] {
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.len() <= 10_300, "{}", text.len());
        for line in text.lines() {
            // Whole lines only.
            assert_eq!(line.len(), 99, "{line}");
            numbers.push(line[..4].parse::<u32>().unwrap());
        }
    }
    assert!(numbers.is_sorted(), "{numbers:?}");
    assert_eq!(numbers.last(), Some(&399));
    assert!(numbers.len() > 250, "{}", numbers.len());
}

fn syslog(address: SyslogAddress) -> SinkTarget {
    SinkTarget::Syslog(SyslogTarget {
        address,
        facility: 23,
        app: "edge".to_owned(),
    })
}

/// Reads a message of RFC 5424 section 6; returns its text.
fn read_syslog(message: &[u8]) -> String {
    let message = std::str::from_utf8(message).unwrap();
    let rest = message.strip_prefix("<190>1 ").unwrap();
    let parts: Vec<&str> = rest.splitn(7, ' ').collect();
    let [time, host, app, process, id, data, text] = parts[..] else {
        panic!("{message}");
    };
    assert!(humantime::parse_rfc3339(time).is_ok(), "{time}");
    assert!(!host.is_empty());
    assert_eq!((app, id, data), ("edge", "access", "-"));
    assert_eq!(process, std::process::id().to_string());
    text.to_owned()
}

#[test]
fn syslog_gets_each_line_as_a_message_over_udp_and_a_unix_socket() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let unix = UnixDatagram::bind(&path).unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    unix.set_read_timeout(Some(PATIENCE)).unwrap();
    udp.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut buffer = vec![0; 64 * 1024];
    for is_unix in [true, false] {
        let address = match is_unix {
            true => SyslogAddress::Unix(path.clone()),
            false => SyslogAddress::Udp(udp.local_addr().unwrap()),
        };
        let (metrics, log) = open_at(syslog(address));
        let mut worker = log.worker();
        for id in ["1", "2"] {
            worker.write(&line(id, "/a"));
        }
        worker.flush();
        for id in ["1", "2"] {
            let length = match is_unix {
                true => unix.recv(&mut buffer),
                false => udp.recv(&mut buffer),
            };
            let text = read_syslog(&buffer[..length.unwrap()]);
            assert_eq!(text, format!("{id} /a"));
        }
        assert!(log.settle(PATIENCE));
        assert_eq!(dropped(&metrics), 0);
    }
}

#[test]
fn a_dead_or_deaf_syslog_costs_lines_which_are_counted_and_one_that_comes_back_gets_them() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let (metrics, log) = open_at(syslog(SyslogAddress::Unix(path.clone())));
    let mut worker = log.worker();
    worker.write(&line("1", "/dead"));
    worker.flush();
    assert!(log.settle(PATIENCE));
    assert_eq!(dropped(&metrics), 1);
    let server = UnixDatagram::bind(&path).unwrap();
    let mut buffer = vec![0; 64 * 1024];
    let moment = Duration::from_millis(100);
    server.set_read_timeout(Some(moment)).unwrap();
    let began = Instant::now();
    while server.recv(&mut buffer).is_err() {
        assert!(began.elapsed() < PATIENCE);
        worker.write(&line("1", "/again"));
        worker.flush();
        assert!(log.settle(PATIENCE));
    }
    // It reads no more: what it has no room for is lost.
    let (before, mut written) = (dropped(&metrics), 0);
    while dropped(&metrics) == before {
        for _ in 0..500 {
            worker.write(&line("2", "/deaf"));
            written += 1;
        }
        worker.flush();
        assert!(log.settle(PATIENCE));
    }
    let lost = dropped(&metrics) - before;
    assert!(lost < written, "{lost} of {written}");
    // What was not counted as lost is there.
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    for _ in 0..written - lost {
        let length = server.recv(&mut buffer).unwrap();
        assert_eq!(read_syslog(&buffer[..length]), "2 /deaf");
    }
}
