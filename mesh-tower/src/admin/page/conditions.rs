//! The conditions of a rule in a few words, as `end-user = jason`.

use serde_json::Value;

use super::markup::{Escaped, list, shown};

/// Any of the blocks takes a request; all conditions of a block have to hold.
pub(super) fn conditions(blocks: &Value) -> String {
    let all: Vec<String> = list(blocks).iter().map(block).collect();
    if all.is_empty() || all.iter().any(String::is_empty) {
        return "<span class=\"faint\">everything</span>".to_owned();
    }
    all.join("<br><span class=\"faint\">or</span> ")
}

fn block(block: &Value) -> String {
    let Some(fields) = block.as_object() else { return shown(block) };
    let said = fields.iter().filter(|(name, _)| *name != "name").flat_map(|(name, value)| field(name, value));
    said.collect::<Vec<_>>().join(" <span class=\"faint\">and</span> ")
}

fn field(name: &str, value: &Value) -> Vec<String> {
    let each = |before: &str| {
        let fields = value.as_object().into_iter().flatten();
        fields.map(|(name, value)| format!("{before}{} {}", Escaped(name), text(value))).collect()
    };
    match name {
        "headers" => each(""),
        "withoutHeaders" => each("<span class=\"faint\">not</span> "),
        "queryParams" => each("?"),
        "sourceLabels" => each("caller's "),
        "uri" => vec![format!("path {}", text(value))],
        // It belongs to the path.
        "ignoreUriCase" => vec![],
        name => vec![format!("{} {}", Escaped(name), text(value))],
    }
}

fn text(matcher: &Value) -> String {
    let is = |kind: &str| matcher.get(kind).map(shown);
    if let Some(exact) = is("exact") {
        return format!("= {exact}");
    }
    if let Some(prefix) = is("prefix") {
        return format!("= {prefix}…");
    }
    if let Some(regex) = is("regex") {
        return format!("~ {regex}");
    }
    match matcher {
        Value::Object(fields) if fields.is_empty() => "is there".to_owned(),
        other => format!("= {}", shown(other)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn bare(blocks: &Value) -> String {
        conditions(blocks).replace("<span class=\"faint\">", "").replace("</span>", "").replace("<br>", " ")
    }

    #[test]
    fn conditions_are_said_in_a_few_words() {
        for (blocks, said) in [
            (json!(null), "everything"),
            (json!([{}]), "everything"),
            (json!([{"headers": {"end-user": {"exact": "jason"}}}]), "end-user = jason"),
            (json!([{"uri": {"prefix": "/api"}, "method": {"regex": "P.*"}}]), "method ~ P.* and path = /api…"),
            (json!([{"uri": {"exact": "/a"}}, {"port": 80}]), "path = /a or port = 80"),
            (json!([{"withoutHeaders": {"x": {}}}]), "not x is there"),
            (json!([{"headers": {"<b>": {"exact": "<i>"}}}]), "&lt;b&gt; = &lt;i&gt;"),
        ] {
            assert_eq!(bare(&blocks), said, "{blocks}");
        }
    }
}
