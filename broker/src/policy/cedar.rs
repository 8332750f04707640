//! Questions in Cedar's terms: entities and requests.

use super::question::Question;
use crate::domain::{Connection, Consent, Owner, Scope, Subject, Timestamp, WorkloadId};
use cedar_policy::{
    Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, Request, RestrictedExpression, Schema,
};
use std::collections::{BTreeSet, HashMap, HashSet};

/// A question could not be put into Cedar's terms. Whatever it was, the answer is no.
#[derive(Debug, thiserror::Error)]
#[error("a question could not be put to the rules: {0}")]
pub(super) struct Unaskable(String);

fn unaskable<E: std::fmt::Display>(error: E) -> Unaskable {
    Unaskable(error.to_string())
}

fn uid(kind: &str, id: &str) -> Result<EntityUid, Unaskable> {
    let name: EntityTypeName = format!("Broker::{kind}").parse().map_err(unaskable)?;
    Ok(EntityUid::from_type_name_and_id(name, EntityId::new(id)))
}

fn entity(
    uid: &EntityUid,
    attributes: impl IntoIterator<Item = (&'static str, RestrictedExpression)>,
) -> Result<Entity, Unaskable> {
    let attributes: HashMap<_, _> = attributes.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
    Entity::new(uid.clone(), attributes, HashSet::new()).map_err(unaskable)
}

fn text(value: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(value.to_owned())
}

fn texts(values: &BTreeSet<String>) -> RestrictedExpression {
    RestrictedExpression::new_set(values.iter().map(|value| text(value)))
}

/// One principal, action, resource and context, with the entities they need.
pub(super) struct Asked {
    pub(super) request: Request,
    pub(super) entities: Entities,
}

fn ask(
    (principal, action, resource): (&EntityUid, &str, &EntityUid),
    context: Context,
    entities: Vec<Entity>,
    schema: &Schema,
) -> Result<Asked, Unaskable> {
    let entities = Entities::from_entities(entities, Some(schema)).map_err(unaskable)?;
    let action = uid("Action", action)?;
    let request = Request::new(principal.clone(), action, resource.clone(), context, Some(schema))
        .map_err(unaskable)?;
    Ok(Asked { request, entities })
}

fn person(
    subject: &Subject,
    issuer: &str,
    roles: &BTreeSet<String>,
) -> Result<(EntityUid, Entity), Unaskable> {
    // Tenant and realm are names without '/', so the id is unambiguous.
    let id = uid("Subject", &format!("{}/{}/{}", subject.tenant, subject.realm, subject.id))?;
    let attributes = [
        ("tenant", text(subject.tenant.as_str())),
        ("realm", text(subject.realm.as_str())),
        ("issuer", text(issuer)),
        ("roles", texts(roles)),
    ];
    let entity = entity(&id, attributes)?;
    Ok((id, entity))
}

fn workload(id: &WorkloadId, roles: &BTreeSet<String>) -> Result<(EntityUid, Entity), Unaskable> {
    let name = uid("Workload", id.as_str())?;
    let entity = entity(&name, [("name", text(id.as_str())), ("roles", texts(roles))])?;
    Ok((name, entity))
}

/// What is asked about a scope.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ScopeAction {
    /// May it be granted?
    Issue,
    /// May a token that carries it be handed out, though it is not granted (GR1)?
    HoldWider,
}

impl ScopeAction {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Issue => "issue",
            Self::HoldWider => "holdWider",
        }
    }
}

/// One scope of a question about a grant.
pub(super) fn about_scope(
    action: ScopeAction,
    question: &Question<'_>,
    scope: &Scope,
    schema: &Schema,
) -> Result<Asked, Unaskable> {
    let spec = question.provider.scope(scope).ok_or_else(|| Unaskable("unknown scope".to_owned()))?;
    let (principal, person) = person(question.subject, question.issuer, question.roles)?;
    let (asking, workload) = workload(question.workload, question.workload_roles)?;
    let resource = uid("Scope", &format!("{}/{scope}", question.provider.id))?;
    let target = entity(
        &resource,
        [
            ("provider", text(question.provider.id.as_str())),
            ("name", text(scope.as_str())),
            ("access", text(spec.access.as_str())),
            ("environment", text(question.provider.environment.as_str())),
        ],
    )?;
    let context = context(question, asking)?;
    ask((&principal, action.as_str(), &resource), context, vec![person, workload, target], schema)
}

fn context(question: &Question<'_>, workload: EntityUid) -> Result<Context, Unaskable> {
    let minute = Timestamp::from_unix_seconds(question.minute() * 60).rfc3339();
    let now = format!("{}Z", minute.split('.').next().unwrap_or_default());
    let mut pairs = vec![
        ("workload", RestrictedExpression::new_entity_uid(workload)),
        ("tool", text(question.tool)),
        ("purpose", text(question.purpose)),
        ("now", RestrictedExpression::new_datetime(now)),
    ];
    pairs.extend(question.client_id.map(|id| ("client_id", text(id))));
    pairs.extend(question.acr.map(|acr| ("acr", text(acr))));
    pairs.extend(
        question.requested_ttl_seconds().map(|ttl| ("requested_ttl", RestrictedExpression::new_long(ttl))),
    );
    pairs.extend(
        question.login_age_minutes().map(|age| ("login_age_minutes", RestrictedExpression::new_long(age))),
    );
    Context::from_pairs(pairs.into_iter().map(|(k, v)| (k.to_owned(), v))).map_err(unaskable)
}

/// Who calls a method for auditors or operators.
pub(super) enum Principal<'a> {
    Person { subject: &'a Subject, issuer: &'a str, roles: &'a BTreeSet<String> },
    Workload { id: &'a WorkloadId, roles: &'a BTreeSet<String> },
}

/// A call of a method for auditors or operators.
pub(super) fn call(caller: &Principal<'_>, action: &str, schema: &Schema) -> Result<Asked, Unaskable> {
    let (principal, who) = match caller {
        Principal::Person { subject, issuer, roles } => person(subject, issuer, roles)?,
        Principal::Workload { id, roles } => workload(id, roles)?,
    };
    let service = uid("Service", "broker")?;
    let entities = vec![who, Entity::with_uid(service.clone())];
    ask((&principal, action, &service), Context::empty(), entities, schema)
}

/// What the broker's own work is about.
#[derive(Clone, Copy)]
pub(super) enum Held<'a> {
    Connection(&'a Connection),
    Consent(&'a Consent),
}

impl Held<'_> {
    pub(super) fn id(&self) -> &str {
        match self {
            Self::Connection(connection) => connection.id.as_str(),
            Self::Consent(consent) => consent.id.as_str(),
        }
    }

    pub(super) fn provider(&self) -> &str {
        match self {
            Self::Connection(connection) => connection.provider.as_str(),
            Self::Consent(consent) => consent.provider.as_str(),
        }
    }

    pub(super) fn owner(&self) -> Owner {
        match self {
            Self::Connection(connection) => connection.owner.clone(),
            Self::Consent(consent) => Owner::Subject(consent.subject.clone()),
        }
    }
}

/// The broker's own work.
pub(super) fn work(action: &str, held: Held<'_>, schema: &Schema) -> Result<Asked, Unaskable> {
    let system = uid("System", "broker")?;
    let resource = uid("Connection", held.id())?;
    let owner = held.owner();
    let attributes = [
        ("tenant", text(owner.tenant().as_str())),
        ("provider", text(held.provider())),
        ("owner", text(owner.kind())),
    ];
    let entities = vec![Entity::with_uid(system.clone()), entity(&resource, attributes)?];
    ask((&system, action, &resource), Context::empty(), entities, schema)
}
