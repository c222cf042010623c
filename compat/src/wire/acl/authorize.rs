//! Questions about what a token may do.

use serde::Serialize;

use crate::wire::decode::{Read, form, read_text};

/// One question of `POST /v1/internal/acl/authorize`.
#[derive(Debug, Default)]
pub(crate) struct QuestionForm {
    pub(crate) resource: ResourceText,
    pub(crate) segment: String,
    pub(crate) access: String,
}

form!(QuestionForm, "structs.ACLAuthorizationRequest", plain "ACLAuthorizationRequest", refuse, {
    "Resource" => resource, "Segment" => segment, "Access" => access,
});

/// The name of a resource.
#[derive(Debug, Default)]
pub(crate) struct ResourceText(pub(crate) String);

impl Read for ResourceText {
    fn go_type() -> std::borrow::Cow<'static, str> {
        "acl.Resource".into()
    }

    fn read(
        &mut self,
        value: &crate::go::json::Json,
        place: &crate::wire::decode::Place<'_>,
    ) -> Result<(), crate::wire::decode::DecodeError> {
        read_text(&mut self.0, value, place, Self::go_type())
    }
}

/// Its answer.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AnswerOut<'a> {
    pub(crate) resource: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(crate) segment: &'a str,
    pub(crate) access: &'a str,
    pub(crate) allow: bool,
}
