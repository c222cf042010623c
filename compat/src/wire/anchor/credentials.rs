//! Forms of `/v1/anchor/credentials`.

use std::sync::Arc;
use std::time::Duration;

use proconsul_anchors::clock::Time;
use proconsul_anchors::credential::trust::Known;
use proconsul_anchors::credential::{CredentialRecord, Role, Trust};
use proconsul_anchors::duration;
use proconsul_anchors::handle::Wish;
use proconsul_anchors::index::Row;
use proconsul_anchors::scope::{ScopePath, Scopes};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::go::time::{parse, show_time};
use crate::reject::AnchorFault;
use crate::wire::decode::form;

/// A credential that is asked for, or envelopes that were signed elsewhere.
#[derive(Debug, Default)]
pub(crate) struct CredentialForm {
    role: String,
    scope: String,
    subject: String,
    actions: Vec<String>,
    not_before: String,
    not_after: String,
    ttl: String,
    issuer: String,
    envelope: Option<EnvelopeForm>,
    envelopes: Vec<EnvelopeForm>,
}

form!(CredentialForm, "anchor.Credential", plain "Credential", refuse, {
    "Role" => role, "Scope" => scope, "Subject" => subject, "Actions" => actions,
    "NotBefore" => not_before, "NotAfter" => not_after, "TTL" => ttl, "Issuer" => issuer,
    "Envelope" => envelope, "Envelopes" => envelopes,
});

/// A DSSE envelope. What else it may hold is not looked at, as its specification has it.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EnvelopeForm {
    payload: String,
    payload_type: String,
    signatures: Vec<SignatureForm>,
}

form!(EnvelopeForm, "dsse.Envelope", plain "Envelope", ignore, {
    "payload" => payload, "payloadType" => payload_type, "signatures" => signatures,
});

/// A signature of an envelope.
#[derive(Debug, Default, Serialize)]
pub(crate) struct SignatureForm {
    keyid: String,
    sig: String,
}

form!(SignatureForm, "dsse.Signature", plain "Signature", ignore, {
    "keyid" => keyid, "sig" => sig,
});

/// How a credential is rotated.
#[derive(Debug, Default)]
pub(crate) struct RotateForm {
    subject: String,
    overlap: String,
}

form!(RotateForm, "anchor.Rotation", plain "Rotation", refuse, {
    "Subject" => subject, "Overlap" => overlap,
});

/// What a body asks for.
#[derive(Debug)]
pub(crate) enum Asked {
    /// One to be issued here.
    Issue(Box<Wish>),
    /// Some that were signed elsewhere, as JSON.
    Accept(Vec<Box<str>>),
}

/// How a credential stands now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    Valid,
    Early,
    Expired,
    Revoked,
    /// One of its issuers does not hold.
    Issuer,
    /// It is not to be believed at all.
    Invalid,
}

/// A credential, and what is thought of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct CredentialOut<'a> {
    #[serde(rename = "ID")]
    pub(crate) id: &'a str,
    pub(crate) role: Role,
    pub(crate) scope: &'a ScopePath,
    pub(crate) subject: &'a str,
    pub(crate) issuer: &'a str,
    actions: &'a [Box<str>],
    not_before: String,
    not_after: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked: Option<String>,
    pub(crate) state: State,
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: Box<str>,
    /// Itself and its issuers up to the root.
    chain: Vec<Box<str>>,
    envelope: &'a RawValue,
    create_index: u64,
    modify_index: u64,
}

/// Where is told what a credential admitted.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AdmittedOut<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    role: Role,
    subject: &'a str,
    scope: &'a ScopePath,
    /// Queries, one for each lineage in which it may have admitted something.
    lineages: Vec<String>,
}

// === impl AdmittedOut ===

impl<'a> AdmittedOut<'a> {
    pub(crate) fn new(known: &'a Known, scopes: Option<&Scopes>) -> Self {
        let under = scopes.into_iter().flat_map(|scopes| scopes.all_under(&known.scope));
        let mut paths: Vec<ScopePath> = under.map(|scope| scope.path.clone()).collect();
        paths.push(known.scope.clone());
        paths.sort();
        paths.dedup();
        let query = |path: &ScopePath| format!("/v1/anchor/lineage/{path}?credential={}", known.id);
        Self {
            id: &known.id,
            role: known.role,
            subject: &known.subject,
            scope: &known.scope,
            lineages: paths.iter().map(query).collect(),
        }
    }
}

// === impl CredentialForm ===

