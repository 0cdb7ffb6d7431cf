//! One object of a known kind: read, and what is found on the way.

use serde::de::DeserializeOwned;

use super::probe::{self, Expected};
use super::shape::{self, shorten};
use super::typed::{self, Envelope, Failure, Failures, Outside, Read, nearest};
use super::{Document, Piece, Reader, misplaced, name, placeholder};
use crate::diagnostic::{Advice, Code, Diagnostic, FieldPath, Severity, Target};
use crate::locate::{Tree, camel_case};
use crate::meta::{self, ObjectMeta};
use crate::resource::{Kind, Object, Resource, ResourceId};
use crate::status::Status;

impl Reader<'_> {
    /// Reads an object whose struct is its `spec`.
    pub(super) fn read_enveloped<T>(&mut self, kind: Kind, piece: &Piece, tree: &Tree)
    where
        T: DeserializeOwned + Default,
        Object<T>: Into<Resource>,
    {
        let Read { value, unknown, letters } = match typed::read::<Envelope<T>>(tree, &self.options.limits) {
            Ok(read) => read,
            Err(failures) => return self.report_failures::<Envelope<T>>(kind, None, piece, tree, failures),
        };
        let meta = self.settle(kind, value.metadata);
        let id = ResourceId::new(kind, &meta.namespace, &meta.name);
        let objections = self.objections(kind, piece, tree, Some(&id), Vec::new());
        let objections = misplaced::without_consequences::<Envelope<T>>(objections, &unknown);
        let mut good = objections.iter().all(|finding| finding.severity < Severity::Error);
        let spec_is_missed = objections.iter().any(|finding| finding.path.segments().len() == 1);
        let objected: Vec<_> = objections.iter().map(|finding| finding.path.clone()).collect();
        self.report.extend(objections);
        if value.spec.is_none() && kind.is_istio() && !spec_is_missed {
            let finding = Diagnostic::warning(Code::EMPTY_SPEC, "the object has no spec; it is read as an empty one");
            self.report.push(piece.about(finding.path("spec").resource(id.clone()).at_key()));
        }
        // In the spec the CRD's word stands.
        let told = |path: &FieldPath| objected.iter().any(|at| at.is_within(path) && path.is_within(at));
        for (path, letter) in letters.into_iter().filter(|(path, _)| !told(path)) {
            let finding = Diagnostic::warning(Code::WRONG_TYPE, format!("`{letter}` is a boolean to Kubernetes"))
                .effect("this mesh reads the letter; the API server refuses the object")
                .suggest_yaml(format!("quote it: \"{letter}\""), format!("\"{letter}\""));
            self.report.push(piece.about(finding.path(path).resource(id.clone())));
        }
        good &= self.report_unknown::<Envelope<T>>(kind, &id, piece, &unknown);
        if self.has_good_name(kind, &id, piece, tree) && good {
            self.keep(kind, piece, tree, meta, value.spec.unwrap_or_default());
        }
    }

    /// Reads an object whose struct stands beside the metadata.
    pub(super) fn read_bare<T>(&mut self, kind: Kind, piece: &Piece, tree: &Tree)
    where
        T: DeserializeOwned,
        Object<T>: Into<Resource>,
    {
        let limits = &self.options.limits;
        let read = typed::read::<Outside>(tree, limits)
            .and_then(|outside| Ok((outside.value, typed::read::<T>(tree, limits)?.value)));
        match read {
            Ok((outside, value)) => {
                let meta = self.settle(kind, outside.metadata);
                self.keep(kind, piece, tree, meta, value);
            }
            Err(failures) => self.report_failures::<T>(kind, None, piece, tree, failures),
        }
    }

    /// Adds an object to what was read.
    pub(super) fn keep<T>(&mut self, kind: Kind, piece: &Piece, tree: &Tree, meta: ObjectMeta, spec: T)
    where
        Object<T>: Into<Resource>,
    {
        let id = ResourceId::new(kind, &meta.namespace, &meta.name);
        if meta.name.is_empty() {
            let finding =
                Diagnostic::warning(Code::FRAGMENT, "an object without a name: a patch or a reference to one?");
            self.report.push(piece.about(finding.path("metadata.name").resource(id.clone())));
        }
        if kind != Kind::Secret && placeholder::is_suspect(piece.text()) {
            self.report_placeholders(&id, piece, tree);
        }
        let origin = match kind {
            Kind::Secret => piece.origin.clone().without_source(),
            _ => piece.origin.clone(),
        };
        let resource = Object { meta, spec, status: Status::read(tree), origin: origin.clone() }.into();
        self.documents.push(Document { origin, resource });
    }

    /// Reports a name that the API server refuses; true if there is none.
    fn has_good_name(&mut self, kind: Kind, id: &ResourceId, piece: &Piece, tree: &Tree) -> bool {
        let mut good = true;
        let names = [("metadata.name", &id.name), ("metadata.namespace", &id.namespace)];
        let placeholders = names.map(|(path, name)| placeholder::find(name).map(|found| (path, found)));
        if kind.is_istio() && placeholders.iter().any(Option::is_some) {
            // Read leniently the object is kept, and its placeholders are reported with it.
            if self.options.strict {
                for (path, found) in placeholders.into_iter().flatten() {
                    let message = format!("the placeholder `{found}` was never filled in");
                    let finding = Diagnostic::error(Code::PLACEHOLDER, message).path(path).help(placeholder::HELP);
                    self.report.push(piece.about(finding.resource(id.clone())));
                }
                self.report_placeholders(id, piece, tree);
            }
            return !self.options.strict;
        }
        let name = name::check_name(&id.name).map_err(|why| ("metadata.name", why));
        let namespace = name::check_namespace(&id.namespace).map_err(|why| ("metadata.namespace", why));
        for (path, why) in [name, namespace].into_iter().filter_map(Result::err).filter(|_| kind.is_istio()) {
            let value = FieldPath::from(path);
            let severity = if self.options.strict { Severity::Error } else { Severity::Warning };
            let finding = Diagnostic::new(Code::INVALID_NAME, severity, why).effect("no API server takes the object");
            self.report.push(piece.about(finding.path(value).resource(id.clone())));
            good = severity != Severity::Error;
        }
        good
    }

    /// Gives an object its namespace.
    fn settle(&self, kind: Kind, meta: Option<ObjectMeta>) -> ObjectMeta {
        let mut meta = meta.unwrap_or_default();
        match kind {
            kind if kind.is_cluster_wide() => meta.namespace.clear(),
            _ if meta.namespace.is_empty() => meta.namespace.clone_from(&self.options.default_namespace),
            _ => {}
        }
        meta
    }

    fn report_placeholders(&mut self, id: &ResourceId, piece: &Piece, tree: &Tree) {
        for (path, node) in tree.scalars().filter(|(path, _)| !placeholder::is_exempt(path)) {
            let Some(found) = tree.scalar(node).and_then(placeholder::find) else { continue };
            let place = (tree.node(node).line, tree.node(node).column);
            // These are errors, reported with the names.
            let is_name = path.is_within(&FieldPath::from("metadata.name"))
                || path.is_within(&FieldPath::from("metadata.namespace"));
            if is_name && self.options.strict && id.kind.is_istio() {
                continue;
            }
            let finding =
                Diagnostic::warning(Code::PLACEHOLDER, format!("the placeholder `{found}` was never filled in"))
                    .path(path)
                    .help(placeholder::HELP)
                    .resource(id.clone());
            self.report.push(piece.about_place(finding, Some(place)));
        }
    }

    /// Reports an object that does not fit its struct. Whose it is is read from its metadata unless it is told.
    pub(super) fn report_failures<T: DeserializeOwned>(
        &mut self,
        kind: Kind,
        id: Option<ResourceId>,
        piece: &Piece,
        tree: &Tree,
        failures: Failures,
    ) {
        let id = id.or_else(|| self.identify(kind, tree));
        let found = failures.failures.into_iter().map(|failure| {
            let mut finding = failure_finding::<T>(piece, tree, failure);
            finding.resource.clone_from(&id);
            if kind == Kind::Secret {
                "a value does not fit its field; it is not shown".clone_into(&mut finding.message);
                finding = finding.advise(None);
                finding.origin = finding.origin.without_source();
            }
            finding
        });
        let found = self.objections(kind, piece, tree, id.as_ref(), found.collect());
        let found = misplaced::without_consequences::<T>(found, &failures.unknown);
        self.report.extend(found);
        if let Some(id) = id {
            self.report_unknown::<T>(kind, &id, piece, &failures.unknown);
        }
    }

    /// Whose document it is, as far as its metadata says.
    pub(super) fn identify(&self, kind: Kind, tree: &Tree) -> Option<ResourceId> {
        let text = |path: &str| tree.at(&FieldPath::from(path)).and_then(|id| tree.scalar(id)).unwrap_or_default();
        let meta = ObjectMeta::new(text("metadata.namespace"), text("metadata.name"));
        let meta = self.settle(kind, Some(meta));
        tree.root().map(|_| ResourceId::new(kind, meta.namespace, meta.name))
    }

    /// Reports fields that the struct does not have; true if the object can be used all the same.
    pub(super) fn report_unknown<T: DeserializeOwned>(
        &mut self,
        kind: Kind,
        id: &ResourceId,
        piece: &Piece,
        unknown: &[FieldPath],
    ) -> bool {
        let severity = |path: &FieldPath| match kind {
            Kind::MeshConfig => Some(Severity::Warning),
            // Of Kubernetes' own kinds only a part is declared.
            kind if !kind.is_istio() => None,
            _ => self.unknown_severity(path),
        };
        let all: Vec<_> = unknown.iter().filter_map(|path| Some((path, severity(path)?))).collect();
        let found = unknown_fields::<T>(&all).map(|finding| piece.about(finding.resource(id.clone())));
        self.report.extend(found);
        all.iter().all(|(_, severity)| *severity != Severity::Error)
    }

    /// How bad a field is that a kind of Istio's does not have; none where the field is the API server's own.
    pub(super) fn unknown_severity(&self, path: &FieldPath) -> Option<Severity> {
        let names: Vec<_> = path.segments().iter().filter_map(|segment| segment.name()).collect();
        match names.as_slice() {
            ["status", ..] => None,
            ["metadata", name, ..] if meta::OTHER_FIELDS.contains(name) => None,
            // The API server drops these; istiod reads its own configuration leniently.
            ["metadata", ..] => Some(Severity::Warning),
            _ if self.options.strict => Some(Severity::Error),
            _ => Some(Severity::Warning),
        }
    }
}

