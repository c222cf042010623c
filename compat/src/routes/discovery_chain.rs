//! `/v1/discovery-chain/<service>`: what a service's name leads to.

use bytes::Bytes;
use http::Method;
use proconsul_anchors::acl::Act;
use proconsul_anchors::handle::Answer;
use proconsul_anchors::index::Index;
use proconsul_anchors::name::Caseless;
use proconsul_anchors::query::Query;
use proconsul_anchors::record::TableId;
use proconsul_ca::TrustDomain;
use proconsul_mesh::chain::{Compiled, Place, Wishes};

use crate::extract::body::read_json;
use crate::extract::{Ask, ReadOptions, Tenancy};
use crate::go::print::json;
use crate::reject::{MeshFault, Reject};
use crate::reply::{Meta, Reply};
use crate::routes::changed::{Seen, read_changed};
use crate::wire::entries::{Shelf, object};

/// `GET` and `POST /v1/discovery-chain/<service>`.
pub(crate) async fn read(mut ask: Ask) -> Result<Reply, Reject> {
    let options = ask.read_options()?;
    let service = ask.named(MeshFault::MissingChain.into())?.to_owned();
    ask.refuse_enterprise(Tenancy::Both)?;
    let wishes = if ask.method == Method::POST {
        let text = read_json(ask.take_body(), ask.headers.content_length).await?;
        let raw = object(&text).map_err(MeshFault::from)?;
        Wishes::decode(&raw).map_err(MeshFault::Undecoded)?
    } else {
        Wishes::default()
    };
    if !wishes.has_known_mode() {
        return Err(MeshFault::Mode.into());
    }
    compiled(&ask, &options, &service, &wishes).await.map_err(Reject::queried)
}

async fn compiled(
    ask: &Ask,
    options: &ReadOptions,
    service: &str,
    wishes: &Wishes,
) -> Result<Reply, Reject> {
    ask.site.issuer.on()?;
    crate::blocking::own_datacenter(&ask.site, options)?;
    ask.demand(Act::service_read(service))?;
    let datacenter = match ask.params.first("compile-dc") {
        "" => ask.site.settings.identity.datacenter.to_string(),
        asked => asked.to_owned(),
    };
    let show = |answer: &Answer| {
        let made = compile(&answer.at, service, &datacenter, wishes);
        let found = !made.as_ref().is_ok_and(|(touched, _)| !touched);
        let shown = made.map(|(_, body)| body).map_err(|fault| Told(fault.to_string(), fault));
        Seen { found, index: answer.index, shown }
    };
    let query = Query::Table(TableId::ConfigEntry);
    let (answer, shown) = read_changed(&ask.site, &ask.caller, options, &query, show).await?;
    let body = shown.map_err(|Told(_, fault)| fault)?;
    let meta = Meta::with_consistency(&answer, options).cacheable(options);
    Ok(Reply::encoded(body).meta(meta))
}

/// A refusal that can be told from another one.
struct Told(String, Reject);

impl PartialEq for Told {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

/// The domain of the cluster's certificates, once the cluster has an authority.
fn trust_domain(index: &Index) -> Option<String> {
    let (_, configuration) = crate::issuer::kept(index)?;
    Some(TrustDomain::of_cluster(&configuration.cluster).as_str().to_owned())
}

/// Whether any entry has a say in the chain, and the chain as it is printed.
fn compile(
    index: &Index,
    service: &str,
    datacenter: &str,
    wishes: &Wishes,
) -> Result<(bool, Bytes), Reject> {
    let trust_domain = trust_domain(index).ok_or(MeshFault::NoAuthority)?;
    let place = Place { datacenter: datacenter.to_owned(), trust_domain };
    let chain = Compiled::of(service, &place, wishes, &Shelf(index)).map_err(MeshFault::from)?;
    let address = index.virtual_ip(&Caseless::from(service));
    let chain = chain.with_virtual_address(address.map(|row| row.record.address().to_string()));
    Ok((chain.touched, json(&chain)))
}
