//! What the agent prints before its first line of log: where it listens and who it is, by Consul's labels.

use super::{CONSUL_VERSION, Config};

/// Labels end at this column.
const LABEL_WIDTH: usize = 22;

impl Config {
    /// The lines for people; tools that start agents look for some of them.
    pub(crate) fn banner(&self, node_id: &str) -> String {
        let (ports, role) = (self.network.ports, self.role);
        let clients: Vec<String> = self.network.client.iter().map(ToString::to_string).collect();
        let segment = if role.server { "<all>" } else { "" };
        let rows = [
            ("Version", format!("'{CONSUL_VERSION}' (proconsul {})", env!("CARGO_PKG_VERSION"))),
            ("Node ID", format!("'{node_id}'")),
            ("Node name", format!("'{}'", self.node.name)),
            (
                "Data dir",
                self.data_dir.as_deref().map_or("none, all is in memory".to_owned(), |dir| {
                    format!("'{}'", dir.display())
                }),
            ),
            ("Datacenter", format!("'{}' (Segment: '{segment}')", self.datacenter)),
            ("Server", format!("{} (Bootstrap: {})", role.server, role.bootstrap)),
            (
                "Client Addr",
                format!(
                    "[{}] (HTTP: {}, HTTPS: {}, gRPC: -1, gRPC-TLS: -1, DNS: {})",
                    clients.join(" "),
                    ports.http,
                    ports.https,
                    ports.dns
                ),
            ),
            (
                "Cluster Addr",
                format!(
                    "{} (LAN: {}, WAN: {})",
                    self.network.advertise, ports.serf_lan, ports.serf_wan
                ),
            ),
            ("ACL Enabled", self.acl.enabled.to_string()),
            ("ACL Default Policy", self.acl.default_policy.clone()),
        ];
        let rows: String =
            rows.iter().map(|(label, value)| format!("{label:>LABEL_WIDTH$}: {value}\n")).collect();
        format!(
            "==> Starting Consul agent...\n{rows}\n==> Log data will now stream in as it occurs:\n"
        )
    }
}