/// How many unknown fields of a document have a finding of their own: to find out where each belongs takes time, and nobody
/// reads so many.
pub(super) const MOST_UNKNOWN: usize = 200;

/// The findings about unknown fields; the last one says how many more there are.
pub(super) fn unknown_fields<T: DeserializeOwned>(all: &[(&FieldPath, Severity)]) -> impl Iterator<Item = Diagnostic> {
    let (shown, rest) = all.split_at(all.len().min(MOST_UNKNOWN));
    let last = rest.first().map(|(path, _)| {
        let severity = rest.iter().map(|(_, severity)| *severity).max().unwrap_or(Severity::Warning);
        let fields = if rest.len() == 1 { "field" } else { "fields" };
        let message = format!("{} more unknown {fields} from here on", rest.len());
        Diagnostic::new(Code::UNKNOWN_FIELD, severity, message).path((*path).clone()).at_key()
    });
    shown.iter().map(|(path, severity)| unknown_field::<T>(path, *severity)).chain(last)
}

fn unknown_field<T: DeserializeOwned>(path: &FieldPath, severity: Severity) -> Diagnostic {
    let name = path.segments().last().and_then(|segment| segment.name()).unwrap_or_default();
    let message = format!("unknown field {:?}", shorten(name));
    Diagnostic::new(Code::UNKNOWN_FIELD, severity, message).path(path.clone()).at_key().advise(advise::<T>(path, name))
}

