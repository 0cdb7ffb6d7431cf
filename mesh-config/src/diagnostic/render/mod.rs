//! Findings as text, JSON, SARIF and annotations of GitHub.
//!
//! Pure functions from a [`Report`](crate::Report) to a text; each lists the findings by file, line and column. What came out of the
//! files is printed so that it cannot command a terminal: control characters appear as `\u{1b}`.
//!
//! ```
//! use mesh_config::diagnostic::render::{TextOptions, text};
//!
//! let (_, report) = mesh_config::parse("reviews.yaml", "
//! apiVersion: networking.istio.io/v1
//! kind: VirtualService
//! metadata: {name: reviews}
//! spec:
//!   host: [reviews]
//! ");
//! assert_eq!(text(&report, &TextOptions::default()), r#"
//! error[MESH0001]: unknown field "host"
//!  --> reviews.yaml:6:3
//!   |
//! 6 |   host: [reviews]
//!   |   ^^^^
//!   |
//!   = in: VirtualService default/reviews spec.host
//!   = help: did you mean `hosts`?
//!   |
//! 6 |   hosts: [reviews]
//!   |       +
//! "#.trim_start());
//! ```

mod escape;
mod github;
mod json;
mod sarif;
mod text;

pub use self::escape::escape;
pub use self::github::github;
pub use self::json::{analysis_json, validation_json};
pub use self::sarif::sarif;
pub use self::text::{TextOptions, text};
