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
        Value::Null => "-".to_owned(),
        Value::String(text) => Escaped(text).to_string(),
        other => Escaped(&other.to_string()).to_string(),
    }
}

pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// A table with a heading; cells are markup already.
pub(super) fn table(id: &str, heading: &str, columns: &[&str], rows: &[Vec<String>]) -> String {
    let columns: String = columns.iter().map(|column| format!("<th scope=\"col\">{column}</th>")).collect();
    let row = |cells: &Vec<String>| {
        let cells: String = cells.iter().map(|cell| format!("<td>{cell}</td>")).collect();
        format!("<tr>{cells}</tr>")
    };
    let rows: String = rows.iter().map(row).collect();
    format!(
        "<h2 id=\"{id}\">{heading}</h2><div class=\"wide\" tabindex=\"0\" role=\"region\" aria-labelledby=\"{id}\">\
         <table><thead><tr>{columns}</tr></thead><tbody>{rows}</tbody></table></div>"
    )
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
