//! The command `explain`: queries the file, or the running proxy.

use std::path::PathBuf;

use super::{super::args::ExplainArgs, text};
use crate::{
    admin::ExplainRequest,
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
    if asked.live || asked.ask.admin.is_some() {
        let client = Client::find(args, &asked.ask)?;
        let told = client.ask_about(&question(asked)?)?;
        match asked.ask.output.format {
            OutputFormat::Json => print::json(&told)?,
            OutputFormat::Text => print::answer(&text::text(&client.understand(told)?))?,
        }
    } else {
        let snapshot = check::compile(args.config())?;
        let explained = state::explain(&snapshot, &request(asked)?, HealthKnown::No);
        let explained = explained.map_err(CommandError::Refused)?;
        match asked.ask.output.format {
            OutputFormat::Json => print::json(&explained)?,
            OutputFormat::Text => print::answer(&text::text(&explained))?,
        }
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

/// Returns the content of the client's certificate.
fn certificate(asked: &ExplainArgs) -> Result<Option<ClientCertificate>, CommandError> {
    let load = |path: &PathBuf| {
        ClientCertificate::load(path).map_err(|fault| CommandError::Refused(fault.to_string()))
    };
    asked.certificate.as_ref().map(load).transpose()
}

/// Makes the query for the admin API.
fn question(asked: &ExplainArgs) -> Result<ExplainRequest, CommandError> {
    let header = |(name, value): &(http::HeaderName, http::HeaderValue)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.as_str().to_owned(), value)
    };
    Ok(ExplainRequest {
        method: asked.method.to_string(),
        url: asked.url.to_string(),
        headers: asked.headers.iter().map(header).collect(),
        listener: asked.listener.clone(),
        source: asked.source,
        client_certificate: certificate(asked)?,
    })
}
