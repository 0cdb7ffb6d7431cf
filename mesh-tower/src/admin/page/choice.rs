//! What of the figures is shown, as the address of the page says it: it can be kept and sent on, and needs no script.

use super::super::ask::Ask;
use crate::telemetry::Window;

/// What stands at the edges of the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Label {
    Rps,
    Share,
    P95,
    Errors,
}

impl Label {
    const ALL: [Self; 4] = [Self::Rps, Self::Share, Self::P95, Self::Errors];

    const fn name(self) -> &'static str {
        match self {
            Self::Rps => "rps",
            Self::Share => "share",
            Self::P95 => "p95",
            Self::Errors => "errors",
        }
    }
}

/// What is chosen; the first of each where the address says nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::admin) struct Choice {
    pub(in crate::admin) window: Window,
    pub(super) label: Label,
}

impl Choice {
    pub(in crate::admin) fn of(ask: &Ask) -> Self {
        let label = ask.get("label").unwrap_or_default();
        Self {
            window: ask.get("window").and_then(Window::named).unwrap_or_default(),
            label: Label::ALL.into_iter().find(|known| known.name() == label).unwrap_or(Label::Rps),
        }
    }

    /// Links to what else could be chosen.
    pub(super) fn switches(self) -> String {
        let windows = Window::ALL.map(|window| (window.name(), Self { window, ..self }));
        let labels = Label::ALL.map(|label| (label.name(), Self { label, ..self }));
        format!(
            "<div class=\"bar switches\">{}{}</div>",
            self.switch("over the last", &windows),
            self.switch("edges", &labels)
        )
    }

    fn switch(self, what: &str, choices: &[(&str, Self)]) -> String {
        let link = |(name, choice): &(&str, Self)| {
            let current = if *choice == self { " aria-current=\"true\"" } else { "" };
            let (window, label) = (choice.window.name(), choice.label.name());
            format!("<a href=\"/mesh/?window={window}&amp;label={label}\" data-switch{current}>{name}</a>")
        };
        let links: String = choices.iter().map(link).collect();
        format!("<nav class=\"switch\" aria-label=\"{what}\"><span class=\"faint\">{what}</span>{links}</nav>")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_says_what_is_chosen() {
        let of = |uri: &'static str| Choice::of(&Ask::of(&http::Uri::from_static(uri)));
        assert_eq!(of("/mesh/"), Choice { window: Window::One, label: Label::Rps });
        let chosen = of("/mesh/?window=15m&label=errors");
        assert_eq!(chosen, Choice { window: Window::Fifteen, label: Label::Errors });
        assert_eq!(of("/mesh/?window=9m&label=%3Cb%3E"), of("/mesh/"));
        let links = chosen.switches();
        let current: Vec<_> = links.split("<a ").filter(|link| link.contains("aria-current")).collect();
        assert_eq!(current.len(), 2, "{links}");
        assert!(links.contains("href=\"/mesh/?window=5m&amp;label=errors\""), "{links}");
    }
}
