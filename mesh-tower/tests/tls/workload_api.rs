//! Certificates from an agent of SPIFFE, in requests over mutual TLS.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::StatusCode;
use mesh_tower::Mesh;
use mesh_tower::identity::{Material, MemoryIdentity, WorkloadApi, WorkloadApiIdentity};
use tonic::Status;

use crate::agent::{Agent, Answer, Svid, der};
use crate::authority::Authority;
use crate::world::{SERVICE, ask, builder, peer_authentication, server, service};

const ONE: &str = "spiffe://cluster.local/ns/default/sa/one";
const TWO: &str = "spiffe://cluster.local/ns/default/sa/two";

/// A place for an agent, and a server of the same authority that takes nobody without a certificate.
struct World {
    ca: Authority,
    _directory: tempfile::TempDir,
    socket: PathBuf,
    address: SocketAddr,
    _server: Mesh,
}

impl World {
    async fn new() -> Self {
        let ca = Authority::new();
        let strict =
            builder(Some(ca.workload("server"))).config_yaml("p", peer_authentication("{mtls: {mode: STRICT}}"));
        let (_server, address) = server(strict).await;
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("agent.sock");
        Self { ca, _directory: directory, socket, address, _server }
    }

    fn answer(&self, id: &str) -> Answer {
        Answer { svids: vec![Svid::of(&self.ca, id)], ..Answer::default() }
    }

    fn agent(&self, id: &str) -> Agent {
        Agent::at(&self.socket, Ok(self.answer(id)))
    }

    /// A client whose connections serve one request each.
    async fn client(&self, identity: WorkloadApiIdentity) -> Mesh {
        let documents = service(self.address, "HTTP", ", serviceAccount: server")
            + "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: s, namespace: default}\nspec: {host: server.default.svc.cluster.local, trafficPolicy: {connectionPool: {http: {maxRequestsPerConnection: 1}}}}\n";
        builder(Some(identity)).config_yaml("s", documents).build().await.unwrap()
    }
}

fn api(socket: &Path) -> WorkloadApi {
    WorkloadApi::at(&format!("unix://{}", socket.display())).unwrap().patience(Duration::ZERO)
}

