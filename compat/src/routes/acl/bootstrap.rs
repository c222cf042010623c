//! `PUT /v1/acl/bootstrap`: the first manager's token, once; again after a reset by who holds the machine.

use proconsul_anchors::acl::identity::GLOBAL_MANAGEMENT;
use proconsul_anchors::acl::{BOOTSTRAP_SETTING, Token, bootstrap};
use proconsul_anchors::caller::{Caller, Secret};
use proconsul_anchors::change::Change;
use proconsul_anchors::record::Setting;

use super::token::with_desk;
use super::{form_into, written};
use crate::acl::token::Desk;
use crate::acl::uuid;
use crate::blocking;
use crate::extract::Ask;
use crate::reject::Reject;
use crate::reject::acl::{AclReject, Kind};
use crate::reply::Reply;
use crate::wire::acl::token::{BootstrapForm, TokenOut};
use crate::wire::decode::Hint;

/// `PUT /v1/acl/bootstrap`.
pub(crate) async fn first(mut ask: Ask) -> Result<Reply, Reject> {
    let mut form = BootstrapForm::default();
    if ask.headers.content_length.is_some_and(|length| length > 0) {
        form_into(&mut ask, &mut form, "Request decoding failed", Hint::None).await?;
    }
    check_reset(&ask)?;
    let (token, secret) = with_desk(&ask.site, |desk| manager(desk, form.secret))?;
    let accessor = token.accessor.clone();
    blocking::write(&ask.site, &Caller::own(), Change::Records(bootstrap(token))).await?;
    tracing::info!(%accessor, "access control was bootstrapped");
    let index = ask.site.handle.snapshot();
    let row = written::<Token>(&index, &accessor, Kind::Token)?;
    Ok(Reply::json(&TokenOut::new(&index, row, secret.expose()).bootstrapped()))
}

/// Once bootstrapped, only a file on the machine that names the index of that bootstrap allows another one. It serves once.
fn check_reset(ask: &Ask) -> Result<(), AclReject> {
    let index = ask.site.handle.snapshot();
    if let Some(row) = index.record::<Setting>(BOOTSTRAP_SETTING) {
        let wanted = row.modified;
        match ask.site.control.bootstrap_reset() {
            0 => return Err(AclReject::Bootstrapped(wanted)),
            given if given != wanted => return Err(AclReject::ResetIndex { given, wanted }),
            _ => {}
        }
    }
    ask.site.control.forget_bootstrap_reset();
    Ok(())
}

/// The manager's token and its secret, which may have been chosen.
fn manager(desk: &Desk<'_>, chosen: String) -> Result<(Token, Secret), AclReject> {
    if !chosen.is_empty() {
        uuid::check(&chosen).map_err(AclReject::BootstrapSecret)?;
        if desk.is_taken(&chosen) {
            return Err(AclReject::BootstrapSecretTaken);
        }
    }
    let secret = if chosen.is_empty() { (desk.fresh)() } else { chosen };
    let token = Token {
        description: "Bootstrap Token (Global Management)".into(),
        policies: vec![GLOBAL_MANAGEMENT.into()],
        ..desk.blank((desk.fresh)(), &secret)
    };
    Ok((token, Secret::new(&secret)))
}
