//! Which version answers whom.

use super::AT_ONCE;
use crate::Result;
use crate::check::Check;
use crate::stage::{REVIEWS, Stage};

const REVIEWS_OF_A_BOOK: &str = "/api/v1/products/0/reviews";

/// Without rules every version answers its share, and the page shows which.
pub(super) async fn all_versions(stage: &Stage) -> Result<Vec<Check>> {
    const PAGES: usize = 300;
    let pages = stage.probe().flood(&stage.shop("/productpage").case("all-versions"), PAGES, AT_ONCE).await;
    let mut checks = vec![Check::count("pages that came", PAGES, pages.with_status(200))];
    let mut sum = 0;
    for version in 1..=REVIEWS {
        let requests = stage.reviews(version).requests("all-versions").await?;
        // Least request, not a lottery: no binomial band, but nobody is left out.
        checks.push(Check::at_least(format!("requests at reviews v{version}"), PAGES as u64 / 6, requests));
        sum += requests;
        let (looks, mark) = match version {
            1 => ("no stars", None),
            2 => ("black stars", Some(r#"class="stars black""#)),
            _ => ("red stars", Some(r#"class="stars red""#)),
        };
        let seen = pages.count(|page| match mark {
            Some(mark) => page.text().contains(mark),
            None => !page.text().contains("class=\"stars"),
        });
        checks.push(Check::says(
            format!("pages with {looks}, from v{version}"),
            requests.to_string(),
            seen.to_string(),
        ));
    }
    checks.push(Check::count("requests at all versions", PAGES, sum));
    Ok(checks)
}

/// Two headers lead to v2; what only looks like them does not.
pub(super) async fn by_header(stage: &Stage) -> Result<Vec<Check>> {
    const EACH: usize = 60;
    let mut checks = Vec::new();
    for (case, name, value, version) in [
        ("somebody", "end-user", "somebody", 1),
        ("jason", "end-user", "jason", 2),
        ("jason-upper-case", "end-user", "Jason", 1),
        ("jason-and-more", "end-user", "jasonx", 1),
        ("canary-true", "x-canary", "true", 2),
        ("canary-false", "x-canary", "false", 1),
    ] {
        let call = stage.shop(REVIEWS_OF_A_BOOK).case(case).header(name, value);
        let answers = stage.probe().flood(&call, EACH, AT_ONCE).await;
        let who = format!("{name}: {value}");
        checks.push(Check::count(format!("{who}: answered"), EACH, answers.with_status(200)));
        for any in 1..=REVIEWS {
            let expected = if any == version { EACH } else { 0 };
            let requests = stage.reviews(any).requests(case).await?;
            if any == version || requests != 0 {
                checks.push(Check::count(format!("{who}: at reviews v{any}"), expected, requests));
            }
        }
    }
    Ok(checks)
}
