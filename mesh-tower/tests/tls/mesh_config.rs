//! What a MeshConfig says of TLS, in requests.

use std::net::SocketAddr;

use http::StatusCode;
use mesh_tower::Mesh;
use mesh_tower::identity::{Material, MemoryIdentity};
use rustls::{CipherSuite, NamedGroup, ProtocolVersion};
use tokio::net::TcpListener;

use crate::authority::{Authority, Issued};
use crate::stranger::{Got, Stranger};
use crate::world::{ME, SERVICE, ask, builder, destination_rule, peer_authentication, server, service};

const CLIENT: &str = "spiffe://cluster.local/ns/default/sa/client";
const NAME: &str = "server.test";
const USUAL: &str = "{trustDomain: cluster.local}";
const NOBODY: Option<MemoryIdentity> = None;
use ProtocolVersion::{TLSv1_2, TLSv1_3};

/// A server under `STRICT` and a MeshConfig, which bare clients know by [`NAME`].
async fn strict(ca: &Authority, mesh: &str) -> (Mesh, SocketAddr) {
    let Issued { chain, key } = ca.issue(&[ME, NAME], |_| {});
    let material = Material::from_pem(chain, key, ca.pem()).unwrap();
    let policy = peer_authentication("{mtls: {mode: STRICT}}");
    let builder = builder(Some(MemoryIdentity::new(material))).config_yaml("p", policy);
    server(builder.mesh_config_yaml(mesh)).await
}

#[tokio::test]
async fn servers_of_the_mesh_speak_the_versions_and_suites_that_it_allows() {
    let ca = Authority::new();
    let shown = ca.issue(&[CLIENT], |_| {});
    let stranger = |version| Stranger { roots: &ca, shown: Some(&shown), version, name: NAME };
    let (_mesh, usual) = strict(&ca, USUAL).await;
    let (_new, only_new) = strict(&ca, "{meshMTLS: {minProtocolVersion: TLSV1_3}}").await;
    let (_one, one) = strict(&ca, "{meshMTLS: {cipherSuites: [ECDHE-ECDSA-AES128-GCM-SHA256]}}").await;
    for address in [usual, only_new, one] {
        let got = stranger(TLSv1_3).ask(address, "").await.unwrap();
        assert!(got.text.starts_with("cluster.local/ns/default/sa/client"), "{got:?}");
    }
    let suite = async |address| stranger(TLSv1_2).ask(address, "").await.map(|got| got.suite.suite());
    assert_ne!(suite(usual).await.unwrap(), CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256);
    assert_eq!(suite(one).await.unwrap(), CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256);
    assert!(suite(only_new).await.is_err());
}

#[tokio::test]
async fn a_change_of_what_is_allowed_acts_on_the_next_connection() {
    let ca = Authority::new();
    let shown = ca.issue(&[CLIENT], |_| {});
    let Issued { chain, key } = ca.issue(&[ME, NAME], |_| {});
    let material = Material::from_pem(chain, key, ca.pem()).unwrap();
    let strict = builder(Some(MemoryIdentity::new(material)))
        .config_yaml("p", peer_authentication("{mtls: {mode: STRICT}}"))
        .config_yaml("mesh", "meshMTLS: {minProtocolVersion: TLSV1_2}\n");
    let (mesh, address) = server(strict).await;
    let stranger = Stranger { roots: &ca, shown: Some(&shown), version: TLSv1_2, name: NAME };
    assert!(stranger.ask(address, "").await.is_ok());
    assert!(mesh.apply_yaml("mesh", "meshMTLS: {minProtocolVersion: TLSV1_3}\n").accepted);
    assert!(stranger.ask(address, "").await.is_err());
}

/// A web server that tells by which group and suite it is spoken to.
async fn web(ca: &Authority, version: &'static rustls::SupportedProtocolVersion) -> SocketAddr {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let Issued { chain, key } = ca.issue(&["server.default.svc.cluster.local"], |_| {});
    let config = crate::world::web_config_of(&chain, &key, &[version], rustls::crypto::aws_lc_rs::ALL_KX_GROUPS);
    let acceptor = tokio_rustls::TlsAcceptor::from(config);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let _head = stream.read(&mut [0; 4096]).await;
                let connection = stream.get_ref().1;
                let group = connection.negotiated_key_exchange_group().map(|group| group.name());
                let suite = connection.negotiated_cipher_suite().map(|suite| suite.suite());
                let told = format!("{group:?} {suite:?}");
                let answer =
                    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{told}", told.len());
                let _written = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    address
}

