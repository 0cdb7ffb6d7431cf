//! Text that cannot become markup.

use std::fmt::{self, Write as _};

use serde_json::Value;

/// A text as HTML shows it, between tags and in quoted attributes.
#[derive(Clone, Copy)]
pub(super) struct Escaped<'t>(pub(super) &'t str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for letter in self.0.chars() {
            match letter {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                letter => f.write_char(letter)?,
            }
        }
        Ok(())
    }
}

/// A value as a cell shows it.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Null => NOTHING.to_owned(),
        Value::String(text) if text.is_empty() => NOTHING.to_owned(),
        Value::String(text) => Escaped(text).to_string(),
        other => Escaped(&other.to_string()).to_string(),
    }
}

pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// A cell that says nothing.
pub(super) const NOTHING: &str = "<span class=\"faint\">–</span>";

/// A column by its name.
#[derive(Clone, Copy, Debug)]
pub(super) enum Column {
    Text(&'static str),
    /// To the right, digit below digit.
    Number(&'static str),
}

impl Column {
    const fn name(self) -> &'static str {
        match self {
            Self::Text(name) | Self::Number(name) => name,
        }
    }

    const fn class(self, is_empty: bool) -> &'static str {
        match (self, is_empty) {
            (Self::Text(_), false) => "",
            (Self::Text(_), true) => " class=\"nothing\"",
            (Self::Number(_), false) => " class=\"number\"",
            (Self::Number(_), true) => " class=\"number nothing\"",
        }
    }
}

/// A table of this name, in a section that refreshes itself. Cells are markup already; on a phone a row is a card, whose first
/// cells stand out and whose others carry the names of their columns.
pub(super) fn table(id: &str, heading: &str, columns: &[Column], rows: &[Vec<String>]) -> String {
    let name = |column: &Column| format!("<th scope=\"col\"{}>{}</th>", column.class(false), column.name());
    let names: String = columns.iter().map(name).collect();
    let row = |cells: &Vec<String>| {
        let cell = |(cell, column): (&String, &Column)| {
            format!("<td data-label=\"{}\"{}>{cell}</td>", column.name(), column.class(cell == NOTHING))
        };
        format!("<tr>{}</tr>", cells.iter().zip(columns).map(cell).collect::<String>())
    };
    let left_out = match rows.len().saturating_sub(MOST) {
        0 => String::new(),
        more => format!("<p class=\"faint\">and {more} more: <a href=\"/mesh/{id}\">/mesh/{id}</a></p>"),
    };
    let rows: String = rows.iter().take(MOST).map(row).collect();
    section(
        id,
        heading,
        &format!(
            "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-labelledby=\"{id}-heading\">\
             <table><thead><tr>{names}</tr></thead><tbody>{rows}</tbody></table></div>{left_out}"
        ),
    )
}

/// So many rows are shown; more are no longer read by a person, and are made every second.
const MOST: usize = 200;

/// A part of the page that refreshes itself.
pub(super) fn section(id: &str, heading: &str, content: &str) -> String {
    format!("<section id=\"{id}\" data-live><h2 id=\"{id}-heading\">{heading}</h2>{content}</section>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_becomes_markup() {
        let text = Escaped("<script>alert(\"1\" & '2')</script>").to_string();
        assert_eq!(text, "&lt;script&gt;alert(&quot;1&quot; &amp; &#39;2&#39;)&lt;/script&gt;");
        assert_eq!(shown(&serde_json::json!({"a": "<b>"})), "{&quot;a&quot;:&quot;&lt;b&gt;&quot;}");
    }
}
