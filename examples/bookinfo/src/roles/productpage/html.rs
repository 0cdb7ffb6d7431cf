//! The page as HTML.

use std::fmt::Write as _;

use crate::roles::details::Details;
use crate::roles::reviews::{Reviews, Stars};

/// The page of the book, with what went wrong in the place of what is missing.
pub(super) fn page(
    user: Option<&str>,
    details: Result<&Details, &String>,
    reviews: Result<&Reviews, &String>,
) -> String {
    let user = user.map_or_else(
        || r#"nobody is signed in (<a href="?u=jason">sign in as jason</a>)"#.to_owned(),
        |user| format!("signed in as <b>{}</b>", escape(user)),
    );
    format!(
        r#"<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>A Midsummer Night's Dream</title>
<style>body {{ font: 1rem sans-serif; max-width: 40rem; margin: 2rem auto }} .red {{ color: #c00 }} .missing {{ color: #777 }}</style>
</head>
<body>
<p>{user}</p>
<h1>A Midsummer Night's Dream</h1>
<h2>Details</h2>
{}
<h2>Reviews</h2>
{}
</body>
</html>
"#,
        details.map_or_else(|why| missing("details", why), details_list),
        reviews.map_or_else(|why| missing("reviews", why), reviews_list),
    )
}

fn details_list(details: &Details) -> String {
    let Details { author, year, pages, language, replica, .. } = details;
    format!(
        "<ul><li>by {}</li><li>{year}, {pages} pages, {}</li></ul>\n<p><small>from details, replica {}</small></p>",
        escape(author),
        escape(language),
        escape(replica),
    )
}

fn reviews_list(reviews: &Reviews) -> String {
    let mut html = String::new();
    for review in &reviews.reviews {
        let stars = review.rating.as_ref().map(stars).unwrap_or_default();
        // Writing to a string cannot fail.
        let _ = writeln!(
            html,
            "<blockquote>{} <cite>{}</cite> {stars}</blockquote>",
            escape(&review.text),
            escape(&review.reviewer),
        );
    }
    let _ = write!(html, "<p><small>from reviews {}</small></p>", escape(&reviews.version));
    html
}

fn stars(stars: &Stars) -> String {
    match stars {
        Stars::Given { stars, color } => {
            let given = (*stars).min(5) as usize;
            let text = "★".repeat(given) + &"☆".repeat(5 - given);
            format!(r#"<span class="stars {}">{text}</span>"#, escape(color))
        }
        Stars::Unavailable(why) => missing("ratings", why),
    }
}

fn missing(what: &str, why: &str) -> String {
    format!(r#"<span class="missing">{what} are not available: {}</span>"#, escape(why))
}

fn escape(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut html, character| {
        match character {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            other => html.push(other),
        }
        html
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_caller_says_stands_escaped_in_the_page() {
        let why = "<script>".to_owned();
        let html = page(Some("a<b>\"'&"), Err(&why), Err(&why));
        assert!(html.contains("a&lt;b&gt;&quot;&#39;&amp;"), "{html}");
        assert!(!html.contains("<script>"), "{html}");
    }

    #[test]
    fn stars_are_drawn_in_the_version_s_color() {
        let html = stars(&Stars::Given { stars: 4, color: "red".to_owned() });
        assert_eq!(html, r#"<span class="stars red">★★★★☆</span>"#);
    }
}
