//! An OpenID provider, and a browser that logs in there for a session.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use crate::{
    message,
    token::{self, Algorithm, Keys},
};

/// The address of the provider, which runs from the first call to the end of the process.
///
/// # Errors
/// If the system has no socket or thread for it.
pub(crate) fn provider() -> io::Result<SocketAddr> {
    static ADDRESS: OnceLock<SocketAddr> = OnceLock::new();
    if let Some(address) = ADDRESS.get() {
        return Ok(*address);
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    thread::Builder::new()
        .name("provider".to_owned())
        .spawn(move || {
            for stream in listener.incoming().flatten() {
                // A proxy that is ended leaves connections behind.
                let _ = serve(stream, address);
            }
        })?;
    Ok(*ADDRESS.get_or_init(|| address))
}

/// Logs in through the proxy, and gives the cookie of the session.
///
/// # Errors
/// Why there is none.
pub(crate) fn log_in(proxy: SocketAddr) -> io::Result<String> {
    let begun = Instant::now();
    let first = loop {
        let answer = get(proxy, &message::path(128), "")?;
        // It asks for the endpoints of the provider first.
        if !answer[0].contains(" 503 ") || begun.elapsed() > PATIENCE {
            break answer;
        }
        thread::park_timeout(Duration::from_millis(100));
    };
    let place = value(&first, "location")?;
    let state = parameter(place, "state")?;
    // The provider gives the nonce as its code, so that it need not remember it.
    let nonce = parameter(place, "nonce")?;
    let path = format!("/oidc/callback?code={nonce}&state={state}");
    let second = get(proxy, &path, cookie(value(&first, "set-cookie")?))?;
    Ok(cookie(value(&second, "set-cookie")?).to_owned())
}

/// Opens a page as a browser does, and gives the lines of the answer's head.
fn get(proxy: SocketAddr, path: &str, cookie: &str) -> io::Result<Vec<String>> {
    let mut stream = TcpStream::connect(proxy)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: {}\r\naccept: text/html\r\nsec-fetch-mode: navigate\r\n\
         cookie: {cookie}\r\nconnection: close\r\n\r\n",
        message::HOST
    )?;
    head(&mut BufReader::new(stream))
}

/// Answers one request to the provider.
fn serve(stream: TcpStream, address: SocketAddr) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::new(stream);
    let lines = head(&mut reader)?;
    let length = value(&lines, "content-length").map_or(0, |it| it.parse().unwrap_or(0));
    let mut form = String::new();
    (&mut reader).take(length).read_to_string(&mut form)?;
    let issuer = format!("http://{address}");
    let path = lines[0].split(' ').nth(1).unwrap_or_default();
    let body = match path {
        "/jwks" => Keys::get().jwks(),
        "/token" => {
            let nonce = parameter(&form, "code")?;
            let claims = token::claims(&issuer, &format!(r#","nonce":"{nonce}""#));
            let id_token = Keys::get().signed(Algorithm::Es256, &claims);
            format!(
                r#"{{"id_token":"{id_token}","access_token":"an access token","token_type":"Bearer","expires_in":86400}}"#
            )
        }
        _ => format!(
            r#"{{"issuer":"{issuer}","authorization_endpoint":"{issuer}/auth","token_endpoint":"{issuer}/token",
            "jwks_uri":"{issuer}/jwks","id_token_signing_alg_values_supported":["ES256"]}}"#
        ),
    };
    write!(
        reader.get_mut(),
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// The lines of a head, which has at least one.
fn head(reader: &mut impl io::BufRead) -> io::Result<Vec<String>> {
    let lines = reader.lines().take_while(|line| {
        let is_end = line.as_ref().is_ok_and(String::is_empty);
        !is_end
    });
    let lines: Vec<String> = lines.collect::<io::Result<_>>()?;
    if lines.is_empty() {
        return Err(io::Error::other("the connection was closed without a head"));
    }
    Ok(lines)
}

fn value<'a>(lines: &'a [String], name: &str) -> io::Result<&'a str> {
    let found = lines.iter().find_map(|line| {
        let (own, value) = line.split_once(':')?;
        own.eq_ignore_ascii_case(name).then_some(value.trim())
    });
    let missing = || format!("login: no {name} after \"{}\"", lines[0]);
    found.ok_or_else(|| io::Error::other(missing()))
}

/// A parameter of a query or form whose value has no letter that is encoded.
fn parameter<'a>(text: &'a str, name: &str) -> io::Result<&'a str> {
    let mut pairs = text.split(['?', '&']).filter_map(|it| it.split_once('='));
    let found = pairs.find(|(own, _)| *own == name);
    let missing = || io::Error::other(format!("login: no {name} in \"{text}\""));
    found.map(|(_, value)| value).ok_or_else(missing)
}

/// Name and value of a line that sets a cookie.
fn cookie(line: &str) -> &str {
    line.split(';').next().unwrap_or_default()
}

/// Time for one answer; a proxy under valgrind is slow.
const PATIENCE: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_provider_signs_what_the_code_says() {
        let mut stream = TcpStream::connect(provider().unwrap()).unwrap();
        let form = "grant_type=authorization_code&code=abc";
        let length = form.len();
        write!(
            stream,
            "POST /token HTTP/1.1\r\ncontent-length: {length}\r\n\r\n{form}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(answer.contains("\"id_token\":\"eyJ"), "{answer}");
    }
}
