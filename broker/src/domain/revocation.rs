//! Rules that reduce authority: revoke, block, lift. Append-only; a rule hits what was born at or before it (design §5).

use super::{
    ApprovalId, Authority, Canonical, ConnectionId, ProviderId, RealmId, Subject, TenantId, Timestamp,
    WorkloadId,
};
use std::collections::HashMap;

/// What a rule names.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Target {
    /// One person.
    Subject(Subject),
    /// Everyone in a tenant.
    Tenant(TenantId),
    /// Everyone an issuer vouches for (`iss`, byte for byte).
    Issuer(String),
    /// An MCP server.
    Workload(WorkloadId),
    /// A downstream system.
    Provider(ProviderId),
    /// One connection.
    Connection(ConnectionId),
    /// One approval.
    Approval(ApprovalId),
}

impl Target {
    /// As stored: which kind of thing is named.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Subject(_) => "subject",
            Self::Tenant(_) => "tenant",
            Self::Issuer(_) => "issuer",
            Self::Workload(_) => "workload",
            Self::Provider(_) => "provider",
            Self::Connection(_) => "connection",
            Self::Approval(_) => "approval",
        }
    }

    /// As stored: the thing's name; for a person the subject claim.
    pub fn name(&self) -> &str {
        match self {
            Self::Subject(s) => &s.id,
            Self::Tenant(t) => t.as_str(),
            Self::Issuer(i) => i,
            Self::Workload(w) => w.as_str(),
            Self::Provider(p) => p.as_str(),
            Self::Connection(c) => c.as_str(),
            Self::Approval(a) => a.as_str(),
        }
    }

    /// As stored: tenant and realm of a person, else empty.
    pub fn place(&self) -> (&str, &str) {
        match self {
            Self::Subject(s) => (s.tenant.as_str(), s.realm.as_str()),
            _ => ("", ""),
        }
    }

    /// Reads the stored columns; `None` when they are not a target.
    pub fn from_stored(kind: &str, name: &str, tenant: &str, realm: &str) -> Option<Self> {
        Some(match kind {
            "subject" => Self::Subject(Subject {
                tenant: TenantId::parse(tenant).ok()?,
                realm: RealmId::parse(realm).ok()?,
                id: name.to_owned(),
            }),
            "tenant" => Self::Tenant(TenantId::parse(name).ok()?),
            "issuer" => Self::Issuer(name.to_owned()),
            "workload" => Self::Workload(WorkloadId::parse(name).ok()?),
            "provider" => Self::Provider(ProviderId::parse(name).ok()?),
            "connection" => Self::Connection(ConnectionId::parse(name).ok()?),
            "approval" => Self::Approval(ApprovalId::parse(name).ok()?),
            _ => return None,
        })
    }
}

/// What a rule does.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RuleKind {
    /// Ends what exists up to now; making it anew is allowed.
    Revoke,
    /// Stops someone or something until lifted.
    Block,
    /// Ends a block.
    Lift,
}

impl RuleKind {
    /// As stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Revoke => "revoke",
            Self::Block => "block",
            Self::Lift => "lift",
        }
    }

    /// Reads what [`Self::as_str`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Revoke, Self::Block, Self::Lift].into_iter().find(|k| k.as_str() == text)
    }
}

/// One row of `revocations`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rule {
    /// Contiguous, from 1.
    pub epoch: i64,
    /// What it does.
    pub kind: RuleKind,
    /// What it names.
    pub target: Target,
    /// When, UTC.
    pub at: Timestamp,
}

impl Authority for Rule {
    const TABLE: &'static str = "revocations";

    fn covered(&self, to: &mut Canonical) {
        let (tenant, realm) = self.target.place();
        to.number(self.epoch)
            .text(self.kind.as_str())
            .text(self.target.kind())
            .text(self.target.name())
            .text(tenant)
            .text(realm)
            .number(self.at.micros());
    }
}

/// The names something relies on. Missing names are hit by nothing.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Names {
    /// The tenant.
    pub tenant: Option<TenantId>,
    /// The person.
    pub subject: Option<Subject>,
    /// Who vouched for the person (`iss`).
    pub issuer: Option<String>,
    /// The MCP server.
    pub workload: Option<WorkloadId>,
    /// The downstream system.
    pub provider: Option<ProviderId>,
    /// The connection.
    pub connection: Option<ConnectionId>,
    /// The approval.
    pub approval: Option<ApprovalId>,
}

