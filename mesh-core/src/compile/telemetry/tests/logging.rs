//! Where requests are logged, in which format, and which of them.

use serde_json::json;

use super::{telemetries, telemetry};
use crate::Site;
use crate::access_log::{Attributes, Format};
use crate::compile::tests::World;
use crate::telemetry::policy::{LogFile, LogPolicy};
use crate::telemetry::record::Wanted;

/// Each file, with its filter.
fn files(policy: &LogPolicy) -> Vec<String> {
    let shown = |file: &LogFile| match &file.filter {
        None => file.path.to_string(),
        Some(filter) => format!("{} if {}", file.path, filter.text()),
    };
    policy.files.iter().map(shown).collect()
}

/// The only format of a mesh.
fn format(mesh: &str) -> Format {
    let found = telemetries(mesh).client.logs;
    assert_eq!(found.files.len(), 1, "{mesh}");
    Format::clone(&found.files[0].format)
}

/// With a provider `mine` of this configuration, which is the default.
fn provider(file: &str) -> String {
    format!(
        "extensionProviders: [{{name: mine, envoyFileAccessLog: {file}}}]\ndefaultProviders: {{accessLogging: [mine]}}\n"
    )
}

fn warnings(text: &str) -> Vec<String> {
    let site = Site { labels: [("app".to_owned(), "test".to_owned())].into(), ..Site::default() };
    World::at(text, &site).compiled.report.iter().map(|finding| finding.message.clone()).collect()
}

const PROVIDERS: &str =
    "extensionProviders: [{name: one, envoyFileAccessLog: {path: /1}}, {name: two, envoyFileAccessLog: {path: /2}}]\n";

#[test]
fn without_a_word_nothing_is_logged() {
    assert_eq!(telemetries("").client.logs, LogPolicy::default());
    let empty = telemetry("a", "default", "{accessLogging: [{}]}");
    assert!(files(&telemetries(&empty).client.logs).is_empty());
}

#[test]
fn mesh_config_names_a_file_and_a_format_for_all() {
    let found = telemetries("accessLogFile: /dev/stdout");
    assert_eq!(files(&found.client.logs), ["/dev/stdout"]);
    assert_eq!(found.client, found.server);
    assert_eq!(format("accessLogFile: /a"), Format::default_text(false));
    assert_eq!(format("{accessLogFile: /a, accessLogEncoding: JSON}"), Format::default_json(false));
    let text = "{accessLogFile: /a, accessLogFormat: '%PROTOCOL%'}";
    assert_eq!(format(text), Format::text("%PROTOCOL%\n", false).unwrap());
    let json =
        "{accessLogFile: /a, accessLogEncoding: JSON, accessLogFormat: '{\"p\": \"%PROTOCOL%\", \"n\": {\"a\": 1}}'}";
    let values = [("p", json!("%PROTOCOL%")), ("n", json!({"a": 1}))];
    assert_eq!(format(json), Format::json(values, false).unwrap());
}

#[test]
fn a_provider_has_a_path_and_a_format_of_its_own() {
    assert_eq!(files(&telemetries(&provider("{path: /x}")).server.logs), ["/x"]);
    assert_eq!(files(&telemetries(&provider("{}")).server.logs), ["/dev/stdout"]);
    assert_eq!(
        format(&provider("{path: /x, logFormat: {text: '%PROTOCOL%'}}")),
        Format::text("%PROTOCOL%", false).unwrap()
    );
    let labels = Format::json([("p", json!("%PROTOCOL%")), ("l", json!(["%ROUTE_NAME%"]))], false).unwrap();
    assert_eq!(format(&provider("{logFormat: {labels: {p: '%PROTOCOL%', l: ['%ROUTE_NAME%']}}}")), labels);
    assert_eq!(format(&provider("{logFormat: {labels: {}}}")), Format::default_json(false));
    assert_eq!(format(&provider("{logFormat: {text: ''}}")), Format::default_text(false));
    assert_eq!(format(&provider("{omitEmptyValues: true}")), Format::default_text(true));
}

#[test]
fn a_provider_without_a_format_has_that_of_mesh_config() {
    let json = provider("{}") + "accessLogEncoding: JSON\n";
    assert_eq!(format(&json), Format::default_json(false));
    assert_eq!(
        format(&(provider("{}") + "accessLogFormat: '%PROTOCOL%'\n")),
        Format::text("%PROTOCOL%", false).unwrap()
    );
    let own = provider("{logFormat: {text: '%ROUTE_NAME%'}}") + "accessLogFormat: '%PROTOCOL%'\n";
    assert_eq!(format(&own), Format::text("%ROUTE_NAME%", false).unwrap());
}

#[test]
fn what_cannot_be_read_is_told_and_the_default_takes_its_place() {
    let text = provider("{logFormat: {text: '%NONE%'}}");
    assert_eq!(format(&text), Format::default_text(false));
    assert!(warnings(&text).iter().any(|told| told.contains("\"mine\"") && told.contains("%NONE%")));
    let json = "{accessLogFile: /a, accessLogEncoding: JSON, accessLogFormat: 'no object'}";
    assert_eq!(format(json), Format::default_json(false));
    assert!(warnings(json).iter().any(|told| told.contains("accessLogFormat") && told.contains("no JSON object")));
}

