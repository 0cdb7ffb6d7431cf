//! Each command, and Istio's whole line, at both sides of the same requests: the same but for times, ports and ids.

use mesh_tower::mesh_core::access_log::DEFAULT_TEXT;

use super::sides::{ASKED, Sides, file_log};
use crate::envoy;

/// Commands, and how much of what they write has to be the same.
const COMMANDS: [(&str, Same); 64] = [
    ("%START_TIME%", Same::Form),
    ("%START_TIME(%Y %s.%3f)%", Same::Form),
    ("%REQ(:METHOD)%", Same::All),
    ("%REQ(:PATH)%", Same::All),
    ("%REQ(:AUTHORITY)%", Same::All),
    ("%REQ(:SCHEME)%", Same::All),
    ("%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%", Same::All),
    ("%REQ(X-USER)%", Same::All),
    ("%REQ(X-TWO)%", Same::All),
    ("%REQ(X-ODD)%", Same::All),
    ("%REQ(REFERER):6%", Same::All),
    ("%REQ(X-NONE?REFERER)%", Same::All),
    ("%REQ(X-FORWARDED-FOR)%", Same::Form),
    ("%REQ(X-FORWARDED-PROTO)%", Same::All),
    ("%REQ(X-ENVOY-ATTEMPT-COUNT)%", Same::All),
    ("%REQ(USER-AGENT)%", Same::All),
    ("%REQ(X-REQUEST-ID)%", Same::Form),
    ("%RESP(:STATUS)%", Same::All),
    ("%RESP(X-ANSWER)%", Same::All),
    ("%RESP(SERVER)%", Same::All),
    ("%RESP(CONTENT-TYPE)%", Same::All),
    ("%RESP(CONTENT-LENGTH)%", Same::All),
    ("%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%", Same::Form),
    ("%TRAILER(GRPC-STATUS)%", Same::All),
    ("%PROTOCOL%", Same::All),
    ("%RESPONSE_CODE%", Same::All),
    ("%RESPONSE_FLAGS%", Same::All),
    ("%RESPONSE_FLAGS_LONG%", Same::All),
    ("%RESPONSE_CODE_DETAILS%", Same::All),
    ("%CONNECTION_TERMINATION_DETAILS%", Same::All),
    ("%UPSTREAM_TRANSPORT_FAILURE_REASON%", Same::All),
    ("%DOWNSTREAM_TRANSPORT_FAILURE_REASON%", Same::All),
    ("%BYTES_RECEIVED%", Same::All),
    ("%BYTES_SENT%", Same::All),
    ("%DURATION%", Same::Form),
    ("%REQUEST_DURATION%", Same::Form),
    ("%RESPONSE_DURATION%", Same::Form),
    ("%RESPONSE_TX_DURATION%", Same::Form),
    ("%UPSTREAM_HOST%", Same::Form),
    ("%UPSTREAM_REMOTE_ADDRESS%", Same::Form),
    ("%UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%", Same::All),
    ("%UPSTREAM_CLUSTER_RAW%", Same::All),
    ("%UPSTREAM_LOCAL_ADDRESS%", Same::Form),
    ("%UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT%", Same::All),
    ("%UPSTREAM_LOCAL_PORT%", Same::Form),
    ("%UPSTREAM_REQUEST_ATTEMPT_COUNT%", Same::All),
    ("%DOWNSTREAM_LOCAL_ADDRESS%", Same::Form),
    ("%DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT%", Same::All),
    ("%DOWNSTREAM_LOCAL_PORT%", Same::Form),
    ("%DOWNSTREAM_REMOTE_ADDRESS%", Same::Form),
    ("%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%", Same::All),
    ("%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%", Same::All),
    ("%DOWNSTREAM_REMOTE_PORT%", Same::Form),
    ("%REQUESTED_SERVER_NAME%", Same::All),
    ("%ROUTE_NAME%", Same::All),
    ("%GRPC_STATUS%", Same::All),
    ("%GRPC_STATUS_NUMBER%", Same::All),
    ("%DOWNSTREAM_PEER_URI_SAN%", Same::All),
    ("%DOWNSTREAM_LOCAL_URI_SAN%", Same::All),
    ("%DOWNSTREAM_TLS_VERSION%", Same::All),
    ("%TRACE_ID%", Same::All),
    ("%STREAM_ID%", Same::Form),
    ("%UNIQUE_ID%", Same::Form),
    ("%QUERY_PARAM(x)%", Same::All),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Same {
    All,
    /// Digits, however many, stand for each other: times, ports, ids in hexadecimal.
    Form,
}

impl Same {
    fn of(self, written: &str) -> String {
        if self == Self::All { written.to_owned() } else { form(written) }
    }
}

/// With one `0` in place of each run of digits.
fn form(written: &str) -> String {
    let is_id = written.len() == 36 && written.split('-').count() == 5;
    let mut out = String::new();
    for c in written.chars() {
        let c = if c.is_ascii_digit() || (is_id && c.is_ascii_hexdigit()) { '0' } else { c };
        if c != '0' || !out.ends_with('0') {
            out.push(c);
        }
    }
    out
}

fn mesh_config(format: &str) -> String {
    let quoted = serde_json::to_string(format).unwrap();
    format!("accessLogFile: FOLDER/mesh\naccessLogFormat: {quoted}\n")
}

/// What both wrote of each request: the request, Envoy's line, ours.
async fn written(binary: &std::path::Path, format: &str) -> Vec<(&'static str, String, String)> {
    let format = format!("%REQ(X-MARK)% {}", format.trim_end());
    let sides = Sides::start(binary, vec![file_log("envoy", &format, None)], &mesh_config(&format), "").await;
    sides.ask_all().await;
    let mut all = Vec::new();
    for ask in &ASKED {
        let mut of = Vec::new();
        for name in ["envoy", "mesh"] {
            let count = |lines: &Vec<String>| lines.len() >= ASKED.len();
            let lines = sides.lines_when(name, count).await;
            let line = lines.into_iter().find_map(|line| Some(line.strip_prefix(ask.mark)?.trim_start().to_owned()));
            of.push(line.unwrap());
        }
        let own = of.pop().unwrap();
        all.push((ask.mark, of.pop().unwrap(), own));
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn each_command_writes_what_envoy_writes() {
    let Some(binary) = envoy::binary() else { return };
    let format = COMMANDS.map(|(command, _)| command).join(" ~ ");
    let mut differ = Vec::new();
    for (mark, envoys, own) in written(&binary, &format).await {
        let (envoys, own): (Vec<_>, Vec<_>) = (envoys.split(" ~ ").collect(), own.split(" ~ ").collect());
        assert_eq!((envoys.len(), own.len()), (COMMANDS.len(), COMMANDS.len()));
        for (place, (command, same)) in COMMANDS.iter().enumerate() {
            if same.of(envoys[place]) != same.of(own[place]) && !is_known(mark, command) {
                differ.push(format!("{mark}: {command}: Envoy writes {:?}, the mesh {:?}", envoys[place], own[place]));
            }
        }
    }
    assert!(differ.is_empty(), "{} differ:\n{}", differ.len(), differ.join("\n"));
}

/// Where the two differ, and are to.
fn is_known(mark: &str, command: &str) -> bool {
    match command {
        // No header of Envoy's own is on the answer: it is an application's, or a mesh's within one.
        "%RESP(SERVER)%" => true,
        // Written behind the mesh.
        "%RESP(CONTENT-LENGTH)%" => mark == "nobody",
        // Control characters are made visible, for terminals.
        "%REQ(X-ODD)%" => mark == "failed",
        // When a body has been sent to its end nobody notes.
        "%REQUEST_DURATION%" => mark == "failed",
        _ => false,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn istios_line_is_what_envoy_writes() {
    let Some(binary) = envoy::binary() else { return };
    let forms = |line: &str| line.split(' ').map(|word| form(word.trim_matches('"'))).collect::<Vec<_>>();
    for (mark, envoys, own) in written(&binary, DEFAULT_TEXT).await {
        assert_eq!(forms(&envoys), forms(&own), "{mark}");
    }
}
