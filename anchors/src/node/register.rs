//! Registration: what comes in, with Consul's defaults, and what goes out with it.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use imbl::OrdMap;

use super::definition::CheckSpec;
use super::sidecar::{forget_extensions, name_upstreams, sidecar_id};
use super::{
    CheckDefinition, Existing, Leaf, LeafCheck, LeafService, Moved, NODE_MAINTENANCE, NodeError,
    SERVICE_MAINTENANCE_PREFIX, ServiceDefinition, Source,
};
use crate::caller::Secret;
use crate::clock::Time;
use crate::duration::show_wait;
use crate::service::{Check, Checked, Service, ServiceAddress, Status};

/// Where a registration comes from, and what was there before it: an id that comes twice in one keeps nothing of the
/// first.
struct Origin {
    before: OrdMap<Arc<str>, Arc<LeafCheck>>,
    token: Option<Secret>,
    source: Source,
    now: Time,
}

impl Leaf {
    /// Registers a service with its checks, or does it again: checks that are there already keep status and output.
    ///
    /// # Errors
    /// Nothing is changed when Consul would refuse any part of it.
    pub fn register_service(
        &mut self,
        mut definition: ServiceDefinition,
        existing: Existing,
        source: Source,
        now: Time,
    ) -> Result<Moved, NodeError> {
        name_upstreams(&mut definition);
        definition.validate()?;
        if definition.service.id.is_empty() {
            definition.service.id = definition.service.name.clone();
        }
        let sidecar = definition.sidecar.take();
        let sidecar = sidecar.map(|asked| self.sidecar_of(&definition.service, *asked));
        let sidecar = sidecar.transpose()?.map(|mut sidecar| {
            sidecar.token = sidecar.token.or_else(|| definition.token.clone());
            sidecar.way.clone_from(&definition.way);
            sidecar
        });
        self.admit_service(&definition, source)?;
        sidecar.iter().try_for_each(|sidecar| self.admit_service(sidecar, source))?;
        let mut moved = Moved::default();
        self.place_service(definition, (existing, source, now), false, &mut moved);
        if let Some(sidecar) = sidecar {
            self.place_service(sidecar, (existing, source, now), true, &mut moved);
        }
        self.follow_aliases(now, &mut moved);
        Ok(moved)
    }

    fn admit_service(
        &self,
        definition: &ServiceDefinition,
        source: Source,
    ) -> Result<(), NodeError> {
        validate_tagged_addresses(&definition.service)?;
        definition.checks.iter().try_for_each(|check| self.admit(check, source))
    }

    fn place_service(
        &mut self,
        definition: ServiceDefinition,
        (existing, source, now): (Existing, Source, Time),
        sidecar: bool,
        moved: &mut Moved,
    ) {
        let ServiceDefinition { mut service, checks, token, way, .. } = definition;
        fill_in(&mut service);
        let id: Arc<str> = service.id.as_str().into();
        let before: Vec<Arc<str>> = self.ids_of(&id).cloned().collect();
        let origin = Origin { before: self.checks.clone(), token: token.clone(), source, now };
        let named = self.place_checks(&service, checks, &origin, moved);
        moved.service(&id);
        self.services.insert(id, Arc::new(LeafService { service, token, way, source, sidecar }));
        if existing == Existing::Replace {
            for check in before.iter().filter(|check| !named.contains(*check)) {
                self.drop_check(check, moved);
            }
        }
    }

    /// Deregisters a service with its checks, and the sidecar that was registered with it.
    ///
    /// # Errors
    /// [`NodeError::UnknownService`].
    pub fn deregister_service(&mut self, id: &str, now: Time) -> Result<Moved, NodeError> {
        if !self.services.contains_key(id) {
            return Err(NodeError::UnknownService(id.into()));
        }
        let mut moved = Moved::default();
        self.drop_service(id, &mut moved);
        self.drop_sidecar(id, &mut moved);
        self.follow_aliases(now, &mut moved);
        Ok(moved)
    }