impl CredentialForm {
    /// What is asked for.
    ///
    /// # Errors
    /// [`AnchorFault::Field`].
    pub(crate) fn asked(self, now: Time) -> Result<Asked, AnchorFault> {
        let mut envelopes = self.envelopes;
        envelopes.extend(self.envelope);
        if !envelopes.is_empty() {
            let said = [&self.role, &self.scope, &self.subject, &self.issuer];
            if said.iter().any(|text| !text.is_empty()) {
                let why = "tells all of it: leave Role, Scope, Subject and Issuer away";
                return Err(AnchorFault::credential("Envelope", why));
            }
            let text = |form: &EnvelopeForm| {
                serde_json::to_string(form).expect("it has text keys only").into()
            };
            return Ok(Asked::Accept(envelopes.iter().map(text).collect()));
        }
        let not_before = moment("NotBefore", &self.not_before)?;
        Ok(Asked::Issue(Box::new(Wish {
            role: required("Role", &self.role)?
                .parse()
                .map_err(|error| AnchorFault::credential("Role", error))?,
            scope: ScopePath::parse(required("Scope", &self.scope)?)
                .map_err(|error| AnchorFault::credential("Scope", error))?,
            subject: required("Subject", &self.subject)?
                .parse()
                .map_err(|error| AnchorFault::credential("Subject", error))?,
            actions: self.actions.into_iter().map(Into::into).collect(),
            not_after: match (&*self.not_after, &*self.ttl) {
                (until, "") => moment("NotAfter", until)?,
                ("", ttl) => Some(not_before.unwrap_or(now) + lifetime("TTL", ttl)?),
                _ => return Err(AnchorFault::credential("TTL", "tells the same as NotAfter")),
            },
            not_before,
            issuer: Some(self.issuer).filter(|id| !id.is_empty()).map(Into::into),
        })))
    }
}

// === impl RotateForm ===

impl RotateForm {
    /// The new subject, if there is one, and how long the former credential still holds.
    ///
    /// # Errors
    /// [`AnchorFault::Field`].
    pub(crate) fn asked(
        &self,
    ) -> Result<(Option<proconsul_anchors::credential::statement::Subject>, Duration), AnchorFault>
    {
        let subject = match &*self.subject {
            "" => None,
            text => Some(text.parse().map_err(|e| AnchorFault::credential("Subject", e))?),
        };
        let overlap = match &*self.overlap {
            "" => Duration::ZERO,
            text => lifetime("Overlap", text)?,
        };
        Ok((subject, overlap))
    }
}

fn required<'a>(field: &'static str, text: &'a str) -> Result<&'a str, AnchorFault> {
    if text.is_empty() { Err(AnchorFault::credential(field, "is missing")) } else { Ok(text) }
}

fn moment(field: &'static str, text: &str) -> Result<Option<Time>, AnchorFault> {
    if text.is_empty() {
        return Ok(None);
    }
    let moment = parse(text).map_err(|error| AnchorFault::credential(field, error))?;
    let time = u64::try_from(moment);
    time.map(|time| Some(Time(time)))
        .map_err(|_| AnchorFault::credential(field, "is not between 1970 and 2554"))
}

fn lifetime(field: &'static str, text: &str) -> Result<Duration, AnchorFault> {
    let nanos = duration::parse(text).map_err(|error| AnchorFault::credential(field, error))?;
    match u64::try_from(nanos) {
        Ok(nanos) if nanos > 0 => Ok(Duration::from_nanos(nanos)),
        _ => Err(AnchorFault::credential(field, "must be above 0")),
    }
}

// === impl State ===

impl State {
    /// The state behind a rule by which a credential is refused.
    fn of(rule: &str) -> Self {
        match rule {
            "credential/early" => Self::Early,
            "credential/expired" => Self::Expired,
            "credential/revoked" => Self::Revoked,
            "credential/issuer" => Self::Issuer,
            _ => Self::Invalid,
        }
    }

    /// Its name, as a list is filtered by it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Early => "early",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Issuer => "issuer",
            Self::Invalid => "invalid",
        }
    }
}

// === impl CredentialOut ===

impl<'a> CredentialOut<'a> {
    pub(crate) fn new(row: &'a Arc<Row<CredentialRecord>>, trust: &Trust, now: Time) -> Self {
        let record = &row.record;
        let known = trust.credential(&record.id);
        let stands = known.map(|known| trust.stands(known, now));
        let (state, reason) = match stands {
            Some(Ok(())) => (State::Valid, Box::default()),
            Some(Err(uncovered)) => (State::of(uncovered.rule), uncovered.fault.to_string().into()),
            None => (State::Invalid, Box::default()),
        };
        Self {
            id: &record.id,
            role: record.role,
            scope: &record.scope,
            subject: &record.subject,
            issuer: &record.issuer,
            actions: &record.actions,
            not_before: show_time(record.not_before),
            not_after: show_time(record.not_after),
            revoked: record.revoked.map(show_time),
            state,
            reason,
            chain: known.map(|known| known.chain.clone()).unwrap_or_default(),
            envelope: serde_json::from_str(&record.envelope).unwrap_or(RawValue::NULL),
            create_index: row.created,
            modify_index: row.modified,
        }
    }
}
