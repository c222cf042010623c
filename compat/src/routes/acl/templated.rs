//! `/v1/acl/templated-polic…`: Consul's templates of policies.

use std::collections::BTreeMap;

use proconsul_anchors::acl::Act;
use proconsul_anchors::acl::identity::{TEMPLATES, Template};

use super::{form, rest};
use crate::acl::templates;
use crate::extract::{Ask, Tenancy};
use crate::reject::Reject;
use crate::reject::acl::AclReject;
use crate::reply::Reply;
use crate::wire::acl::links::VariablesForm;
use crate::wire::acl::policy::{PolicyOut, TemplateOut};
use crate::wire::decode::Hint;

/// `GET /v1/acl/templated-policies`.
pub(crate) async fn list(ask: Ask) -> Result<Reply, Reject> {
    check(&ask)?;
    let templates: BTreeMap<&str, TemplateOut> =
        TEMPLATES.iter().map(|template| (template.name, print(template))).collect();
    Ok(Reply::json(&templates))
}

fn check(ask: &Ask) -> Result<(), Reject> {
    ask.refuse_enterprise(Tenancy::Both)?;
    ask.demand(Act::acl_read())
}

fn print(template: &'static Template) -> TemplateOut {
    TemplateOut {
        template_name: template.name,
        schema: template.schema,
        template: template.text,
        description: template.description,
    }
}

/// `GET /v1/acl/templated-policy/name/<name>`.
pub(crate) async fn named(ask: Ask) -> Result<Reply, Reject> {
    let name = ask.named(AclReject::Missing("templated policy Name").into())?;
    check(&ask)?;
    let template = templates::find(name).ok_or_else(|| AclReject::TemplateName(name.to_owned()))?;
    Ok(Reply::json(&print(template)))
}

/// `POST /v1/acl/templated-policy/preview/<name>`.
pub(crate) async fn preview(mut ask: Ask) -> Result<Reply, Reject> {
    let name = rest(&ask);
    if name.is_empty() {
        return Err(AclReject::Missing("templated policy Name").into());
    }
    check(&ask)?;
    let template =
        templates::find(&name).ok_or_else(|| AclReject::UnknownTemplate(name.clone()))?;
    let form: VariablesForm = form(&mut ask, "Failed to decode request body", Hint::None).await?;
    templates::check(template, Some(&form.name))
        .map_err(|fault| AclReject::Preview { template: name, fault })?;
    Ok(Reply::json(&PolicyOut::from(templates::make(template, &form.name, None))))
}
