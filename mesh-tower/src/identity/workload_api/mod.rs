//! [`WorkloadApi`]: material from an agent of SPIFFE, such as SPIRE's.

mod call;
mod place;
mod response;

use std::fmt;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::time::{Instant, sleep};

use super::{BadMaterial, IdentitySink, IdentitySource, Material};
use crate::grpc::Status;
use call::{Call, Ended};
use place::Place;

/// The SPIFFE Workload API: an agent on this machine gives the workload its certificate, key and roots, and new ones
/// before the old expire. SPIRE's agent is the usual one.
///
/// ```no_run
/// # async fn f() -> Result<(), mesh_tower::BoxError> {
/// use mesh_tower::Mesh;
/// use mesh_tower::identity::WorkloadApi;
///
/// // SPIFFE_ENDPOINT_SOCKET=unix:///run/spire/agent.sock
/// let mesh = Mesh::builder().identity(WorkloadApi::from_environment()?.connect().await?).build().await?;
/// # Ok(()) }
/// ```
///
/// * Of several identities the first counts, as the standard says, or the first with the [hint](Self::hint) that is asked
///   for.
/// * Roots are those of every trust domain of which the agent tells a bundle, the federated ones included; each vouches
///   for its own domain alone. Revocation lists count for all of them.
/// * Every answer replaces all of the one before it. One that cannot be used (a field that has to be there is missing, a
///   key of another certificate, an identity other than it says, no identity with the hint) leaves the last good one in
///   use, and is logged.
/// * When the agent ends the call or cannot be reached it is called again, after a pause that grows from 200 ms to 30 s and
///   begins anew once it has given something. Until then the last good material stays in use, also where the
///   agent has said that it knows no identity for us: an agent that has just started says so too, and certificates of
///   SPIFFE are short-lived.
/// * An agent that does not have the call (`INVALID_ARGUMENT`, `UNIMPLEMENTED`) is not called again.
///
/// Needs the feature `workload-api`.
#[derive(Clone, Debug)]
pub struct WorkloadApi {
    place: Place,
    hint: Option<String>,
    patience: Duration,
}

/// How long the first material is waited for, unless told otherwise.
const PATIENCE: Duration = Duration::from_secs(30);
/// The pauses between calls that fail.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(30));
/// The variable that the standard names.
const VARIABLE: &str = "SPIFFE_ENDPOINT_SOCKET";

impl WorkloadApi {
    /// The agent that `SPIFFE_ENDPOINT_SOCKET` names.
    ///
    /// # Errors
    /// If the variable is not set, or as for [`at`](Self::at).
    pub fn from_environment() -> Result<Self, BadMaterial> {
        let place = std::env::var(VARIABLE).map_err(|_| BadMaterial::Unreadable(format!("{VARIABLE} is not set")))?;
        Self::at(&place)
    }

    /// The agent at a URI: `unix:///path/of/the.sock`, or `tcp://` with an IP address and a port.
    ///
    /// # Errors
    /// If it is neither.
    pub fn at(uri: &str) -> Result<Self, BadMaterial> {
        let place = uri.parse().map_err(|why| BadMaterial::Unreadable(format!("{uri}: {why}")))?;
        Ok(Self { place, hint: None, patience: PATIENCE })
    }

    /// Takes the identity that the agent's operator has given this hint, such as `internal`. Without one of that hint there
    /// is none.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// How long [`connect`](Self::connect) tries, 30 s unless set. An agent may come up later than the workload, and may
    /// need a while to learn of it. 0: once.
    #[must_use]
    pub fn patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Gets the first material.
    ///
    /// # Errors
    /// If there is none in time: what stood in the way the last time.
    pub async fn connect(self) -> Result<WorkloadApiIdentity, BadMaterial> {
        let begin = Instant::now();
        let mut pauses = Pauses::default();
        loop {
            let left = self.patience.saturating_sub(begin.elapsed());
            // One try in any case, which an agent that keeps silent does not hold up for ever.
            let limit = left.max(PAUSES.0 * 5);
            let first = tokio::time::timeout(limit, self.first()).await;
            let problem = match first.unwrap_or(Err(Problem::Silent)) {
                Ok((call, material)) => return Ok(WorkloadApiIdentity { api: self, call, first: material }),
                Err(problem) => problem,
            };
            let pause = pauses.next();
            if problem.is_final() || begin.elapsed() + pause > self.patience {
                return Err(BadMaterial::Unreadable(format!("{}: {problem}", self.place)));
            }
            sleep(pause).await;
        }
    }

