//! Consul's rules for the named ports of a service.

use crate::service::ServicePort;

/// One thing that is wrong with the named ports.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the text says it")]
pub enum InvalidPort {
    #[error("Cannot set both Port and Ports")]
    Both,
    #[error("One of the Ports must be marked as Default")]
    NoDefault,
    #[error("Only one port can be marked as default")]
    SeveralDefaults,
    #[error("Ports.Name cannot be empty")]
    NoName,
    #[error("Ports.Name {0:?} has to be unique")]
    Twice(Box<str>),
    #[error("Ports.Port must be greater than zero")]
    NoNumber,
}

/// Both findings of Consul: that `port` and `ports` exclude each other, and the first fault of `ports`.
pub(super) fn port_faults(port: i64, ports: &[ServicePort]) -> Vec<InvalidPort> {
    if ports.is_empty() {
        return Vec::new();
    }
    let both = (port != 0).then_some(InvalidPort::Both);
    both.into_iter().chain(port_fault(ports)).collect()
}

fn port_fault(ports: &[ServicePort]) -> Option<InvalidPort> {
    let mut default_seen = false;
    for (at, port) in ports.iter().enumerate() {
        if port.name.trim().is_empty() {
            return Some(InvalidPort::NoName);
        }
        if port.port <= 0 {
            return Some(InvalidPort::NoNumber);
        }
        if ports[..at].iter().any(|earlier| earlier.name == port.name) {
            return Some(InvalidPort::Twice(port.name.clone()));
        }
        if default_seen && port.default {
            return Some(InvalidPort::SeveralDefaults);
        }
        default_seen |= port.default;
    }
    (!default_seen).then_some(InvalidPort::NoDefault)
}