    /// Registers a check of the node, or of a service that is here.
    ///
    /// # Errors
    /// Nothing is changed when Consul would refuse it.
    pub fn register_check(
        &mut self,
        mut definition: CheckDefinition,
        token: Option<Secret>,
        source: Source,
        now: Time,
    ) -> Result<Moved, NodeError> {
        definition.validate_alone()?;
        let service = match definition.service_id.as_ref() {
            "" => None,
            id => {
                Some(self.services.get(id).ok_or_else(|| NodeError::NoServiceForCheck(id.into()))?)
            }
        };
        self.admit(&definition, source)?;
        if definition.id.is_empty() {
            definition.id = definition.name.clone();
        }
        let mut check = check_of(&definition, service.map(|entry| &entry.service));
        check.interval = show_wait(definition.interval).into();
        check.timeout = show_wait(definition.timeout).into();
        if source == Source::Configured {
            // Consul does not tell the kind of a check that stands alone in a file.
            check.kind = Box::default();
        }
        let mut moved = Moved::default();
        let origin = Origin { before: self.checks.clone(), token, source, now };
        self.place(check, definition, &origin, &mut moved);
        self.follow_aliases(now, &mut moved);
        Ok(moved)
    }

    /// Deregisters a check.
    ///
    /// # Errors
    /// [`NodeError::UnknownCheck`].
    pub fn deregister_check(&mut self, id: &str, now: Time) -> Result<Moved, NodeError> {
        if !self.checks.contains_key(id) {
            return Err(NodeError::UnknownCheck(id.into()));
        }
        let mut moved = Moved::default();
        self.drop_check(id, &mut moved);
        self.follow_aliases(now, &mut moved);
        Ok(moved)
    }

    /// Puts a service into maintenance for a reason, or takes it out without one; the first reason stays.
    ///
    /// # Errors
    /// [`NodeError::UnknownService`].
    pub fn set_service_maintenance(
        &mut self,
        id: &str,
        maintenance: &Maintenance,
        now: Time,
    ) -> Result<Moved, NodeError> {
        let Some(entry) = self.services.get(id) else {
            return Err(NodeError::UnknownService(id.into()));
        };
        let check = Check {
            id: format!("{SERVICE_MAINTENANCE_PREFIX}{id}").into(),
            name: "Service Maintenance Mode".into(),
            service: Some(checked(&entry.service)),
            ..Check::default()
        };
        Ok(self.set_maintenance(check, maintenance, "service", now))
    }

    /// Puts the node into maintenance or takes it out; the first reason stays.
    pub fn set_node_maintenance(&mut self, maintenance: &Maintenance, now: Time) -> Moved {
        let check = Check {
            id: NODE_MAINTENANCE.into(),
            name: "Node Maintenance Mode".into(),
            ..Check::default()
        };
        self.set_maintenance(check, maintenance, "node", now)
    }

    fn set_maintenance(
        &mut self,
        mut check: Check,
        maintenance: &Maintenance,
        what: &str,
        now: Time,
    ) -> Moved {
        let mut moved = Moved::default();
        let id: Arc<str> = check.id.as_str().into();
        match (maintenance.enable, self.checks.contains_key(&id)) {
            (true, false) => {
                check.notes = maintenance_notes(&maintenance.reason, what);
                check.kind = "maintenance".into();
                moved.check_row(&id);
                moved.check(&id, check.service_id().map(|of| of.as_str()));
                self.put_check(LeafCheck::maintenance(check, maintenance.token.clone()));
            }
            (false, true) => self.drop_check(&id, &mut moved),
            _ => {}
        }
        self.follow_aliases(now, &mut moved);
        moved
    }

