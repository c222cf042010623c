//! The registrations that fill the catalogs: invented, always the same, about as large as a real service's.

use serde_json::json;

use crate::http;

/// What a fleet looks like from above. Instances are dealt to nodes and to services in turn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fleet {
    pub(crate) nodes: usize,
    pub(crate) services: usize,
}

impl Fleet {
    /// The registrations from the `first` instance on, ready to be sent.
    pub(crate) fn registrations(&self, first: usize, count: usize) -> Vec<Vec<u8>> {
        (first..first + count).map(|nth| self.registration(nth, 8080)).collect()
    }

    /// The registration of one instance at a port: node, node check, service and service check, as an agent sends them.
    pub(crate) fn registration(&self, nth: usize, port: u16) -> Vec<u8> {
        self.registration_as(&self.service(nth), nth, port)
    }

    /// The same for a service of another name.
    pub(crate) fn registration_as(&self, name: &str, nth: usize, port: u16) -> Vec<u8> {
        let node = nth % self.nodes;
        let id = format!("{name}-{nth:05}");
        let (host, address) = (
            format!("node-{node:05}"),
            format!("10.{}.{}.{}", node >> 16, node >> 8 & 255, node & 255),
        );
        let body = json!({
            "Node": host,
            "Address": address,
            "NodeMeta": { "rack": format!("r{}", node % 40), "os": "linux" },
            "Service": {
                "ID": id,
                "Service": name,
                "Tags": ["blue", "http", "v1.4.2"],
                "Meta": { "version": "1.4.2", "owner": "payments" },
                "Address": address,
                "Port": port,
            },
            "Checks": [
                { "CheckID": "alive", "Name": "node is alive", "Status": "passing", "Output": "seen by its keeper" },
                {
                    "CheckID": format!("service:{id}"),
                    "Name": "answers over HTTP",
                    "ServiceID": id,
                    "Status": "passing",
                    "Output": format!("HTTP GET http://{address}:8080/health: 200 OK Output: ok"),
                },
            ],
        });
        http::put("/v1/catalog/register", &body.to_string())
    }

    /// The name of the service that an instance belongs to. A node that has several instances has them of several services.
    pub(crate) fn service(&self, nth: usize) -> String {
        format!("service-{:03}", (nth + nth / self.nodes) % self.services)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;

    #[test]
    fn every_service_of_a_fleet_gets_its_share() {
        for (nodes, services, count) in
            [(22_000, 100, 22_000), (1_000, 100, 22_000), (300, 100, 300)]
        {
            let fleet = Fleet { nodes, services };
            let mut shares = HashMap::new();
            let seats: HashSet<_> =
                (0..count).map(|nth| (nth % nodes, fleet.service(nth))).collect();
            (0..count).for_each(|nth| *shares.entry(fleet.service(nth)).or_insert(0) += 1);
            assert_eq!(shares.len(), services, "{fleet:?}");
            assert!(
                shares.values().all(|share| *share == count / services),
                "{fleet:?} {shares:?}"
            );
            assert_eq!(seats.len(), count, "{fleet:?}: two instances of a service on one node");
        }
    }
}
