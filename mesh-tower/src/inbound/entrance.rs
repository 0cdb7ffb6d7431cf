//! The way of a request into a guarded application: its form, whoever is asked about it, its token, what policies say; in
//! the order of Istio's filters.
//!
//! Most requests go it at once. One that has to wait, for keys or for an answer, is kept and goes on from where it stood.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use mesh_core::Failure;
use mesh_core::route::{internal_headers, reply};

use super::check_body::{self, Begun, NotOurs};
use super::custom::{CheckAnswer, CheckRequest};
use super::decided::{DecidedBy, Denied};
use super::guard::{self, Guard, Questions, TARGET};
use super::{TokenClaims, headers, provider, token};
use crate::live::Live;
use crate::{Body, request_form};

/// The answer to a request that does not come in.
pub(crate) type Refused = Box<Response<Body>>;

/// What a request waits for.
pub(super) enum Wait {
    /// Keys that are being fetched.
    Keys(Pin<Box<dyn Future<Output = ()> + Send>>),
    /// Those who are asked about it.
    Answer(Pin<Box<dyn Future<Output = Box<Answered>> + Send>>),
}

/// What a request has waited for.
pub(super) enum Waited {
    Keys,
    Answer(Box<Answered>),
}

/// What those have said who were asked, and the body that was taken for them.
pub(super) struct Answered {
    outcome: Result<Changes, (CheckAnswer, Option<DecidedBy>)>,
    body: Option<Begun>,
}

/// What those have changed who let a request go on.
struct Changes {
    headers: Option<HeaderMap>,
    to_caller: HeaderMap,
    /// Whether the headers count for the choice of a route.
    reroutes: bool,
}

/// By which headers a route is chosen, where those have changed others who were asked: a request extension.
#[derive(Clone, Debug)]
pub(crate) struct RoutedBy(pub(crate) HeaderMap);

/// What is added to the answer to a request, which an extension carries there.
#[derive(Clone, Debug)]
pub(super) struct AnswerHeaders(pub(super) Box<HeaderMap>);

impl Wait {
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Waited> {
        match self {
            Self::Keys(fetched) => fetched.as_mut().poll(cx).map(|()| Waited::Keys),
            Self::Answer(answer) => answer.as_mut().poll(cx).map(Waited::Answer),
        }
    }
}

impl Guard {
    /// Takes a request as far as it goes without waiting. With nothing to wait for, it may come in.
    pub(super) fn receive<B: 'static>(&self, live: &Live, request: &mut Request<B>) -> Result<Option<Wait>, Refused> {
        self.bring_into_form(live, request).map_err(|failure| refused(failure, request))?;
        self.admit(live, request)
    }

    /// Takes a request that is in form on to its end, at a gateway. Gives what is to be added to the answer.
    pub(crate) async fn admitted<B: 'static>(
        self,
        live: &Live,
        request: &mut Request<B>,
    ) -> Result<Option<Box<HeaderMap>>, Refused> {
        let mut wait = self.admit(live, request)?;
        while let Some(mut pending) = wait {
            let waited = poll_fn(|cx| pending.poll(cx)).await;
            wait = self.resume(live, request, waited)?;
        }
        // A token that is good has the route chosen anew, as in Istio.
        if request.extensions().get::<TokenClaims>().is_some() {
            request.extensions_mut().remove::<RoutedBy>();
        }
        let added = request.extensions_mut().remove::<AnswerHeaders>();
        Ok(added.map(|AnswerHeaders(headers)| headers))
    }

    fn admit<B: 'static>(&self, live: &Live, request: &mut Request<B>) -> Result<Option<Wait>, Refused> {
        let questions = self.questions(live, request).map_err(|denied| kept_out(denied, request))?;
        if questions.is_empty() {
            return self.judge(live, request);
        }
        let about = self.check_request(request);
        let mut body = None;
        if questions.iter().any(|(question, _)| question.body().is_some()) {
            body = check_body::take(request).map_err(|NotOurs| {
                tracing::warn!(target: TARGET, "denied: in a server of another kind nobody can be told a request's body");
                refused(Failure::AccessDenied, request)
            })?;
        }
        Ok(Some(Wait::Answer(Box::pin(ask(questions, about, body)))))
    }

    /// Takes a request on that has waited.
    pub(super) fn resume<B: 'static>(
        &self,
        live: &Live,
        request: &mut Request<B>,
        waited: Waited,
    ) -> Result<Option<Wait>, Refused> {
        match waited {
            Waited::Keys => {
                token::authenticate(self, live, request, false)?;
                self.decide_for(live, request)
            }
            Waited::Answer(answered) => {
                let Answered { outcome, body } = *answered;
                if let Some(body) = body {
                    check_body::put_back(request, body);
                }
                match outcome {
                    Ok(changes) => {
                        self.take(changes, request);
                        self.judge(live, request)
                    }
                    Err((answer, by)) => {
                        let mut response = match answer {
                            CheckAnswer::Deny(response) => Box::new(response),
                            _ => refused(Failure::AccessDenied, request),
                        };
                        if let Some(by) = by {
                            tracing::info!(target: TARGET, policy = %by, "denied by the provider of a policy");
                            by.tell_span();
                            response.extensions_mut().insert(by);
                        }
                        Err(response)
                    }
                }
            }
        }
    }

    fn take<B>(&self, changes: Changes, request: &mut Request<B>) {
        if let Some(headers) = changes.headers {
            let before = std::mem::replace(request.headers_mut(), headers);
            if self.is_gateway() && !changes.reroutes {
                request.extensions_mut().insert(RoutedBy(before));
            }
        }
        if !changes.to_caller.is_empty() {
            request.extensions_mut().insert(AnswerHeaders(Box::new(changes.to_caller)));
        }
    }

    fn bring_into_form<B>(&self, live: &Live, request: &mut Request<B>) -> Result<(), Failure> {
        if !live.is_complete() {
            return Err(Failure::NotReady);
        }
        self.check_mode(live, request)?;
        headers::check(request, self.profile())?;
        headers::prepare(request, live.snapshot().tls().told.details)?;
        internal_headers::join_lines(request.headers_mut());
        request_form::take_path(request, self.profile(), live.snapshot().path_normalization())
    }

    /// Judges a request that all who were asked let go on: its token, then what it may do.
    fn judge<B>(&self, live: &Live, request: &mut Request<B>) -> Result<Option<Wait>, Refused> {
        let awaited = token::authenticate(self, live, request, true)?;
        if awaited.is_empty() {
            return self.decide_for(live, request);
        }
        Ok(Some(Wait::Keys(Box::pin(token::all_fetched(awaited)))))
    }

    fn decide_for<B>(&self, live: &Live, request: &mut Request<B>) -> Result<Option<Wait>, Refused> {
        self.decide(live, request).map(|()| None).map_err(|denied| kept_out(denied, request))
    }
}