    /// Whether a check of this kind may be registered by whoever registers it.
    fn admit(&self, check: &CheckDefinition, source: Source) -> Result<(), NodeError> {
        if check.is_script() {
            match source {
                Source::Api if !self.settings.remote_scripts => {
                    return Err(NodeError::RemoteScripts);
                }
                Source::Configured if !self.settings.local_scripts => {
                    return Err(NodeError::LocalScripts);
                }
                _ => {}
            }
        }
        match check.spec() {
            Some(CheckSpec::OsService) => Err(NodeError::NoOsServices),
            Some(spec) if spec.is_supported() => Ok(()),
            _ => Err(NodeError::Unsupported(check.kind())),
        }
    }

    /// Places the checks of a service; returns their ids.
    fn place_checks(
        &mut self,
        service: &Service,
        checks: Vec<CheckDefinition>,
        origin: &Origin,
        moved: &mut Moved,
    ) -> BTreeSet<Arc<str>> {
        let several = checks.len() > 1;
        let mut named = BTreeSet::new();
        for (at, mut definition) in checks.into_iter().enumerate() {
            definition.id = embedded_id(&definition, service, several.then_some(at + 1));
            let mut check = check_of(&definition, Some(service));
            if check.name.is_empty() {
                check.name = format!("Service '{}' check", service.name).into();
            }
            named.insert(definition.id.as_ref().into());
            self.place(check, definition, origin, moved);
        }
        named
    }

    /// Puts a check in its place. What is there already keeps status and output, and its schedule when it is performed
    /// in the same way: a check that is registered again more often than its interval would never run otherwise.
    fn place(
        &mut self,
        mut check: Check,
        definition: CheckDefinition,
        origin: &Origin,
        moved: &mut Moved,
    ) {
        let id: Arc<str> = check.id.as_str().into();
        let (mut critical_since, mut valid_until) = (None, None);
        if let Some(former) = origin.before.get(&id) {
            (check.status, check.output) =
                (former.check.status.clone(), former.check.output.clone());
            (critical_since, valid_until) = (former.critical_since, former.valid_until);
        }
        let there = self.checks.get(&id).and_then(|there| there.definition.as_deref());
        if there != Some(&definition) || !definition.ttl.is_zero() {
            self.plan(&id, &definition, origin.now);
        }
        moved.check_row(&id);
        moved.check(&id, check.service_id().map(|of| of.as_str()));
        let (token, source) = (origin.token.clone(), origin.source);
        let definition = Some(Arc::new(definition));
        self.put_check(LeafCheck { check, definition, token, source, critical_since, valid_until });
    }

    /// Begins to perform a check, from anew.
    pub(super) fn plan(&mut self, id: &Arc<str>, definition: &CheckDefinition, now: Time) {
        self.unplan(id);
        match definition.spec() {
            Some(CheckSpec::Ttl(ttl)) => self.ttls.start(id, ttl, now),
            Some(CheckSpec::Alias { node, service }) if node.is_empty() => {
                self.aliases.insert(Arc::clone(id), service);
            }
            Some(CheckSpec::Alias { node, .. }) => {
                self.remote_aliases.insert(Arc::clone(id), node);
            }
            None => {}
            Some(_) => self.schedule.plan(id, definition, now, &mut self.dice),
        }
    }

    fn unplan(&mut self, id: &str) {
        self.schedule.forget(id);
        self.ttls.forget(id);
        self.held.clear(id);
        self.aliases.remove(id);
        self.remote_aliases.remove(id);
    }

    pub(super) fn drop_service(&mut self, id: &str, moved: &mut Moved) {
        if self.services.remove(id).is_none() {
            return;
        }
        let checks: Vec<Arc<str>> = self.ids_of(id).cloned().collect();
        for check in checks {
            self.drop_check(&check, moved);
        }
        moved.service(&id.into());
    }

    /// The sidecar that was registered with a service goes with it.
    pub(super) fn drop_sidecar(&mut self, service: &str, moved: &mut Moved) {
        let id = sidecar_id(service);
        if self.services.get(id.as_str()).is_some_and(|entry| entry.sidecar) {
            self.drop_service(&id, moved);
        }
    }

