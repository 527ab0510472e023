//! Certificates at the end of their time, in the words that an operator sees.

use std::path::Path;
use std::time::{Duration, SystemTime};

use super::start::{go, page};
use crate::harness::{Authority, Chromium, Proxy, Screen, Settings, command};

const THREE: &str = r#"
    [listeners.web]
    address = "$web"
    [listeners.over]
    address = "$over"
    tls = { certificates = [{ chain = "over.pem", key = "over.key" }] }
    [listeners.soon]
    address = "$soon"
    tls = { certificates = [{ chain = "soon.pem", key = "soon.key" }] }
    [listeners.fine]
    address = "$fine"
    tls = { certificates = [{ chain = "fine.pem", key = "fine.key" }] }
    [routes.all]
    respond = { }
"#;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Words of the alerts, and of the table of certificates with the class of the expiry.
const ALERTS: &str = "[...document.querySelectorAll('#alerts .alert')].map((it) => it.textContent)";
const ROWS: &str = "[...document.querySelectorAll('main table')].filter((it) => it.caption.textContent == \
                    'Certificates').flatMap((it) => [...it.tBodies[0].rows]).map((row) => \
                    [row.cells[1].textContent, row.cells[2].textContent, row.cells[3].textContent, row.cells[3].className])";

fn write(folder: &Path, name: &str, end: SystemTime) {
    let issued = Authority::new("test authority").issue_until(&[&format!("{name}.example")], end);
    issued.write(folder, name);
}

async fn the_table_tells(browser: &mut Chromium) {
    go(browser, "connections").await;
    let rows = browser
        .until(&format!("({ROWS}).length == 3 && {ROWS}"))
        .await;
    for (row, (name, words, class)) in [
        ("over", "(expired 3 d ago)", "bad"),
        ("soon", "(in 20 h ", "warn"),
        ("fine", "(in 89 d 23 h)", "good"),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(rows[row][0], format!("Listener {name}"), "{rows:#}");
        assert_eq!(rows[row][1], format!("{name}.example"), "{rows:#}");
        assert!(rows[row][2].as_str().unwrap().contains(words), "{rows:#}");
        assert_eq!(rows[row][3], class, "{rows:#}");
    }
    browser.picture("certificates.png").await;
}

fn the_terminal_tells(proxy: &Proxy) {
    let (_, text) = command(proxy.folder(), &["status", "--config", "proxy.toml"]);
    let lines: Vec<&str> = text.lines().filter(|it| it.starts_with("! ")).collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert!(
        lines[0].starts_with("! listener over: certificate "),
        "{text}"
    );
    assert!(
        lines[0].contains("over.pem expired 3 days ago, at "),
        "{text}"
    );
    assert!(
        lines[1].contains("soon.pem expires in 20 hours, at "),
        "{text}"
    );
}

/// On a phone.
async fn chinese_is_spoken(browser: &mut Chromium) {
    browser.screen(Screen::Phone).await;
    browser.click("#language").await;
    browser
        .until("document.documentElement.lang == 'zh-CN'")
        .await;
    let alerts = browser
        .until(&format!("({ALERTS}).length && {ALERTS}"))
        .await;
    let [over, soon] = [0, 1].map(|at| alerts[at].as_str().unwrap());
    assert!(
        over.contains("监听器 over：证书 ") && over.contains("已过期 3 天"),
        "{alerts:#}"
    );
    assert!(
        soon.contains("将在 20 小时 ") && soon.contains("到期"),
        "{alerts:#}"
    );
    let wide = "document.documentElement.scrollWidth - innerWidth";
    assert_eq!(browser.evaluate(wide).await, 0);
    browser.picture("certificates-phone.png").await;
}

#[tokio::test]
async fn expired_and_almost_expired_certificates_are_told_in_words() {
    let settings = Settings::new(THREE);
    let now = SystemTime::now();
    write(settings.folder(), "over", now - 3 * DAY - HOUR / 2);
    write(settings.folder(), "soon", now + 20 * HOUR + HOUR / 2);
    write(settings.folder(), "fine", now + 90 * DAY);
    let proxy = settings.start().await;
    let Some(mut browser) = page(&proxy, "overview", "en", Screen::Desk).await else {
        return;
    };
    let alerts = browser.until(ALERTS).await;
    let alert = |at: usize| alerts[at].as_str().unwrap_or_default().to_owned();
    assert_eq!(alerts.as_array().unwrap().len(), 2, "{alerts:#}");
    for (at, begin, file, words) in [
        (
            0,
            "✖ Listener over: certificate ",
            "over.pem",
            " expired 3 d ago, at ",
        ),
        (
            1,
            "▲ Listener soon: certificate ",
            "soon.pem",
            " expires in 20 h ",
        ),
    ] {
        let text = alert(at);
        assert!(text.starts_with(begin), "{text}");
        assert!(text.contains(&format!("{file}{words}")), "{text}");
    }
    assert!(alert(0).ends_with("; most peers refuse it"), "{alerts:#}");
    assert_eq!(
        browser
            .evaluate("document.querySelector('#state').textContent")
            .await,
        "degraded"
    );

    the_table_tells(&mut browser).await;
    the_terminal_tells(&proxy);
    chinese_is_spoken(&mut browser).await;

    // Renewed files are taken up, and the alerts go by themselves.
    for name in ["over", "soon"] {
        write(proxy.folder(), name, now + 60 * DAY);
    }
    browser.until(&format!("({ALERTS}).length == 0")).await;
    browser
        .until("document.querySelector('#state').textContent == '运行中'")
        .await;
    browser.has_no_faults().await;
    proxy.finish().await;
}

#[tokio::test]
async fn a_certificate_with_a_short_life_is_no_alert_for_most_of_it() {
    let settings = Settings::new(THREE);
    let authority = Authority::new("test authority");
    let now = SystemTime::now();
    // 24 hours each, as those of a sidecar: one has 20 hours left, one 5.
    for (name, left) in [("over", 20), ("soon", 5), ("fine", 20)] {
        let issued = authority.issue_for(
            &["shop.example"],
            now + left * HOUR - DAY,
            now + left * HOUR,
        );
        issued.write(settings.folder(), name);
    }
    let proxy = settings.start().await;
    let Some(mut browser) = page(&proxy, "overview", "en", Screen::Desk).await else {
        return;
    };
    let alerts = browser
        .until(&format!("({ALERTS}).length && {ALERTS}"))
        .await;
    assert_eq!(alerts.as_array().unwrap().len(), 1, "{alerts:#}");
    let text = alerts[0].as_str().unwrap();
    assert!(
        text.starts_with("▲ Listener soon: certificate "),
        "{alerts:#}"
    );
    let (_, text) = command(proxy.folder(), &["status", "--config", "proxy.toml"]);
    let lines: Vec<&str> = text.lines().filter(|it| it.starts_with("! ")).collect();
    assert_eq!(lines.len(), 1, "{text}");
    assert!(lines[0].contains("soon.pem expires in "), "{text}");
    browser.has_no_faults().await;
    proxy.finish().await;
}