fn refused<B>(failure: Failure, request: &Request<B>) -> Refused {
    Box::new(guard::refusal(failure, request))
}

/// The answer to a request that a policy keeps out; which one it is, an extension says.
fn kept_out<B>(denied: Denied, request: &Request<B>) -> Refused {
    let mut response = refused(denied.failure, request);
    denied.by.tell_span();
    response.extensions_mut().insert(denied.by);
    response
}

/// Asks one after the other; the first that does not allow ends it.
async fn ask(questions: Questions, mut request: CheckRequest, body: Option<Body>) -> Box<Answered> {
    let most = questions.iter().filter_map(|(question, _)| question.body()).map(|wanted| wanted.most).max();
    let body = match body.zip(most) {
        Some((body, most)) => Some(Begun::read(body, most).await),
        None => None,
    };
    let mut changes = Changes { headers: None, to_caller: HeaderMap::new(), reroutes: true };
    let ended = |answer, by, body| Box::new(Answered { outcome: Err((answer, by)), body });
    if body.as_ref().is_some_and(Begun::has_failed) {
        // The caller is gone: nobody is asked about half a request.
        return ended(CheckAnswer::Failed, None, body);
    }
    for (question, by) in questions {
        let is_grpc = reply::is_grpc(&request.headers);
        let told = body.as_ref().zip(question.body()).map(|(body, wanted)| body.told(wanted)).transpose();
        let Ok(told) = told else {
            let answer = provider::denial(StatusCode::PAYLOAD_TOO_LARGE, HeaderMap::new(), TOO_LONG, is_grpc);
            return ended(CheckAnswer::Deny(answer), Some(by), body);
        };
        match question.check(CheckRequest { body: told, ..request.clone() }).await {
            CheckAnswer::Allow(allowed) => {
                if guard::change(&mut request.headers, &allowed) {
                    changes.reroutes &= question.reroutes();
                    // The next one is asked about what this one has changed.
                    changes.headers = Some(request.headers.clone());
                }
                guard::append(&mut changes.to_caller, &allowed.response_headers);
            }
            refusal => return ended(refusal, Some(by), body),
        }
    }
    Box::new(Answered { outcome: Ok(changes), body })
}

/// As Envoy says it.
const TOO_LONG: Bytes = Bytes::from_static(b"Payload Too Large");
