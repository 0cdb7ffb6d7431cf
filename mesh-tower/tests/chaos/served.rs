//! Applications behind meshes of their own.

use std::convert::Infallible;
use std::net::SocketAddr;

use http::{Request, Response};
use mesh_tower::serve::ServeOptions;
use mesh_tower::{Body, Mesh};

/// An application behind a mesh of its own; ends when dropped.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    pub(crate) mesh: Mesh,
    _task: tokio::task::JoinSet<()>,
}

impl Served {
    /// One that calls nobody.
    pub(crate) async fn start<S>(app: impl FnOnce(Mesh) -> S) -> Self
    where
        S: tower::Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
            + Clone
            + Send
            + 'static,
    {
        Self::with(Mesh::builder().workload("default/app").build().await.unwrap(), app).await
    }

    pub(crate) async fn with<S>(mesh: Mesh, app: impl FnOnce(Mesh) -> S) -> Self
    where
        S: tower::Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
            + Clone
            + Send
            + 'static,
    {
        Self::at(SocketAddr::from(([127, 0, 0, 1], 0)), mesh, ServeOptions::default(), app).await
    }

    pub(crate) async fn at<S>(
        address: SocketAddr,
        mesh: Mesh,
        options: ServeOptions,
        app: impl FnOnce(Mesh) -> S,
    ) -> Self
    where
        S: tower::Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
            + Clone
            + Send
            + 'static,
    {
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut task = tokio::task::JoinSet::new();
        let (serving, app) = (mesh.clone(), app(mesh.clone()));
        task.spawn(async move { serving.serve_with(listener, app, options).await.unwrap() });
        Self { address, mesh, _task: task }
    }
}