impl Names {
    /// Whether `target` is one of these names.
    pub fn include(&self, target: &Target) -> bool {
        match target {
            Target::Subject(s) => self.subject.as_ref() == Some(s),
            Target::Tenant(t) => self.tenant.as_ref() == Some(t),
            Target::Issuer(i) => self.issuer.as_ref() == Some(i),
            Target::Workload(w) => self.workload.as_ref() == Some(w),
            Target::Provider(p) => self.provider.as_ref() == Some(p),
            Target::Connection(c) => self.connection.as_ref() == Some(c),
            Target::Approval(a) => self.approval.as_ref() == Some(a),
        }
    }

    fn targets(&self) -> Vec<Target> {
        let mut targets = Vec::with_capacity(7);
        targets.extend(self.tenant.clone().map(Target::Tenant));
        targets.extend(self.subject.clone().map(Target::Subject));
        targets.extend(self.issuer.clone().map(Target::Issuer));
        targets.extend(self.workload.clone().map(Target::Workload));
        targets.extend(self.provider.clone().map(Target::Provider));
        targets.extend(self.connection.clone().map(Target::Connection));
        targets.extend(self.approval.clone().map(Target::Approval));
        targets
    }
}

/// All rules up to an epoch, as a replica holds them in memory: the latest revoke per target and the standing blocks.
#[derive(Clone, Default, Debug)]
pub struct Rules {
    epoch: i64,
    revoked: HashMap<Target, Rule>,
    blocked: HashMap<Target, Rule>,
}

impl Rules {
    /// The newest epoch applied.
    pub fn epoch(&self) -> i64 {
        self.epoch
    }

    /// Applies rules newer than [`Self::epoch`], in order; older ones are passed over.
    pub fn apply(&mut self, rules: &[Rule]) {
        for rule in rules.iter().filter(|r| r.epoch > self.epoch) {
            match rule.kind {
                RuleKind::Revoke => {
                    self.revoked.insert(rule.target.clone(), rule.clone());
                }
                RuleKind::Block => {
                    self.blocked.insert(rule.target.clone(), rule.clone());
                }
                RuleKind::Lift => {
                    self.blocked.remove(&rule.target);
                }
            }
        }
        self.epoch = rules.iter().map(|r| r.epoch).fold(self.epoch, i64::max);
    }

    /// A standing block on one of `names`, whenever it was set.
    pub fn block_on(&self, names: &Names) -> Option<&Rule> {
        names.targets().iter().find_map(|t| self.blocked.get(t))
    }

    /// Whether exactly `target` is blocked.
    pub fn blocks(&self, target: &Target) -> bool {
        self.blocked.contains_key(target)
    }

    /// A revoke of one of `names` that is newer than `born_epoch`.
    pub fn revoke_on(&self, names: &Names, born_epoch: i64) -> Option<&Rule> {
        names.targets().iter().find_map(|t| self.revoked.get(t).filter(|r| r.epoch > born_epoch))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(epoch: i64, kind: RuleKind, target: Target) -> Rule {
        Rule { epoch, kind, target, at: Timestamp::from_micros(0) }
    }

    #[test]
    fn a_revoke_hits_what_was_born_before_it_and_a_block_hits_until_lifted() {
        let workload = WorkloadId::parse("notes").unwrap();
        let target = Target::Workload(workload.clone());
        let names = Names { workload: Some(workload), ..Names::default() };
        let mut rules = Rules::default();
        rules.apply(&[rule(1, RuleKind::Revoke, target.clone())]);
        assert!(rules.revoke_on(&names, 0).is_some());
        assert!(rules.revoke_on(&names, 1).is_none(), "made anew after the revoke");
        rules.apply(&[rule(2, RuleKind::Block, target.clone())]);
        assert!(rules.block_on(&names).is_some());
        rules.apply(&[rule(3, RuleKind::Lift, target)]);
        assert!(rules.block_on(&names).is_none());
        assert_eq!(rules.epoch(), 3);
    }

    #[test]
    fn absent_names_are_hit_by_nothing() {
        let mut rules = Rules::default();
        rules.apply(&[rule(1, RuleKind::Block, Target::Issuer(String::new()))]);
        assert!(rules.block_on(&Names::default()).is_none());
    }
}
