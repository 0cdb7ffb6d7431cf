//! The way of a request into a guarded application: its form, whoever is asked about it, its token, what policies say; in
//! the order of Istio's filters.
//!
//! Most requests go it at once. One that has to wait, for keys or for an answer, is kept and goes on from where it stood.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{HeaderMap, Request, Response};
use mesh_core::Failure;
use mesh_core::route::internal_headers;

use super::custom::{Allowed, CheckAnswer, CheckRequest};
use super::guard::{self, Guard, Questions};
use super::{headers, token};
use crate::live::Live;
use crate::{Body, request_form};

/// The answer to a request that does not come in.
pub(crate) type Refused = Box<Response<Body>>;

/// What a request waits for.
pub(super) enum Wait {
    /// Keys that are being fetched.
    Keys(Pin<Box<dyn Future<Output = ()> + Send>>),
    /// Those who are asked about it.
    Answer(Pin<Box<dyn Future<Output = CheckAnswer> + Send>>),
}

/// What a request has waited for.
pub(super) enum Waited {
    Keys,
    Answer(CheckAnswer),
}

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
    pub(super) fn receive<B>(&self, live: &Live, request: &mut Request<B>) -> Result<Option<Wait>, Refused> {
        self.bring_into_form(live, request).map_err(|failure| refused(failure, request))?;
        self.admit(live, request)
    }

    /// Takes a request that is in form on to its end, at a gateway. Gives what is to be added to the answer.
    pub(crate) async fn admitted<B>(
        self,
        live: &Live,
        request: &mut Request<B>,
    ) -> Result<Option<Box<HeaderMap>>, Refused> {
        let mut wait = self.admit(live, request)?;
        while let Some(mut pending) = wait {
            let waited = poll_fn(|cx| pending.poll(cx)).await;
            wait = self.resume(live, request, waited)?;
        }
        let added = request.extensions_mut().remove::<AnswerHeaders>();
        Ok(added.map(|AnswerHeaders(headers)| headers))
    }

    fn admit<B>(&self, live: &Live, request: &mut Request<B>) -> Result<Option<Wait>, Refused> {
        let questions = self.questions(live, request).map_err(|failure| refused(failure, request))?;
        if questions.is_empty() {
            return self.judge(live, request);
        }
        let about = guard::check_request(request);
        Ok(Some(Wait::Answer(Box::pin(ask(questions, about)))))
    }

    /// Takes a request on that has waited.
    pub(super) fn resume<B>(
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
            Waited::Answer(CheckAnswer::Allow(allowed)) => {
                guard::replace(request.headers_mut(), &allowed.request_headers);
                if !allowed.response_headers.is_empty() {
                    request.extensions_mut().insert(AnswerHeaders(Box::new(allowed.response_headers)));
                }
                self.judge(live, request)
            }
            Waited::Answer(CheckAnswer::Deny(response)) => Err(Box::new(response)),
            Waited::Answer(CheckAnswer::Failed) => Err(refused(Failure::AccessDenied, request)),
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

    fn decide_for<B>(&self, live: &Live, request: &Request<B>) -> Result<Option<Wait>, Refused> {
        self.decide(live, request).map(|()| None).map_err(|failure| refused(failure, request))
    }
}

fn refused<B>(failure: Failure, request: &Request<B>) -> Refused {
    Box::new(guard::refusal(failure, request))
}

/// Asks one after the other; the first that does not allow ends it.
async fn ask(mut questions: Questions, mut request: CheckRequest) -> CheckAnswer {
    let mut changes = Allowed::default();
    let Some(last) = questions.pop() else { return CheckAnswer::Allow(changes) };
    for question in questions {
        match question.check(request.clone()).await {
            CheckAnswer::Allow(allowed) => {
                // The next one is asked about what this one has changed.
                guard::replace(&mut request.headers, &allowed.request_headers);
                add(&mut changes, &allowed);
            }
            refusal => return refusal,
        }
    }
    match last.check(request).await {
        CheckAnswer::Allow(allowed) => add(&mut changes, &allowed),
        refusal => return refusal,
    }
    CheckAnswer::Allow(changes)
}

fn add(changes: &mut Allowed, allowed: &Allowed) {
    guard::replace(&mut changes.request_headers, &allowed.request_headers);
    guard::append(&mut changes.response_headers, &allowed.response_headers);
}