#[test]
fn the_narrower_level_names_other_providers_or_takes_them_away() {
    let mesh = PROVIDERS.to_owned() + "defaultProviders: {accessLogging: [one]}\n";
    let client = |documents: &str| {
        let found = telemetries(&(mesh.clone() + documents));
        files(&found.client.logs)
    };
    assert_eq!(client(""), ["/1"]);
    let two = telemetry("a", "istio-system", "{accessLogging: [{providers: [{name: two}]}]}");
    assert_eq!(client(&two), ["/2"]);
    let both = telemetry("a", "default", "{accessLogging: [{providers: [{name: one}, {name: two}]}]}");
    assert_eq!(client(&both), ["/1", "/2"]);
    let none = telemetry("a", "default", "{accessLogging: [{disabled: true}]}");
    assert!(client(&(two.clone() + &none)).is_empty());
    let one_off = telemetry("b", "default", "{accessLogging: [{providers: [{name: one}], disabled: true}]}");
    assert_eq!(client(&(two + &one_off)), ["/2"]);
    let server = telemetry("a", "default", "{accessLogging: [{match: {mode: SERVER}, disabled: true}]}");
    assert_eq!(client(&server), ["/1"]);
    assert!(files(&telemetries(&(mesh.clone() + &server)).server.logs).is_empty());
}

#[test]
fn a_filter_is_for_the_providers_of_its_entry_and_the_last_one_counts() {
    let mesh = PROVIDERS.to_owned() + "defaultProviders: {accessLogging: [one]}\n";
    let client = |documents: &str| telemetries(&(mesh.clone() + documents)).client.logs;
    let wide = telemetry("a", "istio-system", "{accessLogging: [{filter: {expression: response.code >= 400}}]}");
    assert_eq!(files(&client(&wide)), ["/1 if response.code >= 400"], "for those that there are");
    let narrow = telemetry("b", "default", "{accessLogging: [{filter: {expression: response.code >= 500}}]}");
    assert_eq!(files(&client(&(wide.clone() + &narrow))), ["/1 if response.code >= 500"]);
    let kept = telemetry("b", "default", "{accessLogging: [{match: {mode: CLIENT}}]}");
    assert_eq!(files(&client(&(wide.clone() + &kept))), ["/1 if response.code >= 400"]);
    let all = telemetry("b", "default", "{accessLogging: [{providers: [{name: one}]}]}");
    assert_eq!(files(&client(&(wide + &all))), ["/1"], "named anew it has none");
    let each = "{accessLogging: [{providers: [{name: one}], filter: {expression: 'true'}},
        {providers: [{name: two}], filter: {expression: 'false'}}, {providers: [{name: one}], filter: {expression: '1 == 1'}}]}";
    assert_eq!(files(&client(&telemetry("a", "default", each))), ["/2 if false", "/1 if 1 == 1"]);
}

#[test]
fn who_takes_no_logs_here_is_told_of() {
    let text = telemetry("a", "default", "{accessLogging: [{providers: [{name: nobody}]}]}");
    assert!(files(&telemetries(&text).client.logs).is_empty());
    assert!(warnings(&text).iter().any(|told| told.contains("\"nobody\"")));
}

#[test]
fn what_is_exported_has_a_name_a_body_and_attributes() {
    let otel = |log: &str| {
        let text = format!(
            "extensionProviders: [{{name: o, envoyOtelAls: {log}}}]\ndefaultProviders: {{accessLogging: [o]}}\n"
        );
        let site = Site { exports_logs: true, ..Site::default() };
        World::at(&text, &site).compiled.snapshot.telemetry().client.logs.clone()
    };
    let plain = otel("{service: c, port: 4317}");
    assert!(plain.files.is_empty() && !plain.is_empty());
    assert_eq!(&*plain.exported[0].name, "otel_envoy_accesslog");
    assert_eq!(*plain.exported[0].body, Format::default_text(false));
    let own = "{service: c, port: 4317, logName: mine, logFormat: {text: '%PROTOCOL%', labels: {a: '%REQ(X-A)%'}}}";
    let own = otel(own).exported.remove(0);
    assert_eq!((&*own.name, &*own.body), ("mine", &Format::text("%PROTOCOL%", false).unwrap()));
    assert_eq!(*own.attributes, Attributes::new([("a", "%REQ(X-A)%")]).unwrap());
    assert_ne!(*own.attributes.wanted(), Wanted::default());
}

#[test]
fn without_who_exports_it_is_said() {
    let text = "extensionProviders: [{name: o, envoyOtelAls: {service: c, port: 4317}}]\ndefaultProviders: {accessLogging: [o]}\n";
    assert!(telemetries(text).client.logs.is_empty());
    assert!(warnings(text).iter().any(|told| told.contains("\"o\"") && told.contains("nobody who does")));
}
