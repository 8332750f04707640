//! Loading rules: everything that is wrong is found at once, and nothing half right is used (PO5).

use super::{
    SCHEMA,
    denial::DEFAULT_DENY,
    mentions::Mentions,
    outlook,
    problem::{PolicyProblem, PolicyProblems},
    rule::{self, Rule},
};
use crate::domain::{Canonical, sha256};
use cedar_policy::{Policy, PolicyId, Schema, ValidationMode, Validator, ffi::DetailedError};
use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
};

const BUILTIN: &str = include_str!("builtin.cedar");
/// Largest policy file, in bytes.
const LARGEST: u64 = 1024 * 1024;

/// One policy file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its name in messages.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// Rules that were checked and can decide.
#[derive(Clone)]
pub struct PolicySet {
    pub(super) cedar: cedar_policy::PolicySet,
    /// What the same rules might say to a question that is only partly known.
    pub(super) outlook: cedar_policy::PolicySet,
    pub(super) schema: Schema,
    pub(super) rules: HashMap<String, Rule>,
    pub(super) mentions: Mentions,
    pub(super) places: BTreeMap<String, Place>,
    version: Arc<str>,
    warnings: Vec<PolicyProblem>,
}

impl PolicySet {
    /// Checks `sources` and the built-in rules together.
    ///
    /// Every rule needs a unique `@id`; templates, unknown annotations and anything the schema does not allow are
    /// refused.
    ///
    /// # Errors
    /// [`PolicyProblems`]: all of them.
    pub fn load(sources: &[Source]) -> Result<Self, PolicyProblems> {
        let builtin = Source { name: "built-in rules".to_owned(), text: BUILTIN.to_owned() };
        let mut loading = Loading::default();
        loading.add(&builtin, true);
        for source in sources {
            loading.add(source, false);
        }
        loading.finish(version(sources))
    }

    /// Reads and checks files.
    ///
    /// # Errors
    /// [`PolicyProblems`], also when a file cannot be read, is larger than 1 MiB or is not UTF-8.
    pub fn load_files(files: &[PathBuf]) -> Result<Self, PolicyProblems> {
        let (mut sources, mut problems) = (Vec::new(), Vec::new());
        for file in files {
            match read(file) {
                Ok(source) => sources.push(source),
                Err(problem) => problems.push(problem),
            }
        }
        match Self::load(&sources) {
            Ok(set) if problems.is_empty() => Ok(set),
            Ok(_) => Err(PolicyProblems(problems)),
            Err(more) => Err(PolicyProblems(problems.into_iter().chain(more.0).collect())),
        }
    }

    /// Names this set: 16 hex digits of the SHA-256 of the schema and all sources.
    pub fn version(&self) -> &Arc<str> {
        &self.version
    }

    /// What is odd but not wrong, such as a rule that can never apply.
    pub fn warnings(&self) -> &[PolicyProblem] {
        &self.warnings
    }

    /// How many rules there are, built-in ones included.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there are no rules; never true, the built-in ones are always there.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
}

impl fmt::Debug for PolicySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PolicySet({}, {} rules)", self.version, self.rules.len())
    }
}

fn version(sources: &[Source]) -> String {
    let mut content = Canonical::new("broker policy set");
    content.text(SCHEMA).text(BUILTIN);
    for source in sources {
        content.text(&source.text);
    }
    data_encoding::HEXLOWER.encode(&sha256(content.finish())[..8])
}

fn read(file: &Path) -> Result<Source, PolicyProblem> {
    let name = file.display().to_string();
    let problem = |message: String| PolicyProblem { source: name.clone(), line: None, rule: None, message };
    let mut bytes = Vec::new();
    std::fs::File::open(file)
        .and_then(|opened| opened.take(LARGEST + 1).read_to_end(&mut bytes))
        .map_err(|error| problem(format!("cannot be read: {}", error.kind())))?;
    if bytes.len() as u64 > LARGEST {
        return Err(problem("is larger than 1 MiB".to_owned()));
    }
    let text = String::from_utf8(bytes).map_err(|_| problem("is not UTF-8".to_owned()))?;
    Ok(Source { name, text })
}

/// Where a rule stands.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) source: String,
    pub(super) line: Option<usize>,
}

#[derive(Default)]
struct Loading {
    policies: Vec<Policy>,
    rules: HashMap<String, Rule>,
    places: BTreeMap<String, Place>,
    texts: HashMap<String, String>,
    mentions: Mentions,
    problems: Vec<PolicyProblem>,
}

