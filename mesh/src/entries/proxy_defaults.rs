//! `proxy-defaults`: how every proxy is configured. There is one: `global`.

use serde_json::Value;

use crate::entries::service_resolver::{ByLocality, FailoverPolicy};
use crate::entries::shared::{
    EnvoyExtension, Expose, MeshGateway, Meta, TransparentProxy, check_meta, check_mutual_tls,
};
use crate::entries::{Outside, extension};
use crate::text::{Invalid, Verdict, quote, refuse};
use crate::wire::{Dict, Indexes, Opaque, Report, Wire as _, record};

/// The only name that there is.
pub(crate) const GLOBAL: &str = "global";
/// Bytes of a path of sockets at most, so that sockets in it stay below the least bound of the systems.
const SOCKET_DIR_BYTES_MAX: usize = 70;

record! {
    /// Defaults of all proxies.
    ProxyDefaults = "ProxyConfigEntry" tenant {
        kind: String = "Kind" always,
        name: String = "Name" always,
        config: Dict<Opaque> = "Config" always,
        /// Out of `config`.
        protocol: String = "Protocol" never,
        mode: String = "Mode" omit,
        transparent_proxy: TransparentProxy = "TransparentProxy" | "transparent_proxy" omit,
        mutual_tls: String = "MutualTLSMode" | "mutual_tls_mode" omit,
        mesh_gateway: MeshGateway = "MeshGateway" | "mesh_gateway" omit,
        expose: Expose = "Expose" omit,
        access_logs: AccessLogs = "AccessLogs" | "access_logs" omit,
        envoy_extensions: Vec<EnvoyExtension> = "EnvoyExtensions" | "envoy_extensions" omit,
        failover_policy: Option<Box<FailoverPolicy>> = "FailoverPolicy" | "failover_policy" omit,
        by_locality: Option<Box<ByLocality>> = "PrioritizeByLocality" | "prioritize_by_locality" omit,
        meta: Meta = "Meta" omit,
        hash: u64 = "Hash" hash,
        rows: Indexes = "RaftIndex" rows,
    }
}

record! {
    /// What proxies write down of requests.
    AccessLogs = "AccessLogsConfig" {
        enabled: bool = "Enabled" | "enabled" omit,
        disable_listener_logs: bool = "DisableListenerLogs" | "disable_listener_logs" omit,
        kind: String = "Type" | "type" omit,
        path: String = "Path" | "path" omit,
        json_format: String = "JSONFormat" | "json_format" omit,
        text_format: String = "TextFormat" | "text_format" omit,
    }
}

// === impl ProxyDefaults ===

impl ProxyDefaults {
    pub(crate) fn normalize(&mut self) -> Verdict {
        "proxy-defaults".clone_into(&mut self.kind);
        if !self.name.is_empty() {
            self.check_name()?;
        }
        GLOBAL.clone_into(&mut self.name);
        self.find_protocol()
    }

    fn check_name(&self) -> Verdict {
        if self.name == GLOBAL {
            return Ok(());
        }
        refuse!("invalid name ({}), only \"{GLOBAL}\" is supported", quote(&self.name))
    }

    /// Takes the protocol out of the configuration.
    pub(crate) fn find_protocol(&mut self) -> Verdict {
        let members = || self.config.0.iter().flatten();
        let exact = members().find(|(key, _)| *key == "protocol");
        let given =
            exact.or_else(|| members().find(|(key, _)| key.eq_ignore_ascii_case("protocol")));
        let mut protocol = String::new();
        if let Some((_, Opaque(value))) = given
            && !value.is_null()
        {
            let mut report = Report::default();
            protocol.take(value, "protocol", &mut report);
            report.lenient()?;
        }
        self.protocol = protocol;
        Ok(())
    }

    pub(crate) fn validate(&self, outside: &dyn Outside) -> Verdict {
        self.check_name()?;
        self.access_logs.validate(outside)?;
        check_meta(&self.meta).verdict()?;
        self.check_sockets().map_err(|reason| reason.under("Config: "))?;
        extension::check(&self.envoy_extensions).verdict()?;
        self.failover_policy.as_ref().map_or(Ok(()), |policy| policy.validate())?;
        self.by_locality.as_ref().map_or(Ok(()), |order| order.validate())?;
        check_mutual_tls(&self.mutual_tls)
    }

    fn check_sockets(&self) -> Verdict {
        const KEY: &str = "envoy_hcp_metrics_bind_socket_dir";
        let given = self.config.0.as_ref().and_then(|config| config.get(KEY));
        let length = match given {
            Some(Opaque(Value::String(path))) => path.len(),
            _ => 0,
        };
        if length > SOCKET_DIR_BYTES_MAX {
            refuse!("{KEY} length {length} exceeds max {SOCKET_DIR_BYTES_MAX}");
        }
        Ok(())
    }
}

// === impl AccessLogs ===

impl AccessLogs {
    fn validate(&self, outside: &dyn Outside) -> Verdict {
        match self.kind.as_str() {
            "file" if self.path.is_empty() => {
                refuse!("path must be specified when using file type access logs")
            }
            "" | "stderr" | "stdout" | "file" => {}
            other => refuse!("invalid access log type: {other}"),
        }
        if !self.json_format.is_empty() && !self.text_format.is_empty() {
            refuse!("cannot specify both access log JSONFormat and TextFormat");
        }
        if self.kind != "file" && !self.path.is_empty() {
            refuse!("path is only valid for file type access logs");
        }
        if !self.json_format.is_empty() {
            outside.json(&self.json_format).map_err(|reason| {
                Invalid(format!("invalid access log json for JSON format: {reason}"))
            })?;
        }
        Ok(())
    }
}
