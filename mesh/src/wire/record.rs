//! Declares a form.

/// Declares a form: its name, the name of its Go type, and its fields in the order in which they print.
///
/// ```text
/// record! {
///     /// What it is.
///     Subset = "ServiceResolverSubset" {
///         filter: String = "Filter" omit,
///         only_passing: bool = "OnlyPassing" | "only_passing" omit,
///     }
/// }
/// ```
/// A field is printed `always`, or not while it is empty (`omit`), or never (`never`, although it is read and hashed). `hash` is
/// an entry's own hash: not hashed itself. `rows` are an entry's indexes. `tenant` after the name stands for the namespace that
/// the enterprise edition has there: nothing but a word in the hash.
macro_rules! record {
    (
        $(#[$doc:meta])*
        $name:ident = $go:literal $($tenant:ident)? {
            $( $(#[$about:meta])* $field:ident : $type:ty = $key:literal $(| $alias:literal)* $mode:ident ),* $(,)?
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq)]
        pub(crate) struct $name {
            $( $(#[$about])* pub(crate) $field: $type, )*
        }

        impl $crate::wire::Wire for $name {
            #[allow(unused_mut, reason = "some forms have no field")]
            fn take(
                &mut self,
                value: &serde_json::Value,
                at: &str,
                report: &mut $crate::wire::Report,
            ) {
                const ALIASES: &[(&str, &str)] = &[ $( $( ($alias, $key), )* )* ];
                if let Some(mut fields) = $crate::wire::Fields::open(value, ALIASES, at, report) {
                    $( $crate::wire::record!(@read $mode, self, fields, report, $field, $key); )*
                    fields.close(report);
                }
            }

            fn is_blank(&self) -> bool {
                false
            }

            #[allow(unused_mut, reason = "some forms have no field")]
            fn digest(&self) -> u64 {
                let mut hash = $crate::wire::fnv($go.as_bytes());
                $( $crate::wire::record!(@hash $mode, self, hash, $field, $key); )*
                $( hash ^= $crate::wire::record!(@$tenant); )?
                hash
            }
        }

        impl serde::Serialize for $name {
            #[allow(unused_mut, reason = "some forms have no field")]
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeMap as _;
                let mut map = serializer.serialize_map(None)?;
                $( $crate::wire::record!(@print $mode, self, map, $field, $key); )*
                map.end()
            }
        }
    };

    (@tenant) => {{
        let word = $crate::wire::fnv(b"EnterpriseMeta");
        $crate::wire::ordered(word, word)
    }};

    (@read rows, $self:ident, $fields:ident, $report:ident, $field:ident, $key:literal) => {
        let mut ignored = $crate::wire::Opaque::default();
        $fields.read($key, &mut ignored, $report);
    };
    (@read $mode:ident, $self:ident, $fields:ident, $report:ident, $field:ident, $key:literal) => {
        $fields.read($key, &mut $self.$field, $report);
    };

    (@hash rows, $self:ident, $hash:ident, $field:ident, $key:literal) => {};
    (@hash hash, $self:ident, $hash:ident, $field:ident, $key:literal) => {};
    (@hash $mode:ident, $self:ident, $hash:ident, $field:ident, $key:literal) => {
        $hash ^= $crate::wire::field_digest($key, $crate::wire::Wire::digest(&$self.$field));
    };

    (@print always, $self:ident, $map:ident, $field:ident, $key:literal) => {
        $map.serialize_entry($key, &$self.$field)?;
    };
    (@print never, $self:ident, $map:ident, $field:ident, $key:literal) => {};
    (@print rows, $self:ident, $map:ident, $field:ident, $key:literal) => {
        if $self.$field.shown {
            $map.serialize_entry("CreateIndex", &$self.$field.created)?;
            $map.serialize_entry("ModifyIndex", &$self.$field.modified)?;
        }
    };
    (@print $mode:ident, $self:ident, $map:ident, $field:ident, $key:literal) => {
        if !$crate::wire::Wire::is_blank(&$self.$field) {
            $map.serialize_entry($key, &$self.$field)?;
        }
    };
}
pub(crate) use record;