/// The finding about a value that does not fit its field.
pub(super) fn failure_finding<T: DeserializeOwned>(piece: &Piece, tree: &Tree, failure: Failure) -> Diagnostic {
    let place = failure.place.or_else(|| tree.find(&failure.path, Target::Value));
    let mut finding = Diagnostic::error(failure.code, failure.message).path(failure.path.clone());
    finding = match lacks_unit(&failure.path, &finding.message) {
        Some(number) => {
            let help = format!("a duration has a unit, as in {number}s");
            finding.help(help)
        }
        None => {
            let of_shape = || shape::advise::<T>(tree, &failure.path, &finding.message).map(Advice::Words);
            let help = failure.help.or_else(of_shape);
            finding.advise(help)
        }
    };
    if finding.message.starts_with("expected ")
        && !finding.message.contains(", found ")
        && let Some(found) = shape::describe(tree, &failure.path)
    {
        finding.message.push_str(", found ");
        finding.message.push_str(&found);
    }
    piece.about_place(mind_placeholder(finding, piece.text(), place), place)
}

/// What to do about an unknown field: the nearest name there, or where a field of that name belongs.
fn advise<T: DeserializeOwned>(path: &FieldPath, name: &str) -> Option<Advice> {
    if name.starts_with('$') {
        let words = "this looks like a patch of Kustomize; load what Kustomize makes of it";
        return Some(Advice::Words(words.to_owned()));
    }
    let name = &*camel_case(name);
    let Some(Expected::Struct(fields)) = probe::expected::<T>(&path.parent()) else {
        return misplaced::far::<T>(path, name);
    };
    if let Some(near) = nearest(name, fields.iter().copied()) {
        return Some(Advice::Name(near.to_owned()));
    }
    misplaced::usual::<T>(path, name, &fields)
        .or_else(|| misplaced::just_below::<T>(path, name, &fields))
        .or_else(|| misplaced::far::<T>(path, name))
}

/// The bare number that stands where a duration should.
fn lacks_unit<'m>(path: &FieldPath, message: &'m str) -> Option<&'m str> {
    const ENDINGS: &[&str] = &["timeout", "interval", "delay", "duration", "time", "ttl", "maxage", "backoff", "secs"];
    let name = path.segments().last()?.name()?.to_lowercase();
    let number = message.strip_suffix("` is a number in YAML, and a string is needed here")?.strip_prefix('`')?;
    ENDINGS.iter().any(|ending| name.ends_with(ending)).then_some(number)
}

/// Turns a finding into one about a placeholder if its line holds one.
pub(super) fn mind_placeholder(mut finding: Diagnostic, text: &str, place: Option<(u32, u32)>) -> Diagnostic {
    let line = place.and_then(|(line, _)| text.lines().nth(line.saturating_sub(1) as usize)).unwrap_or_default();
    let line = line.split(" #").next().unwrap_or_default();
    if let Some(found) = placeholder::find(line) {
        finding.message = format!("the placeholder `{found}` was never filled in ({})", finding.message);
        finding.code = Code::PLACEHOLDER;
        finding = finding.help(placeholder::HELP);
    }
    finding
}
