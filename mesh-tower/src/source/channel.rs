//! [`ChannelSource`]: configuration that the program pushes.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use mesh_config::{Document, ParseOptions, Report};
use tokio::sync::{mpsc, oneshot};

use super::{Applied, ConfigSink, ConfigSource, SourceError};

/// The receiving end, given to the mesh.
#[derive(Debug)]
pub struct ChannelSource {
    name: String,
    pushes: mpsc::Receiver<Push>,
}

/// The pushing end, kept by the program. When the last clone is dropped, what was pushed stays in
/// use.
#[derive(Clone, Debug)]
pub struct ConfigHandle(mpsc::Sender<Push>);

#[derive(Debug)]
struct Push {
    documents: Vec<Document>,
    report: Report,
    reply: oneshot::Sender<Applied>,
}

impl ChannelSource {
    /// Both ends of a source with this name.
    pub fn new(name: impl Into<String>) -> (ConfigHandle, Self) {
        let (sender, pushes) = mpsc::channel(1);
        (ConfigHandle(sender), Self { name: name.into(), pushes })
    }
}

impl ConfigHandle {
    /// Puts `documents` in the place of all that was pushed before; returns when they are in use or
    /// refused. `report` holds what was found while they were read.
    ///
    /// # Errors
    ///
    /// If the mesh has shut down.
    pub async fn replace(&self, documents: Vec<Document>, report: Report) -> Result<Applied, SourceError> {
        let closed = || SourceError::new("the mesh has shut down");
        let (reply, answer) = oneshot::channel();
        self.0.send(Push { documents, report, reply }).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())
    }

    /// As [`replace`](Self::replace), from YAML or JSON. `origin` stands for the file in findings.
    ///
    /// # Errors
    ///
    /// If the mesh has shut down.
    pub async fn replace_yaml(&self, origin: &str, text: &str) -> Result<Applied, SourceError> {
        let (documents, report) = mesh_config::parse_with(origin, text, &ParseOptions::default());
        self.replace(documents, report).await
    }
}

impl ConfigSource for ChannelSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn run(mut self: Box<Self>, sink: ConfigSink) -> BoxFuture<'static, Result<(), SourceError>> {
        async move {
            while let Some(push) = self.pushes.recv().await {
                let applied = sink.replace_async(push.documents, push.report).await?;
                // Who pushed may have given up waiting.
                let _ = push.reply.send(applied);
            }
            Ok(())
        }
        .boxed()
    }
}
