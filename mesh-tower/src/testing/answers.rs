//! What became of the requests of a run.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::ops::Index;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use http_body::Frame;
use mesh_core::ResponseFlags;

use super::mesh::TestMesh;
use super::roll::Roll;
use super::run::Run;
use crate::{BoxError, RouteInfo};

/// An answer, as the caller got it.
#[derive(Clone)]
pub struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    info: Option<RouteInfo>,
    pub(super) roll: Option<Roll>,
    body: BytesMut,
    trailers: HeaderMap,
    broken: Option<String>,
    pub(super) took: Duration,
}

impl Answer {
    pub(super) fn new(status: StatusCode, headers: HeaderMap, info: Option<RouteInfo>, roll: Option<Roll>) -> Self {
        let (body, trailers) = (BytesMut::new(), HeaderMap::new());
        Self { status, headers, info, roll, body, trailers, broken: None, took: Duration::ZERO }
    }

    pub(super) fn read(&mut self, frame: Result<Frame<Bytes>, BoxError>) {
        match frame.map(Frame::into_data) {
            Ok(Ok(data)) => self.body.extend_from_slice(&data),
            Ok(Err(frame)) => self.trailers.extend(frame.into_trailers().unwrap_or_default()),
            Err(error) => self.broken = Some(error.to_string()),
        }
    }

    /// The status.
    pub fn status(&self) -> u16 {
        self.status.as_u16()
    }

    /// All headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The first value of a header, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// What came of the body.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The same as text; what is not UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Why the body ended too early; `None` if it did not.
    pub fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }

    /// `grpc-status`, from headers or trailers.
    pub fn grpc_status(&self) -> Option<u32> {
        let status = self.headers.get("grpc-status").or_else(|| self.trailers.get("grpc-status"))?;
        status.to_str().ok()?.parse().ok()
    }

    /// How the mesh handled it.
    pub fn info(&self) -> Option<&RouteInfo> {
        self.info.as_ref()
    }

    /// Tries that were made.
    pub fn tries(&self) -> u32 {
        self.info.as_ref().map_or(0, RouteInfo::attempts)
    }

    /// Envoy's response flags.
    pub fn flags(&self) -> ResponseFlags {
        self.info.as_ref().map_or(ResponseFlags::NONE, RouteInfo::flags)
    }

    /// Envoy's response code details.
    pub fn details(&self) -> &'static str {
        self.info.as_ref().map_or("", RouteInfo::details)
    }

    /// The cluster that the request was for, such as `outbound|9080|v1|reviews.default.svc.cluster.local`.
    pub fn cluster(&self) -> Option<&str> {
        self.info.as_ref().and_then(RouteInfo::cluster_name)
    }

    /// How much virtual time passed until the end of the body.
    pub fn took(&self) -> Duration {
        self.took
    }

    /// Whether the caller got what it wanted: a status below 400, no gRPC error, and all of the body.
    pub fn is_success(&self) -> bool {
        self.status.as_u16() < 400 && self.grpc_status().unwrap_or(0) == 0 && self.broken.is_none()
    }

    /// The subset, if the request was for this host.
    pub(super) fn subset_of(&self, host: &str) -> Option<&str> {
        let mut parts = self.cluster()?.split('|').skip(2);
        let (subset, found) = (parts.next()?, parts.next()?);
        let rest = found.strip_prefix(host)?;
        (rest.is_empty() || rest.starts_with('.')).then_some(subset)
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status.as_u16())?;
        if let Some(code) = self.grpc_status() {
            write!(f, " grpc-status {code}")?;
        }
        let unit = if self.tries() == 1 { "try" } else { "tries" };
        write!(f, " {} {}, {} {unit}", self.flags(), self.details(), self.tries())?;
        if let Some(cluster) = self.cluster() {
            write!(f, ", {cluster}")?;
        }
        self.broken.as_ref().map_or(Ok(()), |why| write!(f, ", body broken: {why}"))
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answer({self}, {:?})", self.took)
    }
}

/// What became of the requests of a [`Run`], in their order.
///
/// Assertions say what they expected, what there was instead, and how to see it again.
#[derive(Clone)]
pub struct Answers<'m> {
    pub(super) mesh: &'m TestMesh,
    pub(super) run: Run<'m>,
    pub(super) answers: Vec<Answer>,
    /// Whether shares are exact.
    pub(super) exact: bool,
}

impl Answers<'_> {
    /// All of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Answer> {
        self.answers.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.answers.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }

    /// The statuses, in order.
    pub fn statuses(&self) -> Vec<u16> {
        self.iter().map(Answer::status).collect()
    }

    /// How many answers have a status.
    pub fn count(&self, status: u16) -> usize {
        self.iter().filter(|answer| answer.status() == status).count()
    }

    /// Tries that were made for all of them together.
    pub fn tries(&self) -> usize {
        self.iter().map(|answer| answer.tries() as usize).sum()
    }

    /// All answers in a few lines: how many of each kind.
    pub(super) fn table(&self) -> String {
        let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
        for answer in &self.answers {
            *kinds.entry(answer.to_string()).or_default() += 1;
        }
        let mut kinds: Vec<_> = kinds.into_iter().collect();
        kinds.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let mut text = String::new();
        for (kind, count) in kinds.iter().take(KINDS) {
            let _ = write!(text, "\n  {count} x {kind}");
        }
        if kinds.len() > KINDS {
            let _ = write!(text, "\n  and {} other kinds", kinds.len() - KINDS);
        }
        text
    }
}

/// Kinds of answers that are told of.
const KINDS: usize = 8;

impl Index<usize> for Answers<'_> {
    type Output = Answer;

    fn index(&self, index: usize) -> &Answer {
        &self.answers[index]
    }
}

impl<'a> IntoIterator for &'a Answers<'_> {
    type Item = &'a Answer;
    type IntoIter = std::slice::Iter<'a, Answer>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Debug for Answers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} x {}{}", self.len(), self.run, self.table())
    }
}
