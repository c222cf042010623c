//! Rules that nobody writes: those of Consul's own policies, of identities, and of its policy templates.
//!
//! Their texts are Consul's to the byte: clients read them (`/v1/acl/policy`, `/v1/acl/templated-policy`).

use super::records::{NodeIdentity, Policy, ServiceIdentity, TemplatedPolicy};

/// The id of the policy that gives everything.
pub const GLOBAL_MANAGEMENT: &str = "00000000-0000-0000-0000-000000000001";

/// The id of the policy that lets everything be read.
pub const GLOBAL_READ_ONLY: &str = "00000000-0000-0000-0000-000000000002";

/// The accessor of the token of those who bring none.
pub const ANONYMOUS: &str = "00000000-0000-0000-0000-000000000002";

/// The secret of the token of those who bring none.
pub const ANONYMOUS_SECRET: &str = "anonymous";

/// A template of Consul's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Template {
    /// Its name; all begin with `builtin/`.
    pub name: &'static str,
    /// Its UUID.
    pub id: &'static str,
    /// What it is for.
    pub description: &'static str,
    /// The JSON schema of its variables; empty when it takes none.
    pub schema: &'static str,
    /// The rules, with `{{.Name}}` where the variable `name` goes.
    pub text: &'static str,
}

const NAMED: &str = "{\n\t\"type\": \"object\",\n\t\"properties\": {\n\t\t\"name\": { \"type\": \"string\", \"$ref\": \"#/definitions/min-length-one\" }\n\t},\n\t\"required\": [\"name\"],\n\t\"definitions\": {\n\t\t\"min-length-one\": {\n\t\t\t\t\"type\": \"string\",\n\t\t\t\t\"minLength\": 1\n\t\t}\n\t}\n}";

const NODE: &str = "\nnode \"{{.Name}}\" {\n\tpolicy = \"write\"\n}\nservice_prefix \"\" {\n\tpolicy = \"read\"\n}";

const SERVICE: &str = "\nservice \"{{.Name}}\" {\n\tpolicy = \"write\"\n}\nservice \"{{.Name}}-sidecar-proxy\" {\n\tpolicy = \"write\"\n}\nservice_prefix \"\" {\n\tpolicy = \"read\"\n}\nnode_prefix \"\" {\n\tpolicy = \"read\"\n}";

/// What stands for the variable `name`.
const NAME: &str = "{{.Name}}";

/// Consul's templates, by name.
pub static TEMPLATES: [Template; 6] = [
    Template {
        name: "builtin/api-gateway",
        id: "00000000-0000-0000-0000-000000000008",
        description: "Gives the token or role permissions for a Consul api gateway",
        schema: NAMED,
        text: "mesh = \"read\"\nnode_prefix \"\" {\n\tpolicy = \"read\"\n}\nservice_prefix \"\" {\n\tpolicy = \"read\"\n}\nservice \"{{.Name}}\" {\n\tpolicy = \"write\"\n}",
    },
    Template {
        name: "builtin/dns",
        id: "00000000-0000-0000-0000-000000000005",
        description: "Gives the token or role permissions for the Consul DNS to query services in the network.",
        schema: "",
        text: "\nnode_prefix \"\" {\n\tpolicy = \"read\"\n}\nservice_prefix \"\" {\n\tpolicy = \"read\"\n}\nquery_prefix \"\" {\n\tpolicy = \"read\"\n}",
    },
    Template {
        name: "builtin/node",
        id: "00000000-0000-0000-0000-000000000004",
        description: "Gives the token or role permissions for a register an agent/node into the catalog. A node is typically a consul agent but can also be a physical server, cloud instance or a container.",
        schema: NAMED,
        text: NODE,
    },
    Template {
        name: "builtin/nomad-client",
        id: "00000000-0000-0000-0000-000000000009",
        description: "Gives the token or role permissions required for integration with a nomad client.",
        schema: "",
        text: "agent_prefix \"\" {\n  policy = \"read\"\n}\nnode_prefix \"\" {\n  policy = \"read\"\n}\nservice_prefix \"\" {\n  policy = \"write\"\n}\nkey_prefix \"\" {\n  policy = \"read\"\n}",
    },
    Template {
        name: "builtin/nomad-server",
        id: "00000000-0000-0000-0000-000000000006",
        description: "Gives the token or role permissions required for integration with a nomad server.",
        schema: "",
        text: "\nacl = \"write\"\nagent_prefix \"\" {\n  policy = \"read\"\n}\nnode_prefix \"\" {\n  policy = \"read\"\n}\nservice_prefix \"\" {\n  policy = \"write\"\n}",
    },
    Template {
        name: "builtin/service",
        id: "00000000-0000-0000-0000-000000000003",
        description: "Gives the token or role permissions to register a service and discover services in the Consul catalog. It also gives the specified service's sidecar proxy the permission to discover and route traffic to other services.",
        schema: NAMED,
        text: SERVICE,
    },
];

