//! The rules of the `RequestAuthentication`s of a workload, and what they make of a request.

use std::fmt;
use std::sync::Arc;

use http::Method;
use http::header::{ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderName, HeaderValue, ORIGIN};
use mesh_config::Object;
use mesh_config::api::RequestAuthentication;
use mesh_config::api::request_authentication::{JwtPresence, JwtRule};

use super::output;
use super::{Claims, Location, Locations, Refusal, Token};
use crate::network::Network;
use crate::{Profile, RequestView};

/// The rules by which tokens are accepted.
#[derive(Clone, Debug, Default)]
pub struct Authentication {
    rules: Box<[Rule]>,
}

/// One issuer, its keys, and where its tokens are.
#[derive(Clone, Debug)]
pub struct Rule {
    /// `iss`; empty for any.
    pub issuer: Box<str>,
    /// Where the keys are.
    pub keys: Keys,
    audiences: Vec<String>,
    locations: Locations,
    forwards: bool,
    payload_to: Option<HeaderName>,
    claims_to: Box<[(HeaderName, Way)]>,
    lists: Vec<String>,
    required: bool,
}

/// The names that lead to a claim, from the outermost object inwards.
type Way = Box<[Box<str>]>;

/// Where the keys of an issuer are. Keys do not print: one that tokens are signed with by agreement is a secret.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Keys {
    /// A JSON Web Key Set in the configuration.
    Inline(Arc<str>),
    /// They have to be fetched.
    Remote(RemoteKeys),
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inline(_) => f.write_str("Inline(..)"),
            Self::Remote(at) => f.debug_tuple("Remote").field(at).finish(),
        }
    }
}

/// Where keys are fetched.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RemoteKeys {
    /// At a URL.
    At(Arc<str>),
    /// Where the OpenID configuration of the issuer says.
    Discovered(Arc<str>),
}

impl RemoteKeys {
    /// Addresses that keys are not fetched from where an operator says nothing about it: the link-local ones, where the
    /// machines of a cloud are told their secrets and no issuer has its keys. None under [`Profile::Istio`].
    pub fn barred_by_default(profile: Profile) -> Option<Arc<[Network]>> {
        let blocks = ["169.254.0.0/16", "fe80::/10"];
        (profile != Profile::Istio).then(|| blocks.iter().filter_map(|block| Network::parse(block)).collect())
    }
}

/// A request whose token was accepted. What the token says does not print.
pub struct Accepted<'a> {
    /// What the token says.
    pub claims: Claims,
    rule: &'a Rule,
    encoded_payload: String,
    original: serde_json::Map<String, serde_json::Value>,
    found: Vec<&'a Location>,
}

impl fmt::Debug for Accepted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accepted").field("claims", &self.claims).field("found", &self.found).finish_non_exhaustive()
    }
}

impl Authentication {
    /// Joins the rules of all policies that select a workload, in the order of their issuers.
    pub fn new<'a>(policies: impl IntoIterator<Item = &'a Object<RequestAuthentication>>) -> Self {
        let mut rules: Vec<Rule> =
            policies.into_iter().flat_map(|policy| policy.spec.jwt_rules.iter().map(Rule::of)).collect();
        rules.sort_by(|one, other| one.issuer.cmp(&other.issuer));
        Self { rules: rules.into() }
    }

    /// Whether no token is looked at.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The rules.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Judges the tokens of a request at a time, in seconds from 1970. `verify` looks at a signature by the keys of a rule,
    /// which is given by its place in [`rules`](Self::rules). It is asked only about tokens that are good in all else.
    ///
    /// One rule accepts if every token at its places is good. The first that accepts counts; without any token the request
    /// goes on and nobody is named. A preflight is not looked at.
    ///
    /// # Errors
    /// If there is a token and no rule accepts it.
    pub fn judge<'a>(
        &'a self,
        request: &RequestView<'_>,
        now: i64,
        mut verify: impl FnMut(usize, &Token<'_>) -> Result<(), Refusal>,
    ) -> Result<Option<Accepted<'a>>, Refusal> {
        if self.rules.is_empty() || is_preflight(request) {
            return Ok(None);
        }
        let mut refused = None;
        let mut missing = false;
        for (n, rule) in self.rules.iter().enumerate() {
            match rule.judge(request, now, |token| verify(n, token)) {
                Ok(Some(accepted)) => return Ok(Some(accepted)),
                Ok(None) => missing |= rule.required,
                // What is wrong with a token of this issuer says more than that it is another's.
                Err(refusal) if refusal != Refusal::UnknownIssuer || refused.is_none() => refused = Some(refusal),
                Err(_) => {}
            }
        }
        match refused.or(missing.then_some(Refusal::Missing)) {
            Some(refusal) => Err(refusal),
            None => Ok(None),
        }
    }

    /// Removes what a caller may not say: the headers that claims are put into.
    pub fn remove_outputs(&self, headers: &mut HeaderMap) {
        for rule in &self.rules {
            let names = rule.payload_to.iter().chain(rule.claims_to.iter().map(|(name, _)| name));
            names.for_each(|name| drop(headers.remove(name)));
        }
    }
}

