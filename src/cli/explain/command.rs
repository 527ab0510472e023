//! The command `explain`: asks the file, or the running proxy.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::{super::args::ExplainArgs, text};
use crate::{
    cli::{
        args::{Args, OutputFormat},
        check,
        client::Client,
        exit_code::{CommandError, Exit},
        print,
    },
    state::{self, Asked, HealthKnown},
    tls::ClientCertificate,
};

/// Explains the request that the arguments describe.
pub(in crate::cli) fn explain(args: &Args, asked: &ExplainArgs) -> Result<Exit, CommandError> {
    let live = asked.live || asked.ask.admin.is_some();
    let told = if live {
        let client = Client::find(args, &asked.ask)?;
        let body = question(asked)?.to_string();
        client.post("/explain", "application/json", body)?
    } else {
        let snapshot = check::compile(args.config())?;
        let explained = state::explain(&snapshot, &request(asked)?, HealthKnown::No);
        let mut told = json!(explained.map_err(CommandError::Refused)?);
        snapshot.config.mask_sentences(&mut told);
        told
    };
    match asked.ask.output.format {
        OutputFormat::Json => print::json(&told)?,
        OutputFormat::Text => print::answer(&text::text(&told))?,
    }
    Ok(Exit::Fine)
}

fn request(asked: &ExplainArgs) -> Result<Asked, CommandError> {
    Ok(Asked {
        method: asked.method.clone(),
        url: asked.url.clone(),
        headers: asked.headers.iter().cloned().collect(),
        listener: asked.listener.clone(),
        source: asked.source,
        certificate: certificate(asked)?,
    })
}

/// What the client's certificate would say.
fn certificate(asked: &ExplainArgs) -> Result<Option<ClientCertificate>, CommandError> {
    let load = |path: &PathBuf| {
        ClientCertificate::load(path).map_err(|fault| CommandError::Refused(fault.to_string()))
    };
    asked.certificate.as_ref().map(load).transpose()
}

/// The same as the admin API wants it.
fn question(asked: &ExplainArgs) -> Result<Value, CommandError> {
    let header = |(name, value): &(http::HeaderName, http::HeaderValue)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        json!([name.as_str(), value])
    };
    Ok(json!({
        "method": asked.method.as_str(),
        "url": asked.url.to_string(),
        "headers": asked.headers.iter().map(header).collect::<Vec<_>>(),
        "listener": asked.listener,
        "source": asked.source,
        "client_certificate": certificate(asked)?,
    }))
}