// === impl Template ===

impl Template {
    /// The template of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        TEMPLATES.iter().find(|template| template.name == name)
    }

    /// Whether it has the variable `name`.
    pub fn takes_name(&self) -> bool {
        !self.schema.is_empty()
    }

    /// The rules for a name. The name was checked when it was written: it needs no quoting.
    pub fn render(&self, name: &str) -> String {
        self.text.replace(NAME, name)
    }
}

// === impl ServiceIdentity ===

impl ServiceIdentity {
    /// What it may do, as rules.
    pub fn rules(&self) -> String {
        SERVICE.replace(NAME, &self.service)
    }
}

// === impl NodeIdentity ===

impl NodeIdentity {
    /// What it may do, as rules.
    pub fn rules(&self) -> String {
        NODE.replace(NAME, &self.node)
    }
}

// === impl TemplatedPolicy ===

impl TemplatedPolicy {
    /// What it gives, as rules; nothing when there is no such template.
    pub fn rules(&self) -> Option<String> {
        let template = Template::named(&self.template)?;
        Some(template.render(self.name.as_deref().unwrap_or("")))
    }
}

// === impl Policy ===

impl Policy {
    /// The policies that every scope has, in the order in which they are made.
    pub fn builtin() -> [Self; 2] {
        let policy = |id: &str, name: &str, description: &str, level: &str| Self {
            id: id.into(),
            name: name.into(),
            description: description.into(),
            rules: global_rules(level).into(),
            datacenters: None,
        };
        [
            policy(
                GLOBAL_MANAGEMENT,
                "global-management",
                "A built-in policy that grants read and write access to all Consul features",
                "write",
            ),
            policy(
                GLOBAL_READ_ONLY,
                "builtin/global-read-only",
                "A built-in policy that grants read-only access to all Consul features",
                "read",
            ),
        ]
    }
}

fn global_rules(level: &str) -> String {
    let whole = |key: &str| format!("{key} = \"{level}\"\n");
    let prefix =
        |key: &str, more: &str| format!("{key}_prefix \"\" {{\n\tpolicy = \"{level}\"\n{more}}}\n");
    let intentions = format!("\tintentions = \"{level}\"\n");
    let parts = [
        "\n".to_owned(),
        whole("acl"),
        prefix("agent", ""),
        prefix("event", ""),
        prefix("key", ""),
        whole("keyring"),
        prefix("node", ""),
        whole("operator"),
        whole("mesh"),
        whole("peering"),
        prefix("query", ""),
        prefix("service", &intentions),
        prefix("session", ""),
    ];
    parts.concat().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acl::rules::Rules;

    #[test]
    fn each_text_is_read() {
        for template in &TEMPLATES {
            assert!(Rules::parse(&template.render("web")).is_ok(), "{}", template.name);
            assert_eq!(template.takes_name(), template.text.contains(NAME), "{}", template.name);
        }
        for policy in Policy::builtin() {
            let rules = Rules::parse(&policy.rules).unwrap();
            assert_eq!((rules.whole.len(), rules.named.len()), (5, 7), "{}", policy.name);
        }
        assert!(TEMPLATES.is_sorted_by_key(|template| template.name));
    }

    #[test]
    fn the_policy_of_managers_has_consuls_text() {
        let [management, _] = Policy::builtin();
        let text = "\nacl = \"write\"\nagent_prefix \"\" {\n\tpolicy = \"write\"\n}\nevent_prefix \"\" {\n\tpolicy = \"write\"\n}\nkey_prefix \"\" {\n\tpolicy = \"write\"\n}\nkeyring = \"write\"\nnode_prefix \"\" {\n\tpolicy = \"write\"\n}\noperator = \"write\"\nmesh = \"write\"\npeering = \"write\"\nquery_prefix \"\" {\n\tpolicy = \"write\"\n}\nservice_prefix \"\" {\n\tpolicy = \"write\"\n\tintentions = \"write\"\n}\nsession_prefix \"\" {\n\tpolicy = \"write\"\n}";
        assert_eq!(&*management.rules, text);
    }

    #[test]
    fn identities_are_rendered() {
        let web = ServiceIdentity { service: "web".into(), datacenters: None };
        assert!(web.rules().contains("service \"web-sidecar-proxy\""));
        let policy = TemplatedPolicy {
            template: "builtin/node".into(),
            name: Some("n1".into()),
            datacenters: None,
        };
        let node = NodeIdentity { node: "n1".into(), datacenter: "dc1".into() };
        assert_eq!(policy.rules(), Some(node.rules()));
    }
}
