//! Who may change what is registered with this node's agent: the rules about services for services and their checks, those
//! about nodes for the node's own checks.

use std::sync::Arc;

use proconsul_anchors::acl::{Act, Authority, Denial};
use proconsul_anchors::agent::LeafCheck;
use proconsul_anchors::caller::Caller;
use proconsul_anchors::change::{Change, Registration, Removal};
use proconsul_anchors::node::NodeError;
use proconsul_anchors::node::definition::{CheckDefinition, ServiceDefinition};
use proconsul_anchors::outcome::Outcome;
use proconsul_anchors::service::{Check, Checked, Service};

use crate::extract::Ask;
use crate::reject::Reject;

/// The kind of service that stands before another.
const SIDECAR: &str = "connect-proxy";

impl Ask {
    /// Refuses a caller who may not read this agent's own pages.
    pub(crate) fn demand_agent_read(&self) -> Result<(), Reject> {
        self.demand(Act::agent_read(&self.site.settings.identity.node))
    }

    /// Refuses a caller who may not move this agent.
    pub(crate) fn demand_agent_write(&self) -> Result<(), Reject> {
        self.demand(Act::agent_write(&self.site.settings.identity.node))
    }

    /// Refuses a caller who may not write this node.
    pub(crate) fn demand_node_write(&self) -> Result<(), Reject> {
        self.demand(Act::node_write(&self.site.settings.identity.node))
    }

    /// Refuses the registration of a service, and of the sidecar that comes with it: the latter may bring a token of its own.
    /// A faulty definition is refused as such.
    pub(crate) fn vet_service(&self, definition: &ServiceDefinition) -> Result<(), Reject> {
        if !self.site.handle.acl().enabled {
            return Ok(());
        }
        definition.validate().map_err(NodeError::from)?;
        let (authority, service) = (self.authority()?, &definition.service);
        self.vet_one(&authority, service.id.as_str(), service)?;
        let Some(sidecar) = definition.sidecar.as_deref() else { return Ok(()) };
        let authority = match &sidecar.token {
            None => authority,
            Some(token) => {
                let caller = Caller { token: Some(token.clone()), ..self.caller.clone() };
                self.site.handle.authority(&caller)?
            }
        };
        let (name, id) = (service.name.as_str(), or(service.id.as_str(), service.name.as_str()));
        let own = sidecar.service.name.as_str();
        let (own_name, own_id) = (or(own, &beside(name)).to_owned(), beside(id));
        authority.demand(Act::service_write(&own_name))?;
        self.vet_there(&authority, &own_id)?;
        Ok(authority.demand(Act::service_write(name))?)
    }

    fn vet_one(&self, authority: &Authority, id: &str, service: &Service) -> Result<(), Denial> {
        let name = service.name.as_str();
        authority.demand(Act::service_write(name))?;
        self.vet_there(authority, or(id, name))?;
        if service.kind() == SIDECAR {
            let of = service.mesh().map_or("", |mesh| &mesh.proxy.destination_service_name);
            authority.demand(Act::service_write(of))?;
        }
        Ok(())
    }

    /// Asks the scopes for the registration of a service before it is kept here.
    pub(crate) async fn ask_scopes(
        &self,
        definition: &ServiceDefinition,
    ) -> Result<Outcome, Reject> {
        if !self.is_governed() {
            return Ok(Outcome::Resolve);
        }
        definition.validate().map_err(NodeError::from)?;
        let mut service = definition.service.clone();
        if service.id.is_empty() {
            service.id = service.name.clone();
        }
        let registration = Registration { service: Some(service), ..self.own_registration() };
        self.would_admit(Change::Register(Box::new(registration))).await
    }

    /// Asks the scopes for a write to the checks of a service that is registered here.
    pub(crate) async fn ask_scopes_of_check(&self, service: &str) -> Result<(), Reject> {
        if !self.is_governed() || service.is_empty() {
            return Ok(());
        }
        let checked = Checked { id: service.into(), ..Checked::default() };
        let check = Check { service: Some(checked), ..Check::default() };
        let registration = Registration { checks: vec![check], ..self.own_registration() };
        self.would_admit(Change::Register(Box::new(registration))).await.map(drop)
    }

    /// Asks the scopes for the end of a service's registration.
    pub(crate) async fn ask_scopes_of_removal(&self, id: &str) -> Result<(), Reject> {
        if !self.is_governed() {
            return Ok(());
        }
        let node = self.site.agent.settings().node.name;
        let removal = Removal::Service { node, id: id.into() };
        self.would_admit(Change::Deregister(removal)).await.map(drop)
    }

    /// Whether there is any scope that could object.
    pub(crate) fn is_governed(&self) -> bool {
        self.site.handle.snapshot().scopes().is_some()
    }

    fn own_registration(&self) -> Registration {
        let node = self.site.agent.settings().node;
        Registration { node, skip_node_update: true, ..Registration::default() }
    }

    async fn would_admit(&self, change: Change) -> Result<Outcome, Reject> {
        let ruling = self.site.handle.would_admit(&self.caller, change).await?;
        Ok(ruling.outcome)
    }

    /// Refuses a change of the service that has this id; one that is not there is nobody's.
    pub(crate) fn vet_service_id(&self, id: &str) -> Result<(), Reject> {
        Ok(self.vet_there(&self.authority()?, id)?)
    }

    fn vet_there(&self, authority: &Authority, id: &str) -> Result<(), Denial> {
        match self.site.agent.service(id) {
            Some(entry) => authority.demand(Act::service_write(entry.service.name.as_str())),
            None => Ok(()),
        }
    }

    /// Refuses the registration of a check. One of a service that is not there is refused as such.
    pub(crate) fn vet_check(&self, definition: &CheckDefinition) -> Result<(), Reject> {
        if definition.name.is_empty() {
            return Err(NodeError::NoCheckName.into());
        }
        let authority = self.authority()?;
        let service = self.site.agent.service(&definition.service_id);
        match &service {
            Some(entry) => authority.demand(Act::service_write(entry.service.name.as_str()))?,
            None if definition.service_id.is_empty() => {
                authority.demand(Act::node_write(&self.site.settings.identity.node))?;
            }
            None => {}
        }
        self.vet_check_there(&authority, or(&definition.id, &definition.name))
    }

    /// Refuses a change of the check that has this id; one that is not there is nobody's.
    pub(crate) fn vet_check_id(&self, id: &str) -> Result<(), Reject> {
        self.vet_check_there(&self.authority()?, id)
    }

    fn vet_check_there(&self, authority: &Authority, id: &str) -> Result<(), Reject> {
        let Some(entry): Option<Arc<LeafCheck>> = self.site.agent.check(id) else { return Ok(()) };
        Ok(authority.demand(match service_of(&entry.check) {
            "" => Act::node_write(&self.site.settings.identity.node),
            name => Act::service_write(name),
        })?)
    }
}

/// The name of the service that a check is of; empty for the node's.
pub(crate) fn service_of(check: &Check) -> &str {
    check.service.as_ref().map_or("", |checked| checked.name.as_str())
}

fn or<'a>(text: &'a str, otherwise: &'a str) -> &'a str {
    if text.is_empty() { otherwise } else { text }
}

/// What a sidecar is called when nobody calls it otherwise.
fn beside(name: &str) -> String {
    format!("{name}-sidecar-proxy")
}
