//! Names as people say them.

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
}
