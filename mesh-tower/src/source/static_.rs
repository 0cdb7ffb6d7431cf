//! [`StaticSource`].

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use mesh_config::{Document, ParseOptions, Report};

use super::{ConfigSink, ConfigSource, SourceError};

/// Documents that are given once and never change.
#[derive(Clone, Debug)]
pub struct StaticSource {
    name: String,
    documents: Vec<Document>,
    report: Report,
}

impl StaticSource {
    /// Documents made in code.
    pub fn new(name: impl Into<String>, documents: Vec<Document>) -> Self {
        Self { name: name.into(), documents, report: Report::new() }
    }

    /// YAML or JSON, one document or several. `name` also stands for the file in findings.
    pub fn parse(name: impl Into<String>, text: &str, options: &ParseOptions) -> Self {
        let name = name.into();
        let (documents, report) = mesh_config::parse_with(&name, text, options);
        Self { name, documents, report }
    }
}

impl ConfigSource for StaticSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn run(self: Box<Self>, sink: ConfigSink) -> BoxFuture<'static, Result<(), SourceError>> {
        async move { sink.replace_async(self.documents, self.report).await.map(drop) }.boxed()
    }
}
