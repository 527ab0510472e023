//! `[tracing]`, as far as workers need it.

use crate::{
    config::{
        Config,
        schema::{TraceAccept, TracePropagation},
    },
    semantics::trace::TraceFormat,
    telemetry::{
        access_log::{Redaction, Sample},
        trace::{Accept, TraceEncoding, TraceSettings},
    },
};

pub(super) fn settings(config: &Config) -> Option<TraceSettings> {
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
    let masked = config.access_log.iter().flat_map(|log| &log.fields.redact);
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
        redaction: Redaction::new(masked, [""; 0]),
        service: (&*written.service).into(),
    })
}
