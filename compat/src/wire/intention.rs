//! What `/v1/connect/intentions` reads.

use std::collections::BTreeMap;

use proconsul_mesh::intentions::Draft;
use serde::Serialize;

use crate::go::json::Json;
use crate::wire::decode::{DecodeError, Ignored, Place, Read, form, list_form, read_text};

/// The body of a write of an intention.
#[derive(Debug, Default)]
pub(crate) struct IntentionForm {
    pub(crate) id: String,
    pub(crate) description: String,
    pub(crate) source_namespace: String,
    pub(crate) source: String,
    pub(crate) destination_namespace: String,
    pub(crate) destination: String,
    pub(crate) source_partition: String,
    pub(crate) destination_partition: String,
    pub(crate) source_peer: String,
    pub(crate) source_type: SourceType,
    pub(crate) action: Action,
    pub(crate) permissions: Option<Permissions>,
    pub(crate) meta: Option<BTreeMap<String, String>>,
    text: String,
    number: i64,
    jwt: Option<Box<JwtForm>>,
    ignored: Ignored,
}

form!(IntentionForm, "struct { Hash string; CreatedAt string; UpdatedAt string; *structs.Alias }", custom, refuse, {
    "ID" => id, "Description" => description, "SourceNS" => source_namespace, "SourceName" => source,
    "DestinationNS" => destination_namespace, "DestinationName" => destination,
    "SourcePartition" => source_partition, "DestinationPartition" => destination_partition,
    "SourcePeer" => source_peer, "SourceSamenessGroup" => text, "SourceType" => source_type,
    "Action" => action, "Permissions" => permissions, "JWT" => jwt, "DefaultAddr" => text,
    "DefaultPort" => number, "Meta" => meta, "Precedence" => number, "CreateIndex" => ignored,
    "ModifyIndex" => ignored,
} own {
    "Hash" => text, "CreatedAt" => text, "UpdatedAt" => text,
});

macro_rules! named_text {
    ($($(#[$doc:meta])* $name:ident = $go:literal;)*) => { $(
        $(#[$doc])*
        #[derive(Debug, Default, Serialize)]
        #[serde(transparent)]
        pub(crate) struct $name(pub(crate) String);

        impl Read for $name {
            fn go_type() -> std::borrow::Cow<'static, str> {
                $go.into()
            }

            fn read(&mut self, value: &Json, place: &Place<'_>) -> Result<(), DecodeError> {
                read_text(&mut self.0, value, place, Self::go_type())
            }
        }
    )* };
}

named_text! {
    /// What a source is.
    SourceType = "structs.IntentionSourceType";
    /// Whether it is let through.
    Action = "structs.IntentionAction";
}

/// Requests that are told apart.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
pub(crate) struct Permissions(pub(crate) Vec<PermissionForm>);

list_form!(Permissions, "[]*structs.IntentionPermission");

/// Requests, and whether they are let through.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PermissionForm {
    action: Action,
    #[serde(rename = "HTTP", skip_serializing_if = "Option::is_none")]
    http: Option<Box<HttpForm>>,
    #[serde(rename = "JWT", skip_serializing_if = "Option::is_none")]
    jwt: Option<Box<JwtForm>>,
}

form!(PermissionForm, "structs.IntentionPermission", plain "IntentionPermission", refuse, {
    "Action" => action, "HTTP" => http, "JWT" => jwt,
});

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct HttpForm {
    path_exact: String,
    path_prefix: String,
    path_regex: String,
    header: Option<Vec<HeaderForm>>,
    methods: Option<Vec<String>>,
}

form!(HttpForm, "structs.IntentionHTTPPermission", plain "IntentionHTTPPermission", refuse, {
    "PathExact" => path_exact, "PathPrefix" => path_prefix, "PathRegex" => path_regex,
    "Header" => header, "Methods" => methods,
});

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct HeaderForm {
    name: String,
    present: bool,
    exact: String,
    prefix: String,
    suffix: String,
    contains: String,
    regex: String,
    invert: bool,
    ignore_case: bool,
}

form!(HeaderForm, "structs.IntentionHTTPHeaderPermission", plain "IntentionHTTPHeaderPermission", refuse, {
    "Name" => name, "Present" => present, "Exact" => exact, "Prefix" => prefix, "Suffix" => suffix,
    "Contains" => contains, "Regex" => regex, "Invert" => invert, "IgnoreCase" => ignore_case,
});

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct JwtForm {
    providers: Option<Vec<ProviderForm>>,
}

form!(JwtForm, "structs.IntentionJWTRequirement", plain "IntentionJWTRequirement", refuse, {
    "Providers" => providers,
});

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ProviderForm {
    name: String,
    verify_claims: Option<Vec<ClaimForm>>,
}

form!(ProviderForm, "structs.IntentionJWTProvider", plain "IntentionJWTProvider", refuse, {
    "Name" => name, "VerifyClaims" => verify_claims,
});

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ClaimForm {
    path: Option<Vec<String>>,
    value: String,
}

form!(ClaimForm, "structs.IntentionJWTClaimVerification", plain "IntentionJWTClaimVerification", refuse, {
    "Path" => path, "Value" => value,
});

/// The answer to a write by id.
#[derive(Debug, Serialize)]
pub(crate) struct CreatedOut<'a> {
    #[serde(rename = "ID")]
    pub(crate) id: &'a str,
}

/// The answer to a check.
#[derive(Debug, Serialize)]
pub(crate) struct CheckedOut {
    #[serde(rename = "Allowed")]
    pub(crate) allowed: bool,
}

impl From<IntentionForm> for Draft {
    fn from(form: IntentionForm) -> Self {
        Self {
            source: form.source,
            destination: form.destination,
            source_type: form.source_type.0,
            action: form.action.0,
            description: form.description,
            permissions: serde_json::to_value(form.permissions)
                .expect("permissions have text keys only"),
            meta: form.meta.unwrap_or_default(),
        }
    }
}
