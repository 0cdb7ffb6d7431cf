//! Timeouts and retries. The cases run side by side: each has orders of its own at the service.

use std::time::Duration;

use crate::Result;
use crate::check::Check;
use crate::ledger::Act;
use crate::probe::{Answer, Call};
use crate::stage::Stage;

/// Far longer than any try.
const ASLEEP: Act = Act::Delay(25_000);

/// How much later than planned an answer may come on a busy machine.
const SLACK: Duration = Duration::from_millis(1500);

pub(super) async fn play(stage: &Stage) -> Result<Vec<Check>> {
    let groups = tokio::join!(
        case(stage, "2 errors, then fine", ("/0", 200, 3), (Act::Status(503), Some(2)), None),
        case(stage, "errors all the time", ("/0", 503, 4), (Act::Status(503), None), None),
        case(stage, "2 connections cut, then fine", ("/0", 200, 3), (Act::Cut, Some(2)), None),
        case(stage, "1 try asleep, then fine", ("/0", 200, 2), (ASLEEP, Some(1)), Some(2.0)),
        case(stage, "asleep all the time", ("/0", 504, 4), (ASLEEP, None), Some(8.0)),
        case(stage, "asleep, no limit for a try", ("/10", 504, 1), (ASLEEP, None), Some(10.0)),
        closed_port(stage),
    );
    let mut checks = Vec::new();
    for group in [groups.0, groups.1, groups.2, groups.3, groups.4, groups.5, groups.6] {
        checks.extend(group?);
    }
    Ok(checks)
}

/// One request to a service that does as ordered: its status, how often the service saw it, and how long it took.
async fn case(
    stage: &Stage,
    what: &str,
    (book, status, tries): (&str, u16, usize),
    (act, times): (Act, Option<u32>),
    seconds: Option<f64>,
) -> Result<Vec<Check>> {
    let name = what.replace([' ', ','], "-");
    let details = &stage.details()[0];
    details.order(&name, act, times).await?;
    let call = stage.shop(&format!("/api/v1/products{book}")).case(&name);
    let answer = stage.probe().send(&call).await?;
    let mut checks = vec![
        Check::says(format!("{what}: status"), status.to_string(), status_of(&answer)),
        Check::count(format!("{what}: tries at details"), tries, details.requests(&name).await?),
    ];
    if let Some(seconds) = seconds {
        let planned = Duration::from_secs_f64(seconds);
        checks.push(Check::took(format!("{what}: time"), planned..=planned + SLACK, answer.took));
    }
    Ok(checks)
}

/// Half of the endpoints refuse connections: nobody notices with retries, half of the callers do without.
async fn closed_port(stage: &Stage) -> Result<Vec<Check>> {
    const CALLS: usize = 200;
    let call = Call::get(stage.gateway(), "/details/0").host("details.example.com");
    let patient = stage.probe().line(&call.clone().case("closed-port"), CALLS).await;
    let without = stage.probe().line(&call.case("closed-port-once").header("x-retries", "off"), CALLS).await;
    let details = &stage.details()[0];
    let answered = without.with_status(200);
    Ok(vec![
        Check::count("1 of 2 ports closed: answered", CALLS, patient.with_status(200)),
        Check::count("1 of 2 ports closed: at the open one", CALLS, details.requests("closed-port").await?),
        Check::share("1 of 2 ports closed, no retries: 503", 50.0, CALLS, without.with_status(503)),
        Check::says(
            "1 of 2 ports closed, no retries: at the open one",
            answered.to_string(),
            details.requests("closed-port-once").await?.to_string(),
        ),
    ])
}

fn status_of(answer: &Answer) -> String {
    answer.status.as_u16().to_string()
}
