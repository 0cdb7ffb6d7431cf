//! How a `VirtualService` names gateways.

use super::is_dns_label;

/// The full name of a gateway, `namespace/name`; `mesh` stays as it is.
///
/// `name` and `./name` are in the given namespace. The legacy form `name.namespace`, whatever follows it, is taken too.
#[must_use]
pub fn resolve_gateway_name(name: &str, namespace: &str) -> String {
    if name == MESH {
        return name.to_owned();
    }
    if let Some((scope, rest)) = name.split_once('/') {
        return match scope {
            "." => format!("{namespace}/{rest}"),
            _ => name.to_owned(),
        };
    }
    match name.split_once('.') {
        None => format!("{namespace}/{name}"),
        Some((short, rest)) => {
            let scope = rest.split('.').next().unwrap_or(rest);
            format!("{scope}/{short}")
        }
    }
}

/// Checks a gateway name. A name in the legacy form is valid and gives a warning; `./name`, which [`resolve_gateway_name`]
/// would take, is not.
///
/// # Errors
/// Istio's text.
pub fn check_gateway_name(name: &str) -> Result<Option<String>, String> {
    let Some((scope, short)) = name.split_once('/') else {
        super::check_fqdn(name)?;
        if name.contains('.') {
            let full = resolve_gateway_name(name, "");
            return Ok(Some(format!(
                "using legacy gatewayName format {name:?}; prefer the <namespace>/<name> format: {full:?}"
            )));
        }
        return Ok(None);
    };
    if scope.is_empty() || short.is_empty() {
        return Err("config namespace and gateway name cannot be empty".to_owned());
    }
    if !is_dns_label(scope) {
        return Err(format!("invalid value for namespace: {scope:?}"));
    }
    if !is_dns_label(short) {
        return Err(format!("invalid value for gateway name: {short:?}"));
    }
    Ok(None)
}

/// The name that stands for every workload of the mesh.
const MESH: &str = "mesh";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_is_in_the_namespace_of_the_rule_unless_it_says_otherwise() {
        for (name, resolved) in [
            ("mesh", "mesh"),
            ("web", "default/web"),
            ("./web", "default/web"),
            ("istio-ingress/web", "istio-ingress/web"),
            ("web.istio-ingress", "istio-ingress/web"),
            ("web.istio-ingress.svc.cluster.local", "istio-ingress/web"),
        ] {
            assert_eq!(resolve_gateway_name(name, "default"), resolved, "{name}");
        }
    }

    #[test]
    fn gateway_names_are_checked_as_istio_checks_them() {
        for (name, verdict) in [
            ("web", Ok(None)),
            ("mesh", Ok(None)),
            ("ns/web", Ok(None)),
            ("./web", Err("invalid value for namespace: \".\"")),
            ("w_b", Err("domain name \"w_b\" invalid (label \"w_b\" invalid)")),
            ("", Err("empty domain name not allowed")),
            (
                "web.ns",
                Ok(Some(
                    "using legacy gatewayName format \"web.ns\"; prefer the <namespace>/<name> format: \"ns/web\"",
                )),
            ),
            ("/web", Err("config namespace and gateway name cannot be empty")),
            ("ns/", Err("config namespace and gateway name cannot be empty")),
            ("n_s/web", Err("invalid value for namespace: \"n_s\"")),
            ("ns/w_b", Err("invalid value for gateway name: \"w_b\"")),
            ("ns/a/b", Err("invalid value for gateway name: \"a/b\"")),
        ] {
            let checked = check_gateway_name(name);
            let checked = match &checked {
                Ok(warning) => Ok(warning.as_deref()),
                Err(problem) => Err(problem.as_str()),
            };
            assert_eq!(checked, verdict, "{name}");
        }
    }
}