/// Whom the server takes the client for, once it is this one.
async fn becomes(client: &Mesh, id: &str) {
    let expected = id.strip_prefix("spiffe://").unwrap();
    for _ in 0..200 {
        let (status, text) = ask(client, SERVICE).await;
        assert_eq!(status, StatusCode::OK, "{text}");
        if text.split(' ').next() == Some(expected) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never {id}");
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_come_from_the_agent_and_change_without_a_failed_request() {
    let world = World::new().await;
    let agent = world.agent(ONE);
    let identity = api(&world.socket).connect().await.unwrap();
    assert_eq!(identity.material().id().as_str(), ONE);
    let client = world.client(identity).await;
    becomes(&client, ONE).await;
    for round in 0..20 {
        let id = if round % 2 == 0 { TWO } else { ONE };
        agent.tell(Ok(world.answer(id)));
        becomes(&client, id).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_away_leaves_the_last_certificate_and_is_found_again() {
    let world = World::new().await;
    let agent = world.agent(ONE);
    let client = world.client(api(&world.socket).connect().await.unwrap()).await;
    becomes(&client, ONE).await;
    drop(agent);
    std::fs::remove_file(&world.socket).unwrap();
    for _ in 0..20 {
        becomes(&client, ONE).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // It is back, knows nobody at first, and then knows us by another name.
    let agent = Agent::at(&world.socket, Err(Status::permission_denied("no identity issued")));
    tokio::time::sleep(Duration::from_millis(300)).await;
    becomes(&client, ONE).await;
    agent.tell(Ok(world.answer(TWO)));
    becomes(&client, TWO).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_cannot_be_used_leaves_the_last_good_one() {
    let world = World::new().await;
    let agent = world.agent(ONE);
    let client = world.client(api(&world.socket).connect().await.unwrap()).await;
    let good = || Svid::of(&world.ca, TWO);
    let broken = [
        vec![],
        vec![Svid { x509_svid_key: good().x509_svid_key, ..good() }],
        vec![Svid { x509_svid_key: Vec::new(), ..good() }],
        vec![Svid { x509_svid: Vec::new(), ..good() }],
        vec![Svid { x509_svid: good().x509_svid[1..].to_vec(), ..good() }],
        vec![Svid { bundle: Vec::new(), ..good() }],
        vec![Svid { bundle: b"roots".to_vec(), ..good() }],
        vec![Svid { spiffe_id: ONE.to_owned(), ..good() }],
        vec![Svid { spiffe_id: "spiffe://cluster.local".to_owned(), ..good() }],
        vec![good(), Svid { bundle: Vec::new(), ..good() }],
    ];
    for svids in broken {
        agent.tell(Ok(Answer { svids, ..Answer::default() }));
        tokio::time::sleep(Duration::from_millis(30)).await;
        becomes(&client, ONE).await;
    }
    let foreign = [("spiffe://Not A Domain".to_owned(), der(&world.ca.pem()))];
    agent.tell(Ok(Answer { federated_bundles: foreign.into(), ..world.answer(TWO) }));
    tokio::time::sleep(Duration::from_millis(30)).await;
    becomes(&client, ONE).await;
    agent.tell(Ok(world.answer(TWO)));
    becomes(&client, TWO).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_identity_counts_or_the_first_with_the_hint() {
    let world = World::new().await;
    let hinted = |id: &str, hint: &str| Svid { hint: hint.to_owned(), ..Svid::of(&world.ca, id) };
    let svids = vec![hinted(ONE, "internal"), hinted(TWO, "external"), hinted(ONE, "external")];
    let _agent = Agent::at(&world.socket, Ok(Answer { svids, ..Answer::default() }));
    for (hint, id) in [(None, ONE), (Some("internal"), ONE), (Some("external"), TWO)] {
        let api = hint.map_or(api(&world.socket), |hint| api(&world.socket).hint(hint));
        assert_eq!(api.connect().await.unwrap().material().id().as_str(), id, "{hint:?}");
    }
    let refused = api(&world.socket).hint("other").connect().await.unwrap_err().to_string();
    assert!(refused.contains("no identity with the hint \"other\""), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_federated_domain_is_believed_while_the_agent_says_so_and_by_its_own_roots() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("agent.sock");
    let (ours, theirs, other) = (Authority::new(), Authority::new(), Authority::new());
    let answer = |bundles: &[(&str, &Authority)]| Answer {
        svids: vec![Svid::of(&ours, "spiffe://cluster.local/ns/default/sa/server")],
        federated_bundles: bundles.iter().map(|(domain, ca)| ((*domain).to_owned(), der(&ca.pem()))).collect(),
        ..Answer::default()
    };
    let agent = Agent::at(&socket, Ok(answer(&[])));
    let identity = api(&socket).connect().await.unwrap();
    let strict = builder(Some(identity)).config_yaml("p", peer_authentication("{mtls: {mode: STRICT}}"));
    // Servers take peers of the mesh alone, to which an alias makes the other domain belong.
    let strict = strict.mesh_config_yaml("{trustDomain: cluster.local, trustDomainAliases: [partner.example]}");
    let (_server, address) = server(strict).await;
    let issued = theirs.issue(&["spiffe://partner.example/ns/a/sa/b"], |_| {});
    // Each asks by a mesh of its own, so that none goes on with a session.
    let is_let_in = async || {
        let material = Material::from_pem(&issued.chain, &issued.key, theirs.pem()).unwrap();
        let material = material.with_roots(&"cluster.local".parse().unwrap(), ours.pem()).unwrap();
        let entry = service(address, "HTTP", ", serviceAccount: server");
        let caller = builder(Some(MemoryIdentity::new(material))).config_yaml("s", entry).build().await.unwrap();
        ask(&caller, SERVICE).await.0 == StatusCode::OK
    };
    let expect = async |expected: bool| {
        for _ in 0..100 {
            if is_let_in().await == expected {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("never {expected}");
    };
    expect(false).await;
    agent.tell(Ok(answer(&[("spiffe://partner.example", &theirs)])));
    expect(true).await;
    // Roots of another domain do not vouch for this one.
    agent.tell(Ok(answer(&[("spiffe://partner.example", &other), ("spiffe://third.example", &theirs)])));
    expect(false).await;
    agent.tell(Ok(answer(&[("partner.example", &theirs)])));
    expect(true).await;
    agent.tell(Ok(answer(&[])));
    expect(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_is_waited_for_but_not_one_that_has_no_such_call() {
    let world = World::new().await;
    let refused = api(&world.socket).connect().await.unwrap_err().to_string();
    assert!(refused.starts_with("unix:///"), "{refused}");
    let agent = Agent::at(&world.socket, Err(Status::permission_denied("no identity issued")));
    let refused = api(&world.socket).connect().await.unwrap_err().to_string();
    assert!(refused.contains("gRPC status 7") && refused.contains("no identity issued"), "{refused}");

    let waiting = tokio::spawn(api(&world.socket).patience(Duration::from_secs(20)).connect());
    tokio::time::sleep(Duration::from_millis(300)).await;
    agent.tell(Ok(world.answer(ONE)));
    assert!(waiting.await.unwrap().is_ok());

    agent.tell(Err(Status::invalid_argument("no header")));
    let begin = std::time::Instant::now();
    assert!(api(&world.socket).patience(Duration::from_secs(20)).connect().await.is_err());
    assert!(begin.elapsed() < Duration::from_secs(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_may_be_at_an_address_and_a_silent_one_does_not_hold_up_the_start() {
    let ca = Authority::new();
    let (_agent, uri) = Agent::over_tcp(Ok(Answer { svids: vec![Svid::of(&ca, ONE)], ..Answer::default() })).await;
    assert_eq!(WorkloadApi::at(&uri).unwrap().connect().await.unwrap().material().id().as_str(), ONE);

    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("tcp://{}", silent.local_addr().unwrap());
    let begin = std::time::Instant::now();
    let refused = WorkloadApi::at(&uri).unwrap().patience(Duration::ZERO).connect().await.unwrap_err();
    assert!(refused.to_string().contains("no answer"), "{refused}");
    assert!(begin.elapsed() < Duration::from_secs(10));
}