    pub(super) fn drop_check(&mut self, id: &str, moved: &mut Moved) {
        self.unplan(id);
        if let Some(check) = self.take_check(id) {
            let id: Arc<str> = id.into();
            moved.check_row(&id);
            moved.check(&id, check.service_id());
        }
    }
}

// === impl LeafCheck ===

impl LeafCheck {
    fn maintenance(check: Check, token: Option<Secret>) -> Self {
        Self {
            check,
            definition: None,
            token,
            source: Source::Api,
            critical_since: None,
            valid_until: None,
        }
    }
}

/// What is asked for of a service or of the node (`/v1/agent/maintenance`).
#[derive(Clone, Debug, Default)]
pub struct Maintenance {
    /// Into maintenance, or out of it.
    pub enable: bool,
    /// Why; empty when nothing was said.
    pub reason: Box<str>,
    /// Who asked: the check that says so is written upwards with this token.
    pub token: Option<Secret>,
}

/// Without an id of its own, a check of a service is named by its place among several.
fn embedded_id(definition: &CheckDefinition, service: &Service, place: Option<usize>) -> Box<str> {
    match place {
        _ if !definition.id.is_empty() => definition.id.clone(),
        Some(place) => format!("service:{}:{place}", service.id).into(),
        None => format!("service:{}", service.id).into(),
    }
}

/// The check that a definition makes, not performed yet. Durations that were not given print as nothing.
fn check_of(definition: &CheckDefinition, service: Option<&Service>) -> Check {
    let text =
        |span: std::time::Duration| if span.is_zero() { "".into() } else { show_wait(span).into() };
    Check {
        id: definition.id.as_ref().into(),
        name: definition.name.clone(),
        status: definition.status.clone().unwrap_or(Status::Critical),
        notes: definition.notes.clone(),
        service: service.map(checked),
        kind: definition.kind().into(),
        interval: text(definition.interval),
        timeout: text(definition.timeout),
        ..Check::default()
    }
}

fn checked(service: &Service) -> Checked {
    Checked { id: service.id.clone(), name: service.name.clone(), tags: service.tags.clone() }
}

fn maintenance_notes(reason: &str, what: &str) -> Box<str> {
    match reason {
        "" => format!(
            "Maintenance mode is enabled for this {what}, but no reason was provided. This is a default message."
        )
        .into(),
        reason => reason.into(),
    }
}

/// The tagged addresses that Consul reads as addresses have to be some.
fn validate_tagged_addresses(service: &Service) -> Result<(), NodeError> {
    let Some(tagged) = &service.tagged_addresses else { return Ok(()) };
    for (tag, version) in [("lan_ipv4", 4), ("wan_ipv4", 4), ("lan_ipv6", 6)] {
        let fits = tagged.get(tag).is_none_or(|at| ip_version(&at.address) == Some(version));
        if !fits {
            return Err(NodeError::TaggedAddress { tag, version });
        }
    }
    Ok(())
}

fn ip_version(address: &str) -> Option<u8> {
    let ip: IpAddr = address.parse().ok()?;
    Some(if ip.to_canonical().is_ipv4() { 4 } else { 6 })
}

/// Consul's defaults: an IP address is told by its version too.
fn fill_in(service: &mut Service) {
    forget_extensions(service);
    let tags: &[&str] = match ip_version(&service.address) {
        Some(4) => &["lan_ipv4", "wan_ipv4"],
        Some(_) => &["lan_ipv6", "wan_ipv6"],
        None => &[],
    };
    let own = ServiceAddress { address: service.address.clone(), port: service.default_port() };
    let given = service.tagged_addresses.take().unwrap_or_default();
    let added = tags.iter().filter(|tag| given.get(tag).is_none()).map(|tag| (*tag, own.clone()));
    let all = given.iter().map(|(tag, at)| (tag, at.clone())).chain(added);
    service.tagged_addresses = Some(all.collect());
}
