//! Clients of a gateway's servers with `MUTUAL`: as whom they are known, and what becomes of them when it changes whom a
//! server takes.

use mesh_tower::Profile;
use mesh_tower::identity::MemoryIdentity;
use rustls::ProtocolVersion::TLSv1_3;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::authority::{Authority, Issued};
use crate::mesh_config::at_gateway;
use crate::stranger::Stranger;
use crate::world::{builder, server};

const NAME: &str = "server.test";
const NOBODY: Option<MemoryIdentity> = None;

/// As an Envoy 1.40 was seen to do with `require_client_certificate` and an RBAC filter: the principal is a URI of the
/// certificate, whoever signed it; and `x-forwarded-client-cert` has an empty `URI=` where there is none.
#[tokio::test]
async fn policies_see_who_a_certificate_says_that_its_client_is_but_nobody_of_the_mesh() {
    let ca = Authority::new();
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let Issued { chain, key } = ca.issue(&[NAME], |_| {});
    for (name, text) in [("chain", &chain), ("key", &key), ("roots", &ca.pem())] {
        std::fs::write(at(name), text).unwrap();
    }
    let inside = "{defaultConfig: {proxyHeaders: {forwardedClientCert: ALWAYS_FORWARD_ONLY}}}";
    let (_inside, upstream) = server(builder(NOBODY).mesh_config_yaml(inside)).await;
    let [chain, key, roots] = ["chain", "key", "roots"].map(|name| at(name).display().to_string());
    let tls = format!("{{mode: MUTUAL, serverCertificate: {chain}, privateKey: {key}, caCertificates: {roots}}}");
    let tls = format!("{{port: {{number: 443, name: https, protocol: HTTPS}}, hosts: ['*'], tls: {tls}}}");
    let (partner, ours) = ("partner.example/shop", "cluster.local/ns/default/sa/admin");
    let policy = format!(
        "---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: d, namespace: default}}\n\
         spec: {{selector: {{matchLabels: {{app: app}}}}, rules: [{{from: [{{source: {{principals: [{partner}, {ours}]}}}}]}}]}}\n"
    );
    let [partner, ours] = [partner, ours].map(|principal| format!("spiffe://{principal}"));
    for (profile, names, is_let_in) in [
        (Profile::Safe, vec![partner.as_str()], true),
        (Profile::Safe, vec![ours.as_str()], false),
        (Profile::Safe, vec!["https://partner.example", &partner], false),
        (Profile::Safe, vec!["partner.example"], false),
        (Profile::Istio, vec![partner.as_str()], true),
        (Profile::Istio, vec![ours.as_str()], true),
        (Profile::Istio, vec!["https://partner.example", &partner], true),
        (Profile::Istio, vec!["partner.example"], false),
    ] {
        for guarded in [true, false] {
            let policy = if guarded { policy.as_str() } else { "" };
            let mesh = builder(NOBODY).config_yaml("g", at_gateway(upstream, &tls) + policy).profile(profile);
            let mesh = mesh.build().await.unwrap();
            let gateway = mesh.gateway().address([127, 0, 0, 1]).map_port(443, 0).start().await.unwrap();
            let shown = ca.issue(&names, |_| {});
            let stranger = Stranger { roots: &ca, shown: Some(&shown), version: TLSv1_3, name: NAME };
            let text = stranger.ask(gateway.address_of(443).unwrap(), "").await.unwrap().text;
            let denied = text.contains("RBAC: access denied");
            assert_eq!(!denied, is_let_in || !guarded, "{profile:?} {names:?}: {text}");
            if names == ["partner.example"] && !guarded {
                assert!(text.contains(";URI=;DNS=partner.example"), "{text}");
            }
        }
    }
}

#[tokio::test]
async fn a_connection_without_a_certificate_gets_nothing_once_its_server_asks_for_one() {
    let ca = Authority::new();
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let Issued { chain, key } = ca.issue(&[NAME], |_| {});
    for (name, text) in [("chain", &chain), ("key", &key), ("roots", &ca.pem())] {
        std::fs::write(at(name), text).unwrap();
    }
    let (_inside, upstream) = server(builder(NOBODY)).await;
    let served = |mode: &str| {
        let files = format!("serverCertificate: {}, privateKey: {}", at("chain").display(), at("key").display());
        let tls = format!("{{mode: {mode}, {files}, caCertificates: {}}}", at("roots").display());
        at_gateway(
            upstream,
            &format!("{{port: {{number: 443, name: https, protocol: HTTPS}}, hosts: ['*'], tls: {tls}}}"),
        )
    };
    let mesh = builder(NOBODY).config_yaml("g", served("OPTIONAL_MUTUAL")).build().await.unwrap();
    let gateway = mesh.gateway().address([127, 0, 0, 1]).map_port(443, 0).start().await.unwrap();
    let address = gateway.address_of(443).unwrap();
    let stranger = Stranger { roots: &ca, shown: None, version: TLSv1_3, name: NAME };
    let mut stream = stranger.connect(address).await.unwrap();
    for (mode, status) in [("OPTIONAL_MUTUAL", "200"), ("MUTUAL", "421")] {
        assert!(mesh.apply_yaml("g", &served(mode)).accepted);
        stream.write_all(format!("GET / HTTP/1.1\r\nhost: {NAME}\r\n\r\n").as_bytes()).await.unwrap();
        let mut read = [0; 4096];
        let length = stream.read(&mut read).await.unwrap();
        let head = String::from_utf8_lossy(&read[..length]).into_owned();
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{mode}: {head}");
        assert_eq!(head.contains("connection: close"), mode == "MUTUAL", "{head}");
    }
}

