//! Who may see an object: `exportTo`.

/// The namespaces an object is exported to.
///
/// An empty list means the mesh's default for its kind, which is everyone unless MeshConfig says
/// otherwise. The list is complete: one that names only other namespaces hides the object from its
/// own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Export {
    /// `*`.
    Everyone,
    /// These, and no others.
    Namespaces(Vec<String>),
}

impl Export {
    /// Reads `exportTo` of an object in `namespace`; `default` counts where the list is empty.
    pub fn of(list: &[String], default: &[String], namespace: &str) -> Self {
        let list = if list.is_empty() { default } else { list };
        if list.is_empty() || list.iter().any(|entry| entry == "*") {
            return Self::Everyone;
        }
        // `~` hides the object from everybody, whoever else is named beside it.
        if list.iter().any(|entry| entry == "~") {
            return Self::Namespaces(Vec::new());
        }
        let own = |entry: &String| if entry == "." { namespace.to_owned() } else { entry.clone() };
        Self::Namespaces(list.iter().map(own).collect())
    }

    /// Whether objects of `namespace` see it.
    pub fn is_visible_to(&self, namespace: &str) -> bool {
        match self {
            Self::Everyone => true,
            Self::Namespaces(list) => list.iter().any(|entry| entry == namespace),
        }
    }

    /// Whether only the object's own namespace sees it.
    pub fn is_private_to(&self, namespace: &str) -> bool {
        matches!(self, Self::Namespaces(list) if list.iter().all(|entry| entry == namespace) && !list.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn export(list: &[&str]) -> Export {
        Export::of(&list.iter().map(ToString::to_string).collect::<Vec<_>>(), &[], "home")
    }

    #[test]
    fn an_empty_list_is_the_default() {
        assert!(export(&[]).is_visible_to("away"));
        let private = Export::of(&[], &[".".to_owned()], "home");
        assert!(private.is_visible_to("home") && !private.is_visible_to("away") && private.is_private_to("home"));
    }

    #[test]
    fn a_list_that_names_only_others_hides_the_object_at_home() {
        let export = export(&["away"]);
        assert!(export.is_visible_to("away") && !export.is_visible_to("home"));
    }

    #[test]
    fn none_means_nobody() {
        assert!(!export(&["~"]).is_visible_to("home"));
        assert!(!export(&["~"]).is_private_to("home"));
        assert!(!export(&["~", "away"]).is_visible_to("away"));
    }
}
