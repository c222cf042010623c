//! Refusals, worded as Consul words them.

use super::*;
use crate::service::{Rare, ServicePort, Weights};

/// Makes a good service bad in one way.
type Spoil = fn(&mut Service);

const S: Duration = Duration::from_secs(1);

#[test]
fn checks_are_refused_in_consuls_words() {
    let empty = CheckDefinition::default;
    let http = || CheckDefinition { http: "http://a".into(), ..empty() };
    let alias = || CheckDefinition { alias_service: "a".into(), ..empty() };
    let cases = [
        (
            CheckDefinition { interval: S, ttl: S, ..http() },
            "Interval and TTL cannot both be specified",
        ),
        (http(), "Interval must be > 0 for Script, HTTP, H2PING, TCP, UDP or OSService checks"),
        (
            CheckDefinition { interval: S, http: "http://a".into(), ..alias() },
            "Interval cannot be set for Alias checks",
        ),
        (CheckDefinition { ttl: S, ..alias() }, "TTL must be not be set for Alias checks"),
        (empty(), "TTL must be > 0 for TTL checks"),
        (CheckDefinition { interval: S, ..empty() }, "TTL must be > 0 for TTL checks"),
        (
            CheckDefinition { ttl: S, output_max_size: -1, ..empty() },
            "MaxOutputMaxSize must be positive",
        ),
        (
            CheckDefinition { ttl: S, failures_before_warning: 1, ..empty() },
            "FailuresBeforeWarning can't be higher than FailuresBeforeCritical",
        ),
        (CheckDefinition { interval: S, ..alias() }, "alias"),
        (CheckDefinition { interval: S, ..http() }, "http"),
        (CheckDefinition { ttl: S, ..empty() }, "ttl"),
        (CheckDefinition { interval: S, grpc: "a:1".into(), tcp: "a:1".into(), ..empty() }, "grpc"),
    ];
    for (check, expected) in cases {
        let said =
            check.validate().map_or_else(|error| error.to_string(), |()| check.kind().into());
        assert_eq!(said, expected);
    }
}

#[test]
fn services_are_refused_in_consuls_words() {
    let cases: [(&str, Spoil); 15] = [
        ("Missing service name", |service| service.name = "".into()),
        ("Invalid service address", |service| service.address = "::".into()),
        ("Invalid Weights: Passing must be greater than 0", |service| {
            service.weights = Weights { passing: 0, warning: 1 };
        }),
        ("Invalid Weights: Warning must be greater or equal than 0", |service| {
            service.weights = Weights { passing: 1, warning: -1 };
        }),
        ("Invalid Weights: DNS Weight must be between 0 and 65535", |service| {
            service.weights = Weights { passing: 65536, warning: 1 };
        }),
        (
            "Invalid Service Meta: Couldn't load metadata pair ('a b', 'c'): Key contains invalid characters",
            |service| service.meta = Some([("a b", "c".into())].into_iter().collect()),
        ),
        (
            "Invalid Service Meta: Couldn't load metadata pair ('', 'c'): Key cannot be blank",
            |service| {
                service.meta = Some([("", "c".into())].into_iter().collect());
            },
        ),
        (
            "Invalid Service Meta: Couldn't load metadata pair ('consul-x', 'c'): Key prefix 'consul-' is reserved for internal use",
            |service| service.meta = Some([("consul-x", "c".into())].into_iter().collect()),
        ),
        (
            "Invalid Service Meta: Node metadata cannot contain more than 64 key/value pairs",
            |service| {
                service.meta = Some((0..65).map(|n| (n.to_string(), Box::default())).collect());
            },
        ),
        (
            "Validation failed: 1 error occurred:\n\t* One of the Ports must be marked as Default\n\n",
            |service| {
                service.rare = ports(&[("a", 1, false)]);
            },
        ),
        (
            "Validation failed: 2 errors occurred:\n\t* Cannot set both Port and Ports\n\t* Ports.Name \"a\" has to be unique\n\n",
            |service| {
                service.port = 1;
                service.rare = ports(&[("a", 1, true), ("a", 2, false)]);
            },
        ),
        ("Validation failed: 1 error occurred:\n\t* Ports.Name cannot be empty\n\n", |service| {
            service.rare = ports(&[("", 1, true)]);
        }),
        (
            "Validation failed: 1 error occurred:\n\t* Ports.Port must be greater than zero\n\n",
            |service| {
                service.rare = ports(&[("a", 0, true)]);
            },
        ),
        ("fine", |service| service.rare = ports(&[("a", 1, true)])),
        ("fine", |service| service.port = 70000),
    ];
    for (expected, spoil) in cases {
        let mut service = Service { name: "web".into(), ..Service::default() };
        spoil(&mut service);
        let definition = ServiceDefinition { service, ..ServiceDefinition::default() };
        let said = definition.validate().map_or_else(|error| error.to_string(), |()| "fine".into());
        assert_eq!(said, expected);
    }
}

#[test]
fn the_status_of_a_check_is_one_of_three() {
    let check =
        CheckDefinition { ttl: S, status: Some("fine".into()), ..CheckDefinition::default() };
    let service = Service { name: "web".into(), ..Service::default() };
    let definition =
        ServiceDefinition { service, checks: vec![check], ..ServiceDefinition::default() };
    let said = definition.validate().unwrap_err().to_string();
    assert_eq!(said, "Status for checks must 'passing', 'warning', 'critical'");
}

#[test]
fn only_nothing_at_all_is_empty() {
    assert!(CheckDefinition::default().is_empty());
    assert!(!CheckDefinition { name: "a".into(), ..CheckDefinition::default() }.is_empty());
}

fn ports(all: &[(&str, i64, bool)]) -> Option<Box<Rare>> {
    let port = |&(name, port, default): &(&str, i64, bool)| ServicePort {
        name: name.into(),
        port,
        default,
    };
    Some(Box::new(Rare { ports: all.iter().map(port).collect(), ..Rare::default() }))
}