/// The answer to one request on a connection that stays, and whether it is the last one.
async fn answer_on(stream: &mut (impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin)) -> (String, bool) {
    stream.write_all(format!("GET / HTTP/1.1\r\nhost: {NAME}\r\n\r\n").as_bytes()).await.unwrap();
    let mut read = [0; 4096];
    let length = stream.read(&mut read).await.unwrap();
    let head = String::from_utf8_lossy(&read[..length]).into_owned();
    (head.split(' ').nth(1).unwrap_or_default().to_owned(), head.contains("connection: close"))
}

#[tokio::test]
async fn a_connection_gets_nothing_once_its_certificate_would_not_be_taken_any_more() {
    let (ca, other) = (Authority::new(), Authority::new());
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let Issued { chain, key } = ca.issue(&[NAME], |_| {});
    let both = ca.pem() + &other.pem();
    for (name, text) in
        [("chain", &chain), ("key", &key), ("ours", &ca.pem()), ("both", &both), ("other", &other.pem())]
    {
        std::fs::write(at(name), text).unwrap();
    }
    let shown = ca.issue(&["spiffe://partner.example/shop"], |_| {});
    let (_inside, upstream) = server(builder(NOBODY)).await;
    let served = |mode: &str, roots: &str, more: &str| {
        let files = format!("serverCertificate: {}, privateKey: {}", at("chain").display(), at("key").display());
        let tls = format!("{{mode: {mode}, {files}, caCertificates: {}{more}}}", at(roots).display());
        let port = "{number: 443, name: https, protocol: HTTPS}";
        at_gateway(upstream, &format!("{{port: {port}, hosts: ['*'], tls: {tls}}}"))
    };
    let hash = "ab".repeat(32);
    let pinned = format!(", verifyCertificateHash: ['{hash}']");
    let named = ", subjectAltNames: [spiffe://partner.example/shop]";
    for (mode, roots, more, status) in [
        ("MUTUAL", "both", "", "200"),
        ("MUTUAL", "ours", named, "200"),
        ("SIMPLE", "ours", "", "200"),
        ("MUTUAL", "other", "", "421"),
        ("OPTIONAL_MUTUAL", "other", "", "421"),
        ("MUTUAL", "ours", pinned.as_str(), "421"),
        ("MUTUAL", "ours", ", subjectAltNames: [spiffe://partner.example/other]", "421"),
    ] {
        let mesh = builder(NOBODY).config_yaml("g", served("MUTUAL", "ours", "")).build().await.unwrap();
        let gateway = mesh.gateway().address([127, 0, 0, 1]).map_port(443, 0).start().await.unwrap();
        let address = gateway.address_of(443).unwrap();
        let stranger = Stranger { roots: &ca, shown: Some(&shown), version: TLSv1_3, name: NAME };
        let mut stream = stranger.connect(address).await.unwrap();
        assert_eq!(answer_on(&mut stream).await, ("200".to_owned(), false));
        assert!(mesh.apply_yaml("g", &served(mode, roots, more)).accepted);
        let expected = (status.to_owned(), status == "421");
        assert_eq!(answer_on(&mut stream).await, expected, "{mode} {roots} {more}");
    }
}

#[tokio::test]
async fn a_connection_ends_when_the_file_of_its_authorities_changes_and_stays_when_it_breaks() {
    let (ca, other) = (Authority::new(), Authority::new());
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let Issued { chain, key } = ca.issue(&[NAME], |_| {});
    for (name, text) in [("chain", &chain), ("key", &key), ("roots", &ca.pem())] {
        std::fs::write(at(name), text).unwrap();
    }
    let shown = ca.issue(&["spiffe://partner.example/shop"], |_| {});
    let (_inside, upstream) = server(builder(NOBODY)).await;
    let [chain, key, roots] = ["chain", "key", "roots"].map(|name| at(name).display().to_string());
    let tls = format!("{{mode: MUTUAL, serverCertificate: {chain}, privateKey: {key}, caCertificates: {roots}}}");
    let tls = format!("{{port: {{number: 443, name: https, protocol: HTTPS}}, hosts: ['*'], tls: {tls}}}");
    let mesh = builder(NOBODY).config_yaml("g", at_gateway(upstream, &tls)).build().await.unwrap();
    let gateway = mesh.gateway().address([127, 0, 0, 1]).map_port(443, 0).start().await.unwrap();
    let stranger = Stranger { roots: &ca, shown: Some(&shown), version: TLSv1_3, name: NAME };
    let mut stream = stranger.connect(gateway.address_of(443).unwrap()).await.unwrap();
    let past_a_look = || tokio::time::sleep(std::time::Duration::from_millis(1_100));
    for text in ["broken".to_owned(), ca.pem() + &other.pem()] {
        std::fs::write(at("roots"), text).unwrap();
        past_a_look().await;
        assert_eq!(answer_on(&mut stream).await.0, "200");
    }
    std::fs::write(at("roots"), other.pem()).unwrap();
    past_a_look().await;
    assert_eq!(answer_on(&mut stream).await, ("421".to_owned(), true));
}
