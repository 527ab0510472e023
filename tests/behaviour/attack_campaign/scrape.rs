//! Scrapers that read everything in a loop, and an honest client among them.

use std::{fmt::Write as _, io, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    time::{Instant, sleep},
};

use super::{Attack, Attackers, Burning, Figures, Target, Waits, honest, print};
use crate::harness::{Backend, Proxy, Settings, answer_bytes, eventually};

/// 1,000 routes, and 10,000 endpoints with series of their own.
fn large() -> String {
    let mut text = String::from(
        "[proxy]\nworkers = 2\n[metrics]\nper_endpoint = 20000\n\
         series_max = 100000\n[listeners.web]\naddress = \"$web\"\n\
         [routes.all]\npool = \"app\"\n[pools.app]\nendpoints = [\"$app\"]\n",
    );
    for route in 0..1000 {
        let pool = route % 10;
        let _ = writeln!(
            text,
            "[routes.r{route}]\npath_prefix = \"/r{route}\"\npool = \"p{pool}\""
        );
    }
    for pool in 0..10 {
        let _ = writeln!(text, "[pools.p{pool}]\nendpoints = [");
        for endpoint in 0..1000 {
            let (high, low) = (endpoint / 250, endpoint % 250 + 1);
            let _ = writeln!(text, "\"127.{}.{high}.{low}:9\",", pool + 1);
        }
        text.push_str("]\n");
    }
    text
}

/// Reads all of these again and again over one connection.
async fn scrape(to: Arc<Target>) -> io::Result<()> {
    let mut stream = BufReader::new(TcpStream::connect(to.web).await?);
    let mut sink = vec![0; 1 << 16];
    loop {
        for target in TARGETS {
            let request = format!("GET {target} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n");
            stream.get_mut().write_all(request.as_bytes()).await?;
            let (mut line, mut left) = (String::new(), 0);
            let mut refused = false;
            while line != "\r\n" {
                line.clear();
                stream.read_line(&mut line).await?;
                refused |= line.contains(" 429 ");
                let length = line.to_ascii_lowercase();
                if let Some(length) = length.strip_prefix("content-length:") {
                    left = length.trim().parse().unwrap();
                }
            }
            while left > 0 {
                let room = left.min(sink.len());
                left -= match stream.read(&mut sink[..room]).await? {
                    0 => return Ok(()),
                    read => read,
                };
            }
            if refused {
                sleep(Duration::from_millis(10)).await;
            }
        }
    }
}

const TARGETS: [&str; 4] = ["/metrics", "/requests?last=1000", "/pools", "/config"];

async fn start() -> (Proxy, Backend) {
    let app =
        Backend::start(|_| answer_bytes("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")).await;
    let proxy = Settings::new(&large()).backend("app", &app).start().await;
    (proxy, app)
}

#[tokio::test]
#[ignore = "a campaign, which needs the machine for itself: bash tests/campaign scrape"]
async fn traffic_goes_on_beside_scrapers_of_ten_thousand_endpoints_in_a_loop() {
    let seconds = std::env::var("SCRAPE_SECONDS").map_or(10, |it| it.parse().unwrap());
    let time = Duration::from_secs(seconds);
    let (proxy, _app) = start().await;
    honest(&proxy, Duration::from_secs(1)).await;
    for target in TARGETS {
        let since = Instant::now();
        let answer = proxy.admin("GET", target, "").await.expect("an answer");
        let (size, took) = (answer.body.len() >> 10, since.elapsed());
        eprintln!("{target}: {size} KiB in {took:.1?}");
    }
    let quiet = honest(&proxy, time).await;
    let before = proxy.memory();
    let target = Arc::new(Target {
        web: proxy.address("admin"),
        secure: proxy.address("web"),
        hello: Vec::new(),
    });
    let mut figures = Vec::new();
    for (name, connections) in [("1 scraper", 1), ("8 scrapers", 8), ("32 scrapers", 32)] {
        let connection = |to| -> super::attacks::Connection {
            Box::pin(async {
                let _ = scrape(to).await;
            })
        };
        let attack = Attack {
            name,
            connections,
            connection,
        };
        figures.push(beside(&proxy, attack, &target, time).await);
    }
    print(&quiet, before, &figures);
    for it in &figures {
        let usual = quiet.median().max(it.control.median());
        assert!(it.waits.median() < usual * 3.0, "{}", it.name);
    }
    proxy.finish().await;
}

/// Measures beside these scrapers, then beside a thread that burns as much CPU as they used.
async fn beside(proxy: &Proxy, attack: Attack, target: &Arc<Target>, time: Duration) -> Figures {
    proxy.forget_memory_peak();
    let scrapers = Attackers::start(&[attack], target);
    sleep(Duration::from_secs(1)).await;
    let (since, used, burnt) = (Instant::now(), proxy.cpu_ms(), scrapers.cpu());
    let waits: Waits = honest(proxy, time).await;
    let took = since.elapsed().as_secs_f64();
    let share = (scrapers.cpu() - burnt).as_secs_f64() / took;
    let of_proxy = (proxy.cpu_ms() - used) as f64 / 1000.0 / took;
    let memory_peak = proxy.memory_peak();
    drop(scrapers);
    eventually("the admin API is free", || async {
        let answer = proxy.admin("GET", "/status", "").await?;
        (answer.status == 200).then_some(())
    })
    .await;
    let burning = Burning::start(share);
    let control = honest(proxy, time).await;
    drop(burning);
    Figures {
        name: attack.name,
        connections: attack.connections,
        waits,
        control,
        cores: (share, of_proxy),
        memory_peak,
    }
}
