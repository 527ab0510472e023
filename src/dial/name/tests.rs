use std::{
    io,
    net::{IpAddr, Ipv4Addr},
    sync::atomic::{AtomicUsize, Ordering},
};

use tokio::net::{TcpListener, TcpSocket};

use super::*;

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(5)
}

/// A socket of 127.0.0.1 that lets connections wait without an answer, as long as both live.
async fn silent(port: u16) -> (TcpListener, Vec<TcpStream>) {
    let socket = TcpSocket::new_v4().unwrap();
    socket
        .bind(SocketAddr::from(([127, 0, 0, 9], port)))
        .unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut taken = Vec::new();
    let patience = Duration::from_millis(200);
    while let Ok(stream) = tokio::time::timeout(patience, TcpStream::connect(address)).await {
        taken.push(stream.unwrap());
    }
    (listener, taken)
}

fn addresses(last: &[u8]) -> Vec<SocketAddr> {
    let address = |last: &u8| IpAddr::from(Ipv4Addr::new(127, 0, 0, *last));
    last.iter()
        .map(|last| SocketAddr::new(address(last), 0))
        .collect()
}

#[tokio::test]
async fn a_silent_address_is_overtaken_and_comes_last_then() {
    let listener = TcpListener::bind("127.0.0.10:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let _silent = silent(port).await;
    let names = Names(Lookups::new(|_| Ok(addresses(&[9, 10]))));
    let name: Arc<str> = "two.test".into();
    let began = Instant::now();
    let stream = names.connect(&name, port, soon()).await.unwrap();
    assert_eq!(stream.peer_addr().unwrap(), listener.local_addr().unwrap());
    assert!(
        began.elapsed() >= Duration::from_millis(240),
        "it had its time"
    );
    let order = names.addresses(&name, soon()).await.unwrap();
    assert_eq!(order, addresses(&[10, 9]));
}

#[tokio::test]
async fn little_time_is_shared() {
    let listener = TcpListener::bind("127.0.0.10:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let _silent = silent(port).await;
    let names = Names(Lookups::new(|_| Ok(addresses(&[9, 9, 9, 9, 9, 10]))));
    let deadline = Instant::now() + Duration::from_millis(600);
    let connected = names.connect(&"six.test".into(), port, deadline).await;
    assert!(connected.is_ok(), "{connected:?}");
}

#[tokio::test]
async fn a_refusal_is_told_when_every_address_has_failed() {
    let listener = TcpListener::bind("127.0.0.10:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let names = Names(Lookups::new(|_| Ok(addresses(&[9, 10]))));
    let failed = names.connect(&"none.test".into(), port, soon()).await;
    assert!(
        matches!(&failed, Err(ConnectFault::Connect(error)) if error.kind() == io::ErrorKind::ConnectionRefused),
        "{failed:?}"
    );
}

#[tokio::test]
async fn stuck_look_ups_of_one_name_are_one_and_leave_the_others_alone() {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    let names = Names(Lookups::new(|name| match name {
        "stuck.test" => {
            ASKED.fetch_add(1, Ordering::Relaxed);
            loop {
                std::thread::park();
            }
        }
        _ => Ok(addresses(&[1])),
    }));
    let stuck: Arc<str> = "stuck.test".into();
    for _ in 0..600 {
        let at_once = Instant::now() + Duration::from_millis(1);
        let late = names.addresses(&stuck, at_once).await;
        assert!(matches!(late, Err(ConnectFault::Late)));
    }
    let found = names.addresses(&"well.test".into(), soon()).await;
    assert_eq!(found.unwrap(), addresses(&[1]));
    assert_eq!(ASKED.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn waiters_of_one_look_up_get_the_same_answer() {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    let names = Names(Lookups::new(|_| {
        ASKED.fetch_add(1, Ordering::Relaxed);
        Ok(addresses(&[1, 2]))
    }));
    let name: Arc<str> = "many.test".into();
    let names = Arc::new(names);
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (names, name) = (Arc::clone(&names), Arc::clone(&name));
        all.spawn(async move { names.addresses(&name, soon()).await });
    }
    for found in all.join_all().await {
        assert_eq!(found.unwrap(), addresses(&[1, 2]));
    }
    assert_eq!(ASKED.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn an_unknown_name_fails_and_is_not_asked_for_again_at_once() {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    let names = Names(Lookups::new(|_| {
        ASKED.fetch_add(1, Ordering::Relaxed);
        Err(io::Error::other("no such name"))
    }));
    for _ in 0..20 {
        let failed = names.addresses(&"none.test".into(), soon()).await;
        assert!(matches!(failed, Err(ConnectFault::Unknown)));
    }
    assert_eq!(ASKED.load(Ordering::Relaxed), 1);
}
