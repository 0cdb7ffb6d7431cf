//! What to check: files, directories, patterns, standard input.

use std::collections::HashSet;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};

use clap::Args;
use mesh_config::dir::{is_config_file, list_files, read_text};
use mesh_config::document::{Outline, outline};
use mesh_config::{Code, Diagnostic, Document, Origin, ParseOptions, Report, parse_with};

use super::progress::Progress;

/// The files, and how they are read.
#[derive(Debug, Args)]
pub(crate) struct Input {
    /// Files, directories (their *.yaml, *.yml and *.json), patterns such as 'mesh/**/*.yaml', or - for standard input
    #[arg(required = true, value_name = "FILES|DIR|GLOB|-")]
    inputs: Vec<String>,

    /// The namespace of objects that name none
    #[arg(short, long, value_name = "NAME", default_value = "default")]
    namespace: String,

    /// The namespace whose objects apply to the whole mesh [default: what a MeshConfig says, else istio-system]
    #[arg(long, value_name = "NAME")]
    pub(crate) root_namespace: Option<String>,

    /// An unknown field is an error, as for the API server (the default)
    #[arg(long, conflicts_with = "lenient")]
    strict: bool,

    /// An unknown field is a warning
    #[arg(long)]
    lenient: bool,
}

/// What was read.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    pub(crate) documents: Vec<Document>,
    pub(crate) report: Report,
    /// Every document, whether or not it could be read; only if that was asked for.
    pub(crate) outlines: Vec<Outline>,
    /// How many documents there are.
    pub(crate) count: usize,
    pub(crate) files: usize,
    /// What was asked for and could not be had.
    pub(crate) problems: Vec<String>,
}

enum Item {
    StandardInput,
    File(PathBuf),
}

/// The name of standard input in findings.
const STANDARD_INPUT: &str = "stdin";

impl Input {
    /// These files, read as the mesh reads them.
    pub(crate) fn of(inputs: &[String], namespace: &str) -> Self {
        Self {
            inputs: inputs.to_vec(),
            namespace: namespace.to_owned(),
            root_namespace: None,
            strict: true,
            lenient: false,
        }
    }

    /// Reads everything. What is wrong with a file is a finding; that a name stands for nothing is a problem.
    pub(crate) fn load(&self, outlines: bool) -> Result<Loaded, String> {
        let mut loaded = Loaded::default();
        let items = self.items(&mut loaded);
        if items.is_empty() {
            return Err(loaded.problems.join("\n"));
        }
        let mut options = ParseOptions::default().default_namespace(self.namespace.clone());
        options.strict = !self.lenient;
        let mut progress = Progress::new(items.len());
        for item in items {
            loaded.read(&item, &options, outlines);
            progress.step();
        }
        drop(progress);
        Ok(loaded)
    }

    fn items(&self, loaded: &mut Loaded) -> Vec<Item> {
        let mut items = Vec::new();
        let mut seen = HashSet::new();
        for input in &self.inputs {
            let found = match input.as_str() {
                "-" => Ok(vec![Item::StandardInput]),
                _ => files(input, &mut loaded.report).map(|files| files.into_iter().map(Item::File).collect()),
            };
            match found {
                // A file that is named twice is one file.
                Ok(found) => items.extend(found.into_iter().filter(|item| seen.insert(item.key()))),
                Err(problem) => loaded.problems.push(format!("{input}: {problem}")),
            }
        }
        items
    }
}

impl Item {
    fn key(&self) -> PathBuf {
        match self {
            Self::StandardInput => PathBuf::from("-"),
            // A file may be reached by several names, and through links even by endlessly many.
            Self::File(path) => std::fs::canonicalize(path).unwrap_or_else(|_| path.clone()),
        }
    }
}

impl Loaded {
    fn read(&mut self, item: &Item, options: &ParseOptions, outlines: bool) {
        let (name, text) = match item {
            Item::StandardInput => (STANDARD_INPUT.to_owned(), read_standard_input(options)),
            Item::File(path) => (path.to_string_lossy().into_owned(), read_named(path, options)),
        };
        self.files += 1;
        match text {
            Ok(text) => {
                let (documents, report) = parse_with(&name, &text, options);
                self.count += count(&documents, &report);
                self.documents.extend(documents);
                self.report.extend(report);
                if outlines {
                    self.outlines.extend(outline(&name, &text, options));
                }
            }
            Err(finding) => self.report.push(*finding),
        }
    }
}

/// How many documents a file has: each came out as an object or as a finding.
fn count(documents: &[Document], report: &Report) -> usize {
    let bad = report.iter().map(|finding| &finding.origin).filter(|origin| origin.line > 0);
    let all = documents.iter().map(|document| &document.origin).chain(bad);
    all.map(|origin| origin.doc_index).collect::<HashSet<_>>().len()
}

/// The files that a name stands for.
pub(crate) fn files(input: &str, report: &mut Report) -> Result<Vec<PathBuf>, String> {
    let path = Path::new(input);
    let found = match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {
            let (files, problems) = list_files(path);
            report.extend(problems);
            files
        }
        Ok(_) => return Ok(vec![path.to_owned()]),
        Err(_) if input.contains(['*', '?', '[']) => matching(input)?,
        Err(error) => return Err(error.to_string()),
    };
    match found.is_empty() {
        true => Err("there is no *.yaml, *.yml or *.json".to_owned()),
        false => Ok(found),
    }
}

fn matching(pattern: &str) -> Result<Vec<PathBuf>, String> {
    let options = glob::MatchOptions { require_literal_leading_dot: true, ..glob::MatchOptions::default() };
    let paths = glob::glob_with(pattern, options).map_err(|error| error.to_string())?;
    // `mesh/*` means the configuration there, not the README beside it.
    let names_an_extension = pattern.rsplit('/').next().is_some_and(|name| name.contains('.'));
    let wanted = |path: &PathBuf| path.is_file() && (names_an_extension || is_config_file(path));
    Ok(paths.filter_map(Result::ok).filter(wanted).collect())
}

fn read_standard_input(options: &ParseOptions) -> Result<String, Box<Diagnostic>> {
    let input = io::stdin().lock();
    if input.is_terminal() {
        super::output::complain("reading from the terminal; Ctrl-D ends the input");
    }
    read_stream(STANDARD_INPUT, input, options)
}

/// Reads what was named. A pipe, which a shell gives for `<(helm template .)`, is read to its end.
fn read_named(path: &Path, options: &ParseOptions) -> Result<String, Box<Diagnostic>> {
    let is_stream = std::fs::metadata(path).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir());
    match std::fs::File::open(path) {
        Ok(file) if is_stream => read_stream(&path.to_string_lossy(), file, options),
        _ => read_text(path, options),
    }
}

fn read_stream(name: &str, input: impl Read, options: &ParseOptions) -> Result<String, Box<Diagnostic>> {
    let finding = |code, message: String| Box::new(Diagnostic::error(code, message).at(&Origin::new(name, 0, 0)));
    let most = options.limits.max_stream_bytes;
    let mut bytes = Vec::new();
    let read = input.take(most as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|error| finding(Code::UNREADABLE, format!("cannot be read: {error}")))?;
    if bytes.len() > most {
        return Err(finding(Code::LIMIT, format!("more than the {most} bytes that are read")));
    }
    String::from_utf8(bytes).map_err(|_| finding(Code::UNREADABLE, "the input is not UTF-8 text".to_owned()))
}
