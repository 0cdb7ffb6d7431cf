//! Where requests are logged: what names providers replaces those of the wider levels, what is disabled takes them away, and
//! the last filter that is for a provider says which requests.

use std::sync::Arc;

use mesh_config::api::mesh_config::{
    AccessLogEncoding, EnvoyFileAccessLogProvider, EnvoyOtelAccessLogProvider, LogFormat,
};
use mesh_config::api::telemetry::AccessLogging;
use mesh_config::api::{MeshConfig, Telemetry};
use mesh_config::{Code, Diagnostic, Object};

use super::applicable::Applicable;
use super::expression::compiled;
use super::means;
use super::providers::{BUILT_IN_LOG, Providers};
use crate::Site;
use crate::access_log::{Attributes, Format};
use crate::cel::Program;
use crate::compile::findings::Findings;
use crate::telemetry::policy::{ExportedLog, LogFile, LogPolicy, Side};

/// Where the requests of one side are logged.
pub(super) fn merged(
    applicable: &Applicable<'_>,
    (mesh, site): (&MeshConfig, &Site),
    providers: &Providers<'_>,
    side: Side,
    findings: &mut Findings,
) -> LogPolicy {
    let is_asked = applicable.logging().next().is_some() || !providers.default_logs().is_empty();
    if !is_asked {
        let path = mesh.access_log_file.as_str();
        let file = (!path.is_empty()).then(|| LogFile {
            path: path.into(),
            format: of_mesh(mesh, false, findings),
            filter: None,
        });
        return LogPolicy { files: file.into_iter().collect(), exported: Vec::new() };
    }
    // `accessLogFile` alone is the default of those who name nothing.
    let mut loggers: Vec<Logger> = providers.default_logs().iter().map(|name| Logger::unfiltered(name)).collect();
    if loggers.is_empty() && !mesh.access_log_file.is_empty() {
        loggers.push(Logger::unfiltered(BUILT_IN_LOG));
    }
    for (object, logging) in applicable.logging() {
        loggers = refine(loggers, object, logging, side, findings);
    }
    let mut policy = LogPolicy::default();
    for Logger { name, filter } in loggers {
        let provider = providers.get(&name);
        let provider = provider.as_deref();
        if let Some(file) = provider.and_then(|provider| provider.envoy_file_access_log.as_ref()) {
            let path = if file.path.is_empty() { "/dev/stdout" } else { &file.path };
            let file = LogFile { path: path.into(), format: of_provider(&name, file, mesh, findings), filter };
            if !policy.files.contains(&file) {
                policy.files.push(file);
            }
        } else if let Some(log) = provider.and_then(|provider| provider.envoy_otel_als.as_ref()) {
            if site.exports_logs {
                policy.exported.push(exported(&name, log, filter, findings));
            } else {
                findings.add(nobody_exports(&name));
            }
        } else {
            findings.add(takes_none(&name));
        }
    }
    policy
}

fn takes_none(name: &str) -> Diagnostic {
    Diagnostic::warning(Code::NOT_ENFORCED, format!("the provider {name:?} takes no access logs here"))
        .effect("it is told of no request")
        .help("a provider with `envoyFileAccessLog` or `envoyOtelAls` is one that there is, and so is `envoy`")
}

fn nobody_exports(name: &str) -> Diagnostic {
    let message = format!("the provider {name:?} exports access logs, and this process has nobody who does");
    Diagnostic::warning(Code::NOT_ENFORCED, message)
        .effect("it is told of no request")
        .help("`MeshBuilder::logger_provider` takes one; `Otlp` makes one with the feature `otlp`")
}

/// A provider, and which requests it is told of.
#[derive(Clone, Debug)]
struct Logger {
    name: String,
    filter: Option<Arc<Program>>,
}

impl Logger {
    fn unfiltered(name: &str) -> Self {
        Self { name: name.to_owned(), filter: None }
    }
}