    async fn first(&self) -> Result<(Call, Material), Problem> {
        let mut call = Call::begin(&self.place).await?;
        let answer = call.next().await?;
        let material = response::material(&answer, self.hint.as_deref())?;
        Ok((call, material))
    }

    /// Follows one call to its end. Tells whether it has given anything.
    async fn follow(&self, call: &mut Call, sink: &IdentitySink) -> (bool, Problem) {
        let mut has_given = false;
        loop {
            let answer = match call.next().await {
                Ok(answer) => answer,
                Err(ended) => return (has_given, ended.into()),
            };
            match response::material(&answer, self.hint.as_deref()) {
                Ok(material) => {
                    has_given = true;
                    sink.replace(material);
                }
                Err(problem) => {
                    tracing::warn!(agent = %self.place, %problem, "material refused; the last good one stays in use");
                }
            }
        }
    }
}

/// The first material of a [`WorkloadApi`], and the call that gives the later ones.
#[derive(Debug)]
pub struct WorkloadApiIdentity {
    api: WorkloadApi,
    call: Call,
    first: Material,
}

impl WorkloadApiIdentity {
    /// The material that there was first.
    pub fn material(&self) -> &Material {
        &self.first
    }
}

impl IdentitySource for WorkloadApiIdentity {
    fn name(&self) -> &str {
        self.api.place.as_str()
    }

    fn first(&mut self) -> Result<Material, BadMaterial> {
        Ok(self.first.clone())
    }

    fn run(self: Box<Self>, sink: IdentitySink) -> BoxFuture<'static, ()> {
        async move {
            let Self { api, call, .. } = *self;
            let mut call: Result<Call, Ended> = Ok(call);
            let (mut pauses, mut is_told) = (Pauses::default(), false);
            loop {
                let (has_given, problem) = match &mut call {
                    Ok(call) => api.follow(call, &sink).await,
                    Err(ended) => (false, std::mem::take(ended).into()),
                };
                if has_given {
                    (pauses, is_told) = (Pauses::default(), false);
                }
                if problem.is_final() {
                    tracing::error!(agent = %api.place, %problem, "no certificates will come any more");
                    return;
                }
                if !is_told {
                    tracing::warn!(agent = %api.place, %problem, "no word of certificates; the last good ones stay in use");
                    is_told = true;
                }
                sleep(pauses.next()).await;
                call = Call::begin(&api.place).await;
            }
        }
        .boxed()
    }
}

/// Why there is no material.
#[derive(Debug)]
enum Problem {
    Ended(Ended),
    Material(BadMaterial),
    Silent,
}

impl Problem {
    /// Whether it will be the same the next time.
    fn is_final(&self) -> bool {
        let is_final = |status: &Status| matches!(status.code, Status::INVALID_ARGUMENT | Status::UNIMPLEMENTED);
        matches!(self, Self::Ended(Ended::Status(status)) if is_final(status))
    }
}

impl From<Ended> for Problem {
    fn from(ended: Ended) -> Self {
        Self::Ended(ended)
    }
}

impl From<BadMaterial> for Problem {
    fn from(problem: BadMaterial) -> Self {
        Self::Material(problem)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended(ended) => ended.fmt(f),
            Self::Material(problem) => problem.fmt(f),
            Self::Silent => f.write_str("there is no answer"),
        }
    }
}

/// Pauses that grow, each a bit longer or shorter than it would be: agents have many callers, who all lost them at once.
#[derive(Debug, Default)]
struct Pauses(u32);

impl Pauses {
    fn next(&mut self) -> Duration {
        let (shortest, longest) = PAUSES;
        let pause = shortest.saturating_mul(2_u32.saturating_pow(self.0)).min(longest);
        self.0 = self.0.saturating_add(1);
        pause.mul_f64(0.75 + 0.5 * fastrand::f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_half_a_minute() {
        let mut pauses = Pauses::default();
        let all: Vec<f64> = (0..40).map(|_| pauses.next().as_secs_f64()).collect();
        for (pause, expected) in all.iter().zip([0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0]) {
            assert!((0.75 * expected..=1.25 * expected).contains(pause), "{all:?}");
        }
        assert!(all.iter().all(|pause| *pause <= 37.5));
    }
}
