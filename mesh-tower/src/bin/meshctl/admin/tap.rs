//! `meshctl tap`: requests of a running mesh as they end.

use clap::Args;
use serde_json::Value;

use super::client::{Address, encoded};
use super::facts::word;
use crate::output::{Outcome, print};

/// Show requests of a running mesh as they end, without queries and headers.
#[derive(Debug, Args)]
pub(crate) struct Tap {
    /// Only these: 503, 5xx or 500-599
    #[arg(long)]
    status: Option<String>,

    /// Only this method
    #[arg(long)]
    method: Option<String>,

    /// Only paths that begin so
    #[arg(long)]
    path: Option<String>,

    /// Only hosts that have this text
    #[arg(long)]
    host: Option<String>,

    /// Only with this response flag
    #[arg(long)]
    flag: Option<String>,

    /// End after so many
    #[arg(long, value_name = "N")]
    count: Option<usize>,

    /// One line of JSON each, as the mesh tells it
    #[arg(long)]
    json: bool,
}

impl Tap {
    pub(crate) fn run(&self, admin: &Address) -> Result<Outcome, String> {
        let filters = [
            ("status", &self.status),
            ("method", &self.method),
            ("path", &self.path),
            ("host", &self.host),
            ("flag", &self.flag),
        ];
        let pair = |(name, value): &(&str, &Option<String>)| Some(format!("{name}={}", encoded(value.as_deref()?)));
        let query: Vec<_> = filters.iter().filter_map(pair).collect();
        let lines = admin.lines(&format!("/mesh/tap?{}", query.join("&")))?;
        let events = lines.filter_map(|line| line.strip_prefix("data: ").map(ToOwned::to_owned));
        for event in events.take(self.count.unwrap_or(usize::MAX)) {
            let told: Value = serde_json::from_str(&event).map_err(|_| "the tap tells what is no JSON".to_owned())?;
            print(&if self.json { format!("{told}\n") } else { line(&told) })?;
        }
        Ok(Outcome::Clean)
    }
}

fn line(told: &Value) -> String {
    let url = format!("{}{}", word(&told["host"]), word(&told["path"]));
    let fields = ["side", "method"].map(|name| word(&told[name])).join(" ");
    let rest = ["status", "flags", "endpoint"].map(|name| word(&told[name])).join(" ");
    format!("{fields} {url} {rest} tries {} {} ms\n", word(&told["tries"]), word(&told["duration_ms"]))
}