/// What one level makes of the providers of those above it.
fn refine(
    above: Vec<Logger>,
    object: &Object<Telemetry>,
    logging: &[AccessLogging],
    side: Side,
    findings: &mut Findings,
) -> Vec<Logger> {
    let (mut named, mut disabled): (Option<Vec<Logger>>, Vec<String>) = (None, Vec::new());
    for (place, entry) in logging.iter().enumerate() {
        if !means(entry.matches.map(|matches| matches.mode), side) {
            continue;
        }
        let expression = entry.filter.as_ref().map_or("", |filter| filter.expression.as_str());
        let path = format!("spec.accessLogging[{place}].filter.expression");
        let filter = (!expression.is_empty()).then(|| compiled(expression, object, &path, EFFECTS, findings)).flatten();
        let mut these: Vec<Logger> = match entry.providers.as_slice() {
            [] => above.clone(),
            providers => providers.iter().map(|provider| Logger::unfiltered(&provider.name)).collect(),
        };
        if let Some(filter) = filter {
            these.iter_mut().for_each(|logger| logger.filter = Some(Arc::clone(&filter)));
        }
        if entry.disabled == Some(true) {
            disabled.extend(these.into_iter().map(|logger| logger.name));
            continue;
        }
        let named = named.get_or_insert_default();
        // Of two entries for a provider the last counts.
        named.retain(|known| these.iter().all(|logger| logger.name != known.name));
        named.extend(these);
    }
    let mut loggers = named.unwrap_or(above);
    loggers.retain(|logger| !disabled.contains(&logger.name));
    loggers
}

/// What a filter does that errs, and one that cannot be read.
const EFFECTS: (&str, &str) = (
    "evaluating it errs there: requests are not logged, unless the other operand of an && or || decides",
    "every request is logged",
);

/// What Istio calls a log that has no name.
const EXPORTED: &str = "otel_envoy_accesslog";

fn exported(
    name: &str,
    log: &EnvoyOtelAccessLogProvider,
    filter: Option<Arc<Program>>,
    findings: &mut Findings,
) -> ExportedLog {
    let format = log.log_format.clone().unwrap_or_default();
    let body = match format.text.as_deref() {
        None | Some("") => Ok(Format::default_text(false)),
        Some(text) => Format::text(text, false),
    };
    let what = format!("the format of the access log provider {name:?}");
    let body = or_default(body, &what, || Format::default_text(false), findings);
    let labels = format.labels.unwrap_or_default();
    // As in Istio only texts are taken.
    let texts = labels.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap_or_default()));
    let attributes = Attributes::new(texts).unwrap_or_else(|problem| {
        let message = format!("the labels of the access log provider {name:?} cannot be read: {problem}");
        findings.add(Diagnostic::warning(Code::NOT_ENFORCED, message).effect("its lines have no attributes"));
        Attributes::default()
    });
    let name = if log.log_name.is_empty() { EXPORTED } else { &log.log_name };
    ExportedLog { name: name.into(), body, attributes: Arc::new(attributes), filter }
}

fn of_provider(
    name: &str,
    file: &EnvoyFileAccessLogProvider,
    mesh: &MeshConfig,
    findings: &mut Findings,
) -> Arc<Format> {
    let omits = file.omit_empty_values;
    let format = match &file.log_format {
        Some(LogFormat { text: Some(text), .. }) if !text.is_empty() => Format::text(text, omits),
        Some(LogFormat { labels: Some(labels), .. }) if labels.is_empty() => {
            return Arc::new(Format::default_json(omits));
        }
        Some(LogFormat { labels: Some(labels), .. }) => {
            Format::json(labels.iter().map(|(name, value)| (name.as_str(), value.clone())), omits)
        }
        _ => return of_mesh(mesh, omits, findings),
    };
    let what = format!("the format of the access log provider {name:?}");
    or_default(format, &what, || Format::default_text(omits), findings)
}

/// The format that MeshConfig sets for all.
fn of_mesh(mesh: &MeshConfig, omits: bool, findings: &mut Findings) -> Arc<Format> {
    let text = mesh.access_log_format.as_str();
    let format = match mesh.access_log_encoding {
        AccessLogEncoding::Text if text.is_empty() => return Arc::new(Format::default_text(omits)),
        AccessLogEncoding::Text => Format::text(text, omits),
        AccessLogEncoding::Json if text.is_empty() => return Arc::new(Format::default_json(omits)),
        AccessLogEncoding::Json => {
            let values = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text);
            let values = values.map_err(|problem| format!("it is no JSON object: {problem}"));
            values.and_then(|values| {
                Format::json(values.iter().map(|(name, value)| (name.as_str(), value.clone())), omits)
            })
        }
    };
    let json = mesh.access_log_encoding == AccessLogEncoding::Json;
    let fallback = || if json { Format::default_json(omits) } else { Format::default_text(omits) };
    or_default(format, "accessLogFormat of MeshConfig", fallback, findings)
}

fn or_default(
    format: Result<Format, String>,
    what: &str,
    fallback: impl FnOnce() -> Format,
    findings: &mut Findings,
) -> Arc<Format> {
    Arc::new(format.unwrap_or_else(|problem| {
        let message = format!("{what} cannot be read: {problem}");
        findings.add(Diagnostic::warning(Code::NOT_ENFORCED, message).effect("Istio's default format is used"));
        fallback()
    }))
}
