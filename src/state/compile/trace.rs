//! `[tracing]`, as far as workers need it.

use std::sync::Arc;

use crate::{
    config::{
        Config,
        schema::{TraceAccept, TracePropagation},
    },
    semantics::{secret_names::SecretNames, trace::TraceFormat},
    telemetry::{
        access_log::Sample,
        trace::{Accept, TraceEncoding, TraceSettings},
    },
};

pub(super) fn settings(config: &Config, secrets: &Arc<SecretNames>) -> Option<TraceSettings> {
    let written = config.tracing.as_ref()?;
    let encoding = match (&written.otlp, &written.zipkin) {
        (Some(_), _) => Some(TraceEncoding::Otlp),
        (None, Some(_)) => Some(TraceEncoding::Zipkin),
        (None, None) => None,
    };
    let formats = written.propagate.iter().map(|format| match format {
        TracePropagation::TraceContext => TraceFormat::TraceContext,
        TracePropagation::B3 => TraceFormat::B3,
        TracePropagation::B3Multi => TraceFormat::B3Multi,
    });
    Some(TraceSettings {
        encoding,
        sample: Sample::new(written.sample.get()),
        failed: written.always.failed,
        slow: written.always.slow,
        formats: formats.collect(),
        accept: match written.accept {
            TraceAccept::Trusted => Accept::Trusted,
            TraceAccept::All => Accept::All,
            TraceAccept::None => Accept::Nobody,
        },
        names: Arc::clone(secrets),
        service: (&*written.service).into(),
    })
}
