//! Names as people say them.

use serde_json::Value;

use super::markup::Escaped;

/// `outbound|9080|v1|reviews.shop.svc.cluster.local` as `reviews.shop v1 :9080`, with the whole name when pointed at.
pub(super) fn cluster(name: &str) -> String {
    let whole = Escaped(name);
    let mut parts = name.splitn(4, '|').skip(1);
    let (Some(port), Some(subset), Some(host)) = (parts.next(), parts.next(), parts.next()) else {
        return format!("<b>{whole}</b>");
    };
    let subset = match subset {
        "" => String::new(),
        subset => format!(" <span class=\"tag\">{}</span>", Escaped(subset)),
    };
    format!("<span title=\"{whole}\">{}{subset} <span class=\"faint\">:{}</span></span>", host_of(host), Escaped(port))
}

/// A host without what every host of the cluster ends in.
pub(super) fn host_of(host: &str) -> String {
    format!("<b>{}</b>", Escaped(host.split(".svc.").next().unwrap_or(host)))
}

/// Who calls: a SPIFFE id as `shop/web`, with the whole when pointed at, or an address.
pub(super) fn caller(caller: &Value) -> String {
    match (caller["principal"].as_str(), caller["address"].as_str()) {
        (Some(id), _) => format!("<b title=\"{}\">{}</b>", Escaped(id), Escaped(&account(id))),
        (None, Some(address)) => format!("<b>{}</b> <span class=\"faint\">no certificate</span>", Escaped(address)),
        (None, None) => "<b>unknown</b>".to_owned(),
    }
}

/// Namespace and service account of an id that has them.
fn account(id: &str) -> String {
    let parts = id.split_once("/ns/").and_then(|(_, rest)| rest.split_once("/sa/"));
    parts.map_or_else(|| id.to_owned(), |(namespace, account)| format!("{namespace}/{account}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_is_called_by_its_service() {
        let name = cluster("outbound|9080|v1|reviews.shop.svc.cluster.local");
        assert!(name.contains("<b>reviews.shop</b> <span class=\"tag\">v1</span>") && name.contains(":9080"), "{name}");
        assert!(name.contains("title=\"outbound|9080|v1|reviews.shop.svc.cluster.local\""), "{name}");
        assert_eq!(cluster("Passthrough<"), "<b>Passthrough&lt;</b>");
    }

    #[test]
    fn a_caller_is_called_by_its_account_or_address() {
        let known = caller(&serde_json::json!({"principal": "spiffe://cluster.local/ns/shop/sa/web"}));
        assert_eq!(known, "<b title=\"spiffe://cluster.local/ns/shop/sa/web\">shop/web</b>");
        assert_eq!(account("spiffe://other.example/x"), "spiffe://other.example/x");
        assert!(caller(&serde_json::json!({"address": "10.0.0.3"})).contains("no certificate"));
    }
}
