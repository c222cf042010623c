//! What `/v1/session` reads and prints.

use proconsul_anchors::duration;
use proconsul_anchors::index::SessionRow;
use proconsul_anchors::service::{Behavior, ServiceCheck};
use serde::Serialize;

use crate::go::json::Json;
use crate::wire::decode::{CheckId, DecodeError, Ignored, Place, Read, form, read_text, whole};

/// The body of `PUT /v1/session/create`, over Consul's defaults.
#[derive(Debug)]
pub(crate) struct SessionForm {
    pub(crate) name: String,
    pub(crate) node: String,
    pub(crate) lock_delay: LockDelay,
    pub(crate) behavior: BehaviorText,
    pub(crate) ttl: String,
    pub(crate) node_checks: Option<Vec<String>>,
    pub(crate) service_checks: Option<Vec<ServiceCheckForm>>,
    pub(crate) checks: Option<Vec<CheckId>>,
    ignored: Ignored,
}

form!(SessionForm, "struct { LockDelay interface {}; *structs.Alias }", custom, ignore, {
    "Name" => name, "Node" => node, "Behavior" => behavior, "TTL" => ttl, "NodeChecks" => node_checks,
    "ServiceChecks" => service_checks, "Checks" => checks, "ID" => ignored, "CreateIndex" => ignored,
    "ModifyIndex" => ignored,
} own {
    "LockDelay" => lock_delay,
});

/// A check of a service that a session is bound to.
#[derive(Debug, Default)]
pub(crate) struct ServiceCheckForm {
    id: String,
    namespace: String,
}

form!(ServiceCheckForm, "structs.ServiceCheck", plain "ServiceCheck", ignore, { "ID" => id, "Namespace" => namespace });

/// What happens to held keys, as it was written.
#[derive(Debug, Default)]
pub(crate) struct BehaviorText(pub(crate) String);

impl Read for BehaviorText {
    fn go_type() -> std::borrow::Cow<'static, str> {
        "structs.SessionBehavior".into()
    }

    fn read(&mut self, value: &Json, place: &Place<'_>) -> Result<(), DecodeError> {
        read_text(&mut self.0, value, place, Self::go_type())
    }
}

/// Nanoseconds, as a Go duration or as a number, where a number below 1000 means seconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LockDelay(pub(crate) i64);

/// Numbers from here on are nanoseconds: nobody wants a lock delay of less than a microsecond.
const NANOS_MIN: i64 = 1000;

impl Read for LockDelay {
    fn go_type() -> std::borrow::Cow<'static, str> {
        "interface {}".into()
    }

    fn read(&mut self, value: &Json, place: &Place<'_>) -> Result<(), DecodeError> {
        const SECOND: i64 = 1_000_000_000;
        match value {
            Json::Text(text) => self.0 = duration::parse(text)?,
            Json::Number(text) => {
                let number = whole(text, place)?;
                self.0 = if number < NANOS_MIN { number.saturating_mul(SECOND) } else { number };
            }
            _ => {}
        }
        Ok(())
    }
}

impl From<ServiceCheckForm> for ServiceCheck {
    fn from(form: ServiceCheckForm) -> Self {
        Self { id: form.id.into(), namespace: form.namespace.into() }
    }
}

impl Default for SessionForm {
    fn default() -> Self {
        const SERF_HEALTH: &str = "serfHealth";
        Self {
            name: String::new(),
            node: String::new(),
            lock_delay: LockDelay(15_000_000_000),
            behavior: BehaviorText("release".to_owned()),
            ttl: String::new(),
            node_checks: Some(vec![SERF_HEALTH.to_owned()]),
            service_checks: None,
            checks: Some(vec![CheckId(SERF_HEALTH.to_owned())]),
            ignored: Ignored,
        }
    }
}

impl SessionForm {
    /// Two fields name the node's checks, an old one and a new one: whichever was emptied wins over the other's default.
    pub(crate) fn settle_checks(&mut self) {
        let is_default = |checks: &[CheckId]| matches!(checks, [only] if only.0 == "serfHealth");
        let given = self.checks.as_deref().unwrap_or_default();
        if given.is_empty() {
            self.node_checks = Some(Vec::new());
        } else if is_default(given) || self.node_checks.as_ref().is_none_or(Vec::is_empty) {
            self.checks = None;
        }
    }
}

/// A session.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct SessionOut<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    name: &'a str,
    node: &'a str,
    lock_delay: u64,
    behavior: &'static str,
    #[serde(rename = "TTL")]
    ttl: &'a str,
    node_checks: Option<&'a [Box<str>]>,
    service_checks: Option<Vec<ServiceCheckOut<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    checks: Option<&'a [Box<str>]>,
    create_index: u64,
    modify_index: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ServiceCheckOut<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    namespace: &'a str,
}

impl<'a> From<&'a SessionRow> for SessionOut<'a> {
    fn from(row: &'a SessionRow) -> Self {
        let session = &row.session;
        let service_check = |check: &'a ServiceCheck| ServiceCheckOut {
            id: &check.id,
            namespace: &check.namespace,
        };
        Self {
            id: &session.id,
            name: &session.name,
            node: session.node.as_str(),
            lock_delay: u64::try_from(session.lock_delay.as_nanos()).unwrap_or(u64::MAX),
            behavior: match session.behavior {
                Behavior::Release => "release",
                Behavior::Delete => "delete",
            },
            ttl: &session.ttl,
            node_checks: session.node_checks.as_deref(),
            service_checks: session
                .service_checks
                .as_deref()
                .map(|checks| checks.iter().map(service_check).collect()),
            checks: session.checks.as_deref().filter(|checks| !checks.is_empty()),
            create_index: row.created,
            modify_index: row.modified,
        }
    }
}

/// The answer to a creation.
#[derive(Serialize)]
pub(crate) struct CreatedOut<'a> {
    #[serde(rename = "ID")]
    pub(crate) id: &'a str,
}