/// Whether a browser asks if it may ask. It never brings a token.
fn is_preflight(request: &RequestView<'_>) -> bool {
    *request.method == Method::OPTIONS
        && request.headers.contains_key(ORIGIN)
        && request.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

impl Rule {
    fn of(rule: &JwtRule) -> Self {
        let way = |claim: &str| claim.split('.').map(Into::into).collect();
        let claims_to = rule.output_claim_to_headers.iter();
        let keys = match (rule.jwks.as_str(), rule.jwks_uri.as_str()) {
            ("", "") => Keys::Remote(RemoteKeys::Discovered(rule.issuer.as_str().into())),
            ("", uri) => Keys::Remote(RemoteKeys::At(uri.into())),
            (inline, _) => Keys::Inline(inline.into()),
        };
        Self {
            issuer: rule.issuer.as_str().into(),
            keys,
            audiences: rule.audiences.clone(),
            locations: Locations::of(rule),
            forwards: rule.forward_original_token,
            payload_to: rule.output_payload_to_header.parse().ok(),
            claims_to: claims_to.filter_map(|to| Some((to.header.parse().ok()?, way(&to.claim)))).collect(),
            lists: rule.space_delimited_claims.clone(),
            required: rule.presence == JwtPresence::Required,
        }
    }

    fn judge<'a>(
        &'a self,
        request: &RequestView<'_>,
        now: i64,
        mut verify: impl FnMut(&Token<'_>) -> Result<(), Refusal>,
    ) -> Result<Option<Accepted<'a>>, Refusal> {
        let mut accepted = None;
        let mut found = Vec::new();
        for (location, text) in self.locations.find(request) {
            let token = Token::parse(&text)?;
            token.check(&self.issuer, &self.audiences, now)?;
            verify(&token)?;
            found.push(location);
            accepted = Some((token.encoded_payload.to_owned(), token.payload));
        }
        Ok(accepted.map(|(encoded_payload, original)| Accepted {
            claims: Claims::with_lists(original.clone(), &self.lists),
            rule: self,
            encoded_payload,
            original,
            found,
        }))
    }
}

impl Accepted<'_> {
    /// Takes the token out of the headers, unless the rule says otherwise, and puts in what it asks for. Gives the names of
    /// the query parameters that have to go, too. Cookies stay.
    ///
    /// # Errors
    /// With the name of a header that cannot have the value of its claim.
    pub fn apply(&self, headers: &mut HeaderMap) -> Result<Vec<&str>, HeaderName> {
        let mut params = Vec::new();
        for location in self.found.iter().filter(|_| !self.rule.forwards) {
            match location {
                Location::Header(name, _) => drop(headers.remove(name)),
                Location::Param(name) => params.push(&**name),
                Location::Cookie(_) => {}
            }
        }
        if let (Some(name), Ok(payload)) = (&self.rule.payload_to, HeaderValue::from_str(&self.encoded_payload)) {
            headers.insert(name, payload);
        }
        let original = Claims::new(self.original.clone());
        for (name, way) in &self.rule.claims_to {
            match original.get(way).and_then(output::text) {
                Some(text) => {
                    let value = HeaderValue::from_bytes(text.as_bytes()).map_err(|_| name.clone())?;
                    headers.insert(name, value);
                }
                None => drop(headers.remove(name)),
            }
        }
        Ok(params)
    }
}