#[tokio::test]
async fn clients_outside_of_the_mesh_offer_what_it_allows() {
    let ca = Authority::new();
    let directory = tempfile::tempdir().unwrap();
    let roots = directory.path().join("roots.pem");
    std::fs::write(&roots, ca.pem()).unwrap();
    let (new, old) = (web(&ca, &rustls::version::TLS13).await, web(&ca, &rustls::version::TLS12).await);
    let answer = async |address, mesh: &str| {
        let rule = destination_rule(&format!("{{mode: SIMPLE, caCertificates: {}}}", roots.display()));
        let documents = service(address, "HTTP", "") + &rule;
        let client = builder(NOBODY).config_yaml("s", documents).mesh_config_yaml(mesh).build().await.unwrap();
        ask(&client, SERVICE).await
    };
    assert!(answer(new, USUAL).await.1.starts_with("Some(X25519MLKEM768)"));
    let curves = "{tlsDefaults: {ecdhCurves: [P-521, P-384]}}";
    assert!(answer(new, curves).await.1.starts_with("Some(secp384r1)"));
    assert!(answer(old, curves).await.1.starts_with("Some(secp384r1)"));
    let suites = "{tlsDefaults: {cipherSuites: [ECDHE-ECDSA-AES128-GCM-SHA256]}}";
    let (_, told) = answer(old, suites).await;
    assert!(told.ends_with("Some(TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256)"), "{told}");
    // Nothing that is not allowed is spoken instead.
    assert_eq!(answer(new, "{tlsDefaults: {ecdhCurves: [P-521]}}").await.0, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer(old, "{tlsDefaults: {cipherSuites: [AES128-SHA]}}").await.0, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer(new, "{tlsDefaults: {cipherSuites: [AES128-SHA]}}").await.0, StatusCode::OK);
}

#[tokio::test]
async fn applications_are_told_of_certificates_as_the_mesh_says() {
    let ca = Authority::new();
    let shown = ca.issue(&[CLIENT], |_| {});
    const CLAIMED: &str = "URI=spiffe://cluster.local/ns/a/sa/b";
    for (details, kept, told) in [
        ("UNDEFINED", true, true),
        ("APPEND_FORWARD", true, true),
        ("SANITIZE", false, false),
        ("FORWARD_ONLY", true, false),
        ("ALWAYS_FORWARD_ONLY", true, false),
        ("SANITIZE_SET", false, true),
    ] {
        let mesh = format!("{{defaultConfig: {{proxyHeaders: {{forwardedClientCert: {details}}}}}}}");
        let (_mesh, address) = strict(&ca, &mesh).await;
        let stranger = Stranger { roots: &ca, shown: Some(&shown), version: TLSv1_3, name: NAME };
        let lines = format!("x-forwarded-client-cert: {CLAIMED}\r\n");
        let Got { text, .. } = stranger.ask(address, &lines).await.unwrap();
        let header = text.rsplit(' ').next().unwrap();
        assert_eq!(header.contains(CLAIMED), kept, "{details}: {text}");
        assert_eq!(header.contains(&format!("By={ME};Hash=")), told, "{details}: {text}");
        // Of whom nothing is proved.
        let plain = builder(NOBODY).mesh_config_yaml(&mesh);
        let (_plain, address) = server(plain).await;
        let text = plaintext(address, &lines).await;
        assert_eq!(text.contains(CLAIMED), details == "ALWAYS_FORWARD_ONLY", "{details}: {text}");
        assert!(text.starts_with("nobody"), "{details}: {text}");
    }
    let mesh =
        "{defaultConfig: {proxyHeaders: {setCurrentClientCertDetails: {cert: true, subject: false, uri: false}}}}";
    let (_mesh, address) = strict(&ca, mesh).await;
    let stranger = Stranger { roots: &ca, shown: Some(&shown), version: TLSv1_3, name: NAME };
    let Got { text, .. } = stranger.ask(address, "").await.unwrap();
    assert!(text.contains(";Cert=\"-----BEGIN%20CERTIFICATE") && !text.contains("Subject=") && !text.contains("URI="));
}

