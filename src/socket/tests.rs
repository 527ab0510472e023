//! Property: appended bytes come out in order, however they are cut.

use std::{cell::RefCell, future::poll_fn, rc::Rc, task::Poll, time::Duration};

use bytes::Bytes;
use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpStream},
    task::{LocalSet, spawn_local},
    time::timeout,
};

use super::{Apart, Buffered, Stream, bursts};

#[tokio::test]
async fn pieces_of_every_size_come_out_in_order() {
    for (room, seed) in [(1, 1), (100, 2), (10_000, 3), (1 << 20, 4)] {
        let (ours, mut theirs) = tokio::io::duplex(room);
        let mut io = Buffered::new(Stream::Upgraded(Box::new(ours)));
        let mut expected = Vec::new();
        let mut number: usize = seed;
        let mut next = |below: usize| {
            number = number
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (number >> 33) % below
        };
        // The slow ones say less.
        let rounds = if room == 1 { 3 } else { 30 };
        for round in 0..rounds {
            for _ in 0..next(8) {
                let length = [next(20), next(8000), 8193 + next(20_000)][next(3)];
                let piece: Vec<u8> = (0..length)
                    .map(|at| (at + round).to_le_bytes()[0])
                    .collect();
                let tail: &'static [u8] = [&b""[..], b"\r\n"][next(2)];
                if next(2) == 0 {
                    io.outgoing().extend_from_slice(b"head");
                    expected.extend_from_slice(b"head");
                }
                expected.extend_from_slice(&piece);
                expected.extend_from_slice(tail);
                io.append(Bytes::from(piece), tail);
            }
            let mut come = vec![0; expected.len()];
            let flush = poll_fn(|cx| io.poll_flush(cx));
            let (flushed, read) = tokio::join!(flush, theirs.read_exact(&mut come));
            assert!(flushed.is_ok() && read.is_ok());
            assert!(come == expected, "round {round} through {room}");
            assert!(io.is_flushed() && io.can_append() && io.has_room());
            expected.clear();
        }
    }
}

#[test]
fn room_is_for_so_many_bytes_wherever_they_wait() {
    let (ours, _theirs) = tokio::io::duplex(1);
    let mut io = Buffered::new(Stream::Upgraded(Box::new(ours)));
    let mut pieces = 0;
    while io.has_room() {
        io.append(Bytes::from(vec![b'x'; 10_000]), b"\r\n");
        pieces += 1;
    }
    assert_eq!(pieces, 14, "of 128 KiB");
    assert!(!io.can_append() && !io.is_flushed());
}

/// Both ends of a TCP connection.
async fn connected() -> (Buffered, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let theirs = TcpStream::connect(listener.local_addr().unwrap());
    let (theirs, ours) = tokio::join!(theirs, listener.accept());
    let (ours, _) = ours.unwrap();
    ours.set_nodelay(true).unwrap();
    (Buffered::new(Stream::Tcp(ours)), theirs.unwrap())
}

/// Returns true if bytes have arrived that can be read without waiting.
fn has_arrived(stream: &TcpStream) -> bool {
    rustix::net::recv(stream, &mut [0][..], rustix::net::RecvFlags::PEEK).is_ok()
}

#[derive(Debug)]
struct Alone(RefCell<Buffered>);

impl Apart for Alone {
    fn io(&self) -> &RefCell<Buffered> {
        &self.0
    }
}

#[tokio::test]
async fn what_follows_a_piece_that_waits_for_the_burst_leaves_with_it() {
    let test = async {
        let (ours, mut theirs) = connected().await;
        let (other, _theirs) = connected().await;
        let (ours, other) = (Rc::new(Alone(RefCell::new(ours))), RefCell::new(other));
        spawn_local(bursts());
        tokio::task::yield_now().await;
        // Two sends in one turn: the thread is busy from now on.
        poll_fn(|cx| {
            for io in [&ours.0, &other] {
                let mut io = io.borrow_mut();
                io.outgoing().extend_from_slice(b"busy");
                assert!(io.poll_flush(cx).is_ready());
            }
            Poll::Ready(())
        })
        .await;
        tokio::task::yield_now().await;
        // The first part of a body waits for the burst, and the last one comes meanwhile.
        poll_fn(|cx| {
            let mut io = ours.0.borrow_mut();
            io.outgoing().extend_from_slice(b"first");
            assert!(io.poll_flush(cx).is_pending(), "the thread is not busy");
            Poll::Ready(())
        })
        .await;
        ours.0.borrow_mut().outgoing().extend_from_slice(b"last");
        let flush = poll_fn(|cx| Buffered::poll_flush_apart(&ours, cx));
        let sent = timeout(Duration::from_secs(5), flush).await;
        sent.expect("it waits for ever").unwrap();
        let mut come = [0; 13];
        theirs.read_exact(&mut come).await.unwrap();
        assert_eq!(&come, b"busyfirstlast");
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test]
async fn last_words_leave_with_the_end() {
    for large in [0, 20_000] {
        // The kernel keeps them for 200 ms: on a busy machine more than one try may be needed.
        let mut kept = false;
        for _ in 0..20 {
            let (mut ours, mut theirs) = connected().await;
            ours.outgoing().extend_from_slice(b"first");
            poll_fn(|cx| ours.poll_flush(cx)).await.unwrap();
            let mut first = [0; 5];
            theirs.read_exact(&mut first).await.unwrap();

            ours.outgoing().extend_from_slice(b"last");
            ours.append(Bytes::from(vec![b'x'; large]), b"");
            ours.end_follows();
            poll_fn(|cx| ours.poll_flush(cx)).await.unwrap();
            kept |= !has_arrived(&theirs);

            poll_fn(|cx| ours.poll_shutdown(cx)).await.unwrap();
            let mut last = Vec::new();
            theirs.read_to_end(&mut last).await.unwrap();
            assert_eq!(last.len(), 4 + large);
            assert!(last.starts_with(b"last"));
            if kept {
                break;
            }
        }
        assert!(kept, "with {large} bytes: they left before the end");
    }
}

#[tokio::test]
async fn last_words_reach_a_client_whose_own_are_not_read() {
    let (mut ours, mut theirs) = connected().await;
    tokio::io::AsyncWriteExt::write_all(&mut theirs, b"more than was announced")
        .await
        .unwrap();
    ours.outgoing().extend_from_slice(b"last");
    ours.end_follows();
    poll_fn(|cx| ours.poll_flush(cx)).await.unwrap();
    ours.end();
    drop(ours);
    let mut last = [0; 4];
    theirs.read_exact(&mut last).await.unwrap();
    assert_eq!(&last, b"last");
}
