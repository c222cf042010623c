//! As whom the agent writes upwards: a registration with the token that came with it, what it removes with the agent's own.

use std::collections::BTreeMap;

use super::{Leaf, Source};
use crate::acl::Tokens;
use crate::caller::{Caller, Secret, Way};
use crate::change::{Change, Registration};
use crate::service::Check;

impl Leaf {
    /// Who writes what: what is one registration here is one for each token that its service and checks came with.
    pub fn bearers(&self, changes: Vec<Change>, tokens: &Tokens) -> Vec<(Caller, Change)> {
        let mut out = Vec::with_capacity(changes.len());
        for change in changes {
            match change {
                Change::Register(registration) => self.split(*registration, tokens, &mut out),
                other => out.push((as_agent(tokens), other)),
            }
        }
        out
    }

    fn split(&self, registration: Registration, tokens: &Tokens, out: &mut Vec<(Caller, Change)>) {
        let Registration { node, skip_node_update, service, checks, .. } = registration;
        let mut by_token: BTreeMap<Option<Box<str>>, Vec<Check>> = BTreeMap::new();
        for check in checks {
            let token = self.check_token(check.id.as_str(), tokens);
            by_token.entry(token.map(|token| token.expose().into())).or_default().push(check);
        }
        let register = |service, checks| {
            let node = node.clone();
            let apart =
                Registration { node, skip_node_update, service, checks, ..Registration::default() };
            Change::Register(Box::new(apart))
        };
        if let Some(service) = service {
            let token = self.service_token(service.id.as_str(), tokens);
            let key = token.as_ref().map(|token| token.expose().into());
            let checks = by_token.remove(&key).unwrap_or_default();
            let way = self.services.get(service.id.as_str()).map(|entry| entry.way.clone());
            let Way { address, listener } = way.unwrap_or_default();
            let caller = Caller { address, listener, ..bearer(token) };
            out.push((caller, register(Some(service), checks)));
        }
        for (token, checks) in by_token {
            let token = token.map(|token| Secret::new(&token));
            out.push((bearer(token), register(None, checks)));
        }
    }

    fn service_token(&self, id: &str, tokens: &Tokens) -> Option<Secret> {
        let entry = self.services.get(id);
        let own = entry.and_then(|entry| entry.token.clone());
        own.or_else(|| fallback(entry.map(|entry| entry.source), tokens))
    }

    fn check_token(&self, id: &str, tokens: &Tokens) -> Option<Secret> {
        let entry = self.checks.get(id);
        let own = entry.and_then(|entry| entry.token.clone());
        own.or_else(|| fallback(entry.map(|entry| entry.source), tokens))
    }
}

/// What registrations without a token of their own are written with.
fn fallback(source: Option<Source>, tokens: &Tokens) -> Option<Secret> {
    let configured = (source == Some(Source::Configured))
        .then(|| tokens.config_file_service_registration.clone())
        .flatten();
    configured.or_else(|| tokens.default.clone())
}

fn bearer(token: Option<Secret>) -> Caller {
    Caller { token, ..Caller::default() }
}

fn as_agent(tokens: &Tokens) -> Caller {
    bearer(tokens.agent.clone().or_else(|| tokens.default.clone()))
}
