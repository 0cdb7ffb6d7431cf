//! `meshctl tap`: requests of a running mesh as they end.

use std::sync::mpsc;

use clap::Args;
use serde_json::Value;

use super::client::encoded;
use super::facts::word;
use super::processes::{Format, Processes};
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

    /// One line of JSON each, as the mesh tells it; the same as -o json
    #[arg(long)]
    json: bool,

    /// The form
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    output: Format,
}

impl Tap {
    fn is_json(&self) -> bool {
        self.json || self.output == Format::Json
    }

    pub(crate) fn run(&self, processes: &Processes) -> Result<Outcome, String> {
        let filters = [
            ("status", &self.status),
            ("method", &self.method),
            ("path", &self.path),
            ("host", &self.host),
            ("flag", &self.flag),
        ];
        let pair = |(name, value): &(&str, &Option<String>)| Some(format!("{name}={}", encoded(value.as_deref()?)));
        let query: Vec<_> = filters.iter().filter_map(pair).collect();
        let path = format!("/mesh/tap?{}", query.join("&"));
        let told = processes.ask(|admin| admin.lines(&path))?;
        let (missed, mut shown) = (told.missed, 0);
        for (name, event) in together(told.told).into_iter().take(self.count.unwrap_or(usize::MAX)) {
            shown += 1;
            let mut told: Value =
                serde_json::from_str(&event).map_err(|_| "the tap tells what is no JSON".to_owned())?;
            if !name.is_empty() && self.is_json() {
                told["process"] = name.clone().into();
            }
            let begin = if name.is_empty() { name } else { name + " " };
            print(&if self.is_json() { format!("{told}\n") } else { begin + &line(&told) })?;
        }
        // A tap ends by itself only when its process does, or has nothing to say for long.
        let is_whole = !missed && self.count == Some(shown);
        Ok(if is_whole { Outcome::Clean } else { Outcome::CouldNotRun })
    }
}

/// The events of several taps as they come, each with the name of its process.
fn together(taps: Vec<(String, impl Iterator<Item = String> + Send + 'static)>) -> mpsc::Receiver<(String, String)> {
    // Whoever tells waits for who prints.
    let (tell, told) = mpsc::sync_channel(0);
    for (name, lines) in taps {
        let tell = tell.clone();
        std::thread::spawn(move || {
            let events = lines.filter_map(|line| line.strip_prefix("data: ").map(ToOwned::to_owned));
            // It ends with who listens.
            let _ = events.map(|event| tell.send((name.clone(), event))).find(Result::is_err);
        });
    }
    told
}

fn line(told: &Value) -> String {
    let url = format!("{}{}", word(&told["host"]), word(&told["path"]));
    let fields = ["side", "method"].map(|name| word(&told[name])).join(" ");
    let rest = ["status", "flags", "endpoint"].map(|name| word(&told[name])).join(" ");
    format!("{fields} {url} {rest} tries {} {} ms\n", word(&told["tries"]), word(&told["duration_ms"]))
}
