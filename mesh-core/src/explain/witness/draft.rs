//! A request in the making.

use std::net::IpAddr;

use super::super::Question;
use super::solver::Subject;
use crate::Scheme;

/// Where requests are asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) port: u16,
    /// The address that the gateway's server binds, if it names one, and what is spoken there; none in the mesh.
    pub(super) gateway: Option<(Option<IpAddr>, Scheme)>,
}

/// What is known so far of a request.
#[derive(Clone, Debug, Default)]
pub(super) struct Draft {
    method: Option<String>,
    scheme: Option<String>,
    authority: Option<String>,
    path: Option<String>,
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
}

impl Draft {
    pub(super) fn of_path(path: &str) -> Self {
        Self { path: Some(path.to_owned()), ..Self::default() }
    }

    /// Gives what conditions look at a value, or takes it away.
    pub(super) fn set(&mut self, subject: Subject<'_>, value: Option<&str>) {
        let own = value.map(str::to_owned);
        match subject {
            Subject::Path => self.path = own,
            Subject::Method => self.method = own,
            Subject::Scheme => self.scheme = own,
            Subject::Authority => self.authority = own,
            Subject::Query(name) => replace(&mut self.query, name, own),
            Subject::Header(name) => replace(&mut self.headers, name, own),
            Subject::Nothing => {}
        }
    }

    /// The request; none where what the conditions ask for is no request at all.
    pub(super) fn ask(self, host: &str, place: &Place) -> Option<Question> {
        let told = self.scheme.as_deref().unwrap_or("http");
        let scheme = place.gateway.map_or(told, |(_, scheme)| scheme.as_str());
        let path = self.path.as_deref().unwrap_or("/");
        let (path, own_query) = path.split_once('?').unwrap_or((path, ""));
        let query = self.query.iter().map(|(name, value)| format!("{name}={value}"));
        let query: Vec<_> = query.chain([own_query.to_owned()]).filter(|part| !part.is_empty()).collect();
        let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
        let authority = self.authority.as_deref().unwrap_or(host);
        let url = format!("{scheme}://{authority}{path}{query}");
        let mut question = Question::new(self.method.as_deref().unwrap_or("GET"), &url).ok()?.on_port(place.port);
        for (name, value) in &self.headers {
            question = question.header(name, value).ok()?;
        }
        Some(match place.gateway {
            Some((bind, _)) => question.through_gateway().at_address(bind),
            None => question,
        })
    }
}

fn replace(list: &mut Vec<(String, String)>, name: &str, value: Option<String>) {
    list.retain(|(known, _)| known != name);
    list.extend(value.map(|value| (name.to_owned(), value)));
}