impl Loading {
    fn add(&mut self, source: &Source, builtin: bool) {
        self.texts.insert(source.name.clone(), source.text.clone());
        let parsed: cedar_policy::PolicySet = match source.text.parse() {
            Ok(parsed) => parsed,
            Err(errors) => {
                let errors: cedar_policy::ParseErrors = errors;
                for error in errors.iter() {
                    self.problem(source, &DetailedError::from(error), None);
                }
                return;
            }
        };
        for template in parsed.templates() {
            let place = Place {
                source: source.name.clone(),
                line: line_of(&source.text, template.as_ref().loc().map(|l| l.start())),
            };
            let rule = template.annotation("id").map(str::to_owned);
            self.at(&place, rule, "templates (?principal, ?resource) are not supported".to_owned());
        }
        for policy in parsed.policies() {
            let start = policy.as_ref().loc().map(|loc| loc.start());
            let place = Place { source: source.name.clone(), line: line_of(&source.text, start) };
            self.policy(policy, place, builtin);
        }
    }

    fn policy(&mut self, policy: &Policy, place: Place, builtin: bool) {
        let id = match policy.annotation("id") {
            None => return self.at(&place, None, "has no @id(\"…\")".to_owned()),
            Some(id) if !rule::is_id(id) => {
                let message = "@id is 1 to 64 letters, digits, '-', '_' and '.'".to_owned();
                return self.at(&place, None, message);
            }
            Some(id) => id.to_owned(),
        };
        if !builtin && (id == DEFAULT_DENY || id.starts_with(rule::BUILTIN_PREFIX)) {
            let message = format!(
                "ids beginning with \"{}\", and {DEFAULT_DENY}, are the broker's own",
                rule::BUILTIN_PREFIX
            );
            return self.at(&place, Some(id), message);
        }
        if let Some(first) = self.places.get(&id) {
            let line = first.line.map_or(String::new(), |line| format!(":{line}"));
            let message = format!("this @id is already used at {}{line}", first.source);
            return self.at(&place, Some(id), message);
        }
        match Rule::read(policy) {
            Ok(rule) => {
                self.rules.insert(id.clone(), rule);
            }
            Err(wrong) => wrong.into_iter().for_each(|message| self.at(&place, Some(id.clone()), message)),
        }
        self.mentions.add(policy);
        self.policies.push(policy.new_id(PolicyId::new(&id)));
        self.places.insert(id, place);
    }

    fn finish(mut self, version: String) -> Result<PolicySet, PolicyProblems> {
        let schema = match Schema::from_cedarschema_str(SCHEMA) {
            Ok((schema, _)) => schema,
            Err(error) => return Err(self.internal(format!("the schema is wrong: {error}"))),
        };
        let outlook = match outlook::of(&self.policies) {
            Ok(outlook) => outlook,
            Err(error) => return Err(self.internal(error)),
        };
        let cedar = match cedar_policy::PolicySet::from_policies(std::mem::take(&mut self.policies)) {
            Ok(cedar) => cedar,
            Err(error) => return Err(self.internal(error.to_string())),
        };
        let validation = Validator::new(schema.clone()).validate(&cedar, ValidationMode::Strict);
        for error in validation.validation_errors() {
            let found = self.located(error.policy_id(), &DetailedError::from(error));
            self.problems.push(found);
        }
        if !self.problems.is_empty() {
            return Err(PolicyProblems(self.problems));
        }
        let warnings = validation
            .validation_warnings()
            .map(|warning| self.located(warning.policy_id(), &DetailedError::from(warning)))
            .collect();
        let Self { rules, mentions, places, .. } = self;
        Ok(PolicySet { cedar, outlook, schema, rules, mentions, places, version: version.into(), warnings })
    }

    fn internal(mut self, message: String) -> PolicyProblems {
        self.problems.push(PolicyProblem { source: "policy".to_owned(), line: None, rule: None, message });
        PolicyProblems(self.problems)
    }

    /// A validator's finding about the rule `id`, at the line it names or else where the rule begins.
    fn located(&self, id: &PolicyId, error: &DetailedError) -> PolicyProblem {
        let rule: &str = id.as_ref();
        let place = self.places.get(rule);
        let source = place.map_or("policy", |place| place.source.as_str());
        let start = error.source_locations.first().map(|label| label.loc.start);
        let line =
            self.texts.get(source).and_then(|text| line_of(text, start)).or(place.and_then(|p| p.line));
        PolicyProblem {
            source: source.to_owned(),
            line,
            rule: Some(rule.to_owned()),
            message: sentence(error),
        }
    }

    fn problem(&mut self, source: &Source, error: &DetailedError, rule: Option<String>) {
        let start = error.source_locations.first().map(|label| label.loc.start);
        let place = Place { source: source.name.clone(), line: line_of(&source.text, start) };
        self.at(&place, rule, sentence(error));
    }

    fn at(&mut self, place: &Place, rule: Option<String>, message: String) {
        self.problems.push(PolicyProblem { source: place.source.clone(), line: place.line, rule, message });
    }
}

fn sentence(error: &DetailedError) -> String {
    match &error.help {
        Some(help) => format!("{} ({help})", error.message),
        None => error.message.clone(),
    }
}

/// The line of byte `start`, counted from 1.
fn line_of(text: &str, start: Option<usize>) -> Option<usize> {
    let before = text.as_bytes().get(..start?)?;
    Some(before.iter().filter(|b| **b == b'\n').count() + 1)
}
