//! Ready rules, that a policy imports as `data.library.<name>`.

/// A module of ready rules.
#[derive(Clone, Copy, Debug)]
pub struct Ready {
    /// Its name, under `data.library`.
    pub name: &'static str,
    /// The module.
    pub rego: &'static str,
    /// Its tests: an example of its use in a policy, and what that decides.
    pub tests: &'static str,
}

/// All modules.
pub const ALL: &[Ready] = &[
    Ready {
        name: "names",
        rego: include_str!("library/names.rego"),
        tests: include_str!("library/names_test.rego"),
    },
    Ready {
        name: "ports",
        rego: include_str!("library/ports.rego"),
        tests: include_str!("library/ports_test.rego"),
    },
    Ready {
        name: "tags",
        rego: include_str!("library/tags.rego"),
        tests: include_str!("library/tags_test.rego"),
    },
    Ready {
        name: "quotas",
        rego: include_str!("library/quotas.rego"),
        tests: include_str!("library/quotas_test.rego"),
    },
    Ready {
        name: "office_hours",
        rego: include_str!("library/office_hours.rego"),
        tests: include_str!("library/office_hours_test.rego"),
    },
    Ready {
        name: "freeze",
        rego: include_str!("library/freeze.rego"),
        tests: include_str!("library/freeze_test.rego"),
    },
    Ready {
        name: "addresses",
        rego: include_str!("library/addresses.rego"),
        tests: include_str!("library/addresses_test.rego"),
    },
    Ready {
        name: "meta",
        rego: include_str!("library/meta.rego"),
        tests: include_str!("library/meta_test.rego"),
    },
];

/// The modules of which a source speaks.
pub(super) fn used_by(rego: &str) -> impl Iterator<Item = &'static Ready> {
    ALL.iter().filter(|ready| {
        rego.match_indices("library.").any(|(at, word)| {
            let after = &rego[at + word.len()..];
            after.strip_prefix(ready.name).is_some_and(|rest| {
                !rest.starts_with(|next: char| next.is_alphanumeric() || next == '_')
            })
        })
    })
}

/// The modules that a source imports, each with the name by which its rules are called there.
///
/// The interpreter finds functions by their full path alone, not by that of an import: so a module is given to a policy a
/// second time, as a part of the policy's own package.
pub(super) fn imported_by(rego: &str) -> impl Iterator<Item = (&'static Ready, &str)> {
    rego.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let path = (words.next() == Some("import")).then(|| words.next()).flatten()?;
        let name = path.strip_prefix("data.library.")?;
        let ready = ALL.iter().find(|ready| ready.name == name)?;
        let alias = (words.next() == Some("as")).then(|| words.next()).flatten();
        Some((ready, alias.unwrap_or(ready.name)))
    })
}

impl Ready {
    /// The module as a part of another package, under a name.
    pub(super) fn within(&self, package: &str, alias: &str) -> String {
        let package = package.strip_prefix("data.").unwrap_or(package);
        let own = format!("package library.{}", self.name);
        self.rego.replacen(&own, &format!("package {package}.{alias}"), 1)
    }
}