async fn plaintext(address: SocketAddr, lines: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = format!("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{lines}\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text.split_once("\r\n\r\n").unwrap().1.to_owned()
}

#[tokio::test]
async fn roots_of_the_mesh_count_beside_the_workloads_own_each_for_its_domain() {
    let (ca, further) = (Authority::new(), Authority::new());
    let (own, foreign) = (CLIENT, "spiffe://partner.example/ns/a/sa/b");
    let indented = further.pem().replace('\n', "\n      ");
    let roots = |domains: &str| format!("caCertificates:\n  - pem: |\n      {indented}\n    trustDomains: {domains}\n");
    for (mesh, by_own, by_foreign) in [
        (USUAL.to_owned(), false, false),
        (roots("[]"), true, false),
        (roots("[cluster.local]"), true, false),
        // Whom roots are known of is no peer of the mesh for that, as in Istio: an alias is.
        (roots("[partner.example]"), false, false),
        (roots("[cluster.local, partner.example]"), true, false),
        (roots("[partner.example]") + "trustDomainAliases: [partner.example]\n", false, true),
        (roots("[cluster.local, partner.example]") + "trustDomainAliases: [partner.example]\n", true, true),
        (format!("defaultConfig:\n  caCertificatesPem:\n  - |\n      {indented}\n"), true, false),
        ("caCertificates: [{pem: nothing}]".to_owned(), false, false),
    ] {
        let (_mesh, address) = strict(&ca, &mesh).await;
        // For other names of the mesh its own roots vouch as well.
        let is_alias = mesh.contains("trustDomainAliases");
        for (by, id, expected) in
            [(&ca, own, true), (&ca, foreign, is_alias), (&further, own, by_own), (&further, foreign, by_foreign)]
        {
            let shown = by.issue(&[id], |_| {});
            let stranger = Stranger { roots: &ca, shown: Some(&shown), version: TLSv1_3, name: NAME };
            let got = stranger.ask(address, "").await;
            assert_eq!(got.is_ok_and(|got| got.text.contains(&id[9..])), expected, "{id} under {mesh}");
        }
    }
}

pub(crate) fn at_gateway(upstream: SocketAddr, server: &str) -> String {
    service(upstream, "HTTP", "")
        + &format!(
            "---\napiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {{name: g, namespace: default}}\n\
             spec: {{selector: {{app: app}}, servers: [{server}]}}\n---\n\
             apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: v, namespace: default}}\n\
             spec: {{hosts: ['*'], gateways: [g], http: [{{route: [{{destination: {{host: server.default.svc.cluster.local}}}}]}}]}}\n"
        )
}

#[tokio::test]
async fn gateways_speak_the_curves_that_the_mesh_allows_and_tell_of_certificates_as_it_says() {
    let ca = Authority::new();
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let Issued { chain, key } = ca.issue(&[NAME], |_| {});
    for (name, text) in [("chain", &chain), ("key", &key), ("roots", &ca.pem())] {
        std::fs::write(at(name), text).unwrap();
    }
    // Behind it an application that tells what it is told, by a mesh that keeps what the gateway says.
    let inside =
        builder(NOBODY).mesh_config_yaml("{defaultConfig: {proxyHeaders: {forwardedClientCert: ALWAYS_FORWARD_ONLY}}}");
    let (_inside, upstream) = server(inside).await;
    let tls = format!(
        "{{mode: MUTUAL, serverCertificate: {}, privateKey: {}, caCertificates: {}}}",
        at("chain").display(),
        at("key").display(),
        at("roots").display()
    );
    let with_tls = format!("{{port: {{number: 443, name: https, protocol: HTTPS}}, hosts: ['*'], tls: {tls}}}");
    let shown = ca.issue(&[CLIENT], |_| {});
    let claimed = "x-forwarded-client-cert: Hash=claimed\r\n";
    for (details, kept, told) in [
        ("UNDEFINED", false, true),
        ("SANITIZE", false, false),
        ("FORWARD_ONLY", true, false),
        ("APPEND_FORWARD", true, true),
        ("SANITIZE_SET", false, true),
        ("ALWAYS_FORWARD_ONLY", true, false),
    ] {
        let mesh = format!(
            "{{tlsDefaults: {{ecdhCurves: [P-384]}}, defaultConfig: {{gatewayTopology: {{forwardClientCertDetails: {details}}}}}}}"
        );
        let mesh = builder(NOBODY).config_yaml("g", at_gateway(upstream, &with_tls)).mesh_config_yaml(&mesh);
        let mesh = mesh.build().await.unwrap();
        let gateway = mesh.gateway().address([127, 0, 0, 1]).map_port(443, 0).start().await.unwrap();
        let stranger = Stranger { roots: &ca, shown: Some(&shown), version: TLSv1_3, name: NAME };
        let got = stranger.ask(gateway.address_of(443).unwrap(), claimed).await.unwrap();
        assert_eq!(got.group, Some(NamedGroup::secp384r1));
        assert_eq!(got.text.contains("Hash=claimed"), kept, "{details}: {}", got.text);
        assert_eq!(got.text.contains(";Cert="), told, "{details}: {}", got.text);
    }
}

#[tokio::test]
async fn policies_at_a_gateway_see_the_server_name_whatever_the_kind_of_tls() {
    let ca = Authority::new();
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let Issued { chain, key } = ca.issue(&[NAME], |_| {});
    for (name, text) in [("chain", &chain), ("key", &key)] {
        std::fs::write(at(name), text).unwrap();
    }
    let (_inside, upstream) = server(builder(NOBODY)).await;
    let (chain, key) = (at("chain"), at("key"));
    let tls = format!("{{mode: SIMPLE, serverCertificate: {}, privateKey: {}}}", chain.display(), key.display());
    let with_tls = format!("{{port: {{number: 443, name: https, protocol: HTTPS}}, hosts: ['*'], tls: {tls}}}");
    for (name, denied) in [(NAME, true), ("elsewhere.example.com", false)] {
        let policy = format!(
            "---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: d, namespace: default}}\n\
             spec: {{action: DENY, rules: [{{when: [{{key: connection.sni, values: ['{name}']}}]}}]}}\n"
        );
        let mesh = builder(NOBODY).config_yaml("g", at_gateway(upstream, &with_tls) + &policy).build().await.unwrap();
        let gateway = mesh.gateway().address([127, 0, 0, 1]).map_port(443, 0).start().await.unwrap();
        let stranger = Stranger { roots: &ca, shown: None, version: TLSv1_3, name: NAME };
        let got = stranger.ask(gateway.address_of(443).unwrap(), "").await.unwrap();
        assert_eq!(got.text.contains("RBAC: access denied"), denied, "{name}: {}", got.text);
    }
}
