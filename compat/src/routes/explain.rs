//! `/v1/anchor/dns/explain`: the way that a DNS answer took. Consul has no such page.

use http::StatusCode;

use crate::control::{DnsQuestion, Explained};
use crate::extract::Ask;
use crate::reject::Reject;
use crate::reply::{Reply, TEXT_UTF8};

/// `GET /v1/anchor/dns/explain?name=NAME[&type=TYPE][&transport=tcp][&edns=BYTES][&format=text]`. Nobody is told more than what
/// the rights of his token show.
pub(crate) async fn explain(ask: Ask) -> Result<Reply, Reject> {
    let question = match question(&ask) {
        Ok(question) => question,
        Err(fault) => return Ok(faulty(fault)),
    };
    let text = ask.params.first("format") == "text";
    Ok(match ask.site.control.explain_dns(question).await {
        Ok(Explained { text: told, .. }) if text => Reply::plain(told, TEXT_UTF8),
        Ok(Explained { json, .. }) => Reply::encoded(json.into()),
        Err(fault) => faulty(fault),
    })
}

fn question(ask: &Ask) -> Result<DnsQuestion, String> {
    let params = &ask.params;
    let name = params.first("name").to_owned();
    if name.is_empty() {
        return Err("Missing name: say ?name=web.service.consul".to_owned());
    }
    let kind = Some(params.first("type")).filter(|kind| !kind.is_empty()).unwrap_or("A");
    let udp_size = match params.first("edns") {
        "" => None,
        size => {
            let bad = |_| format!("Invalid edns {size:?}: say a number of bytes up to 65535");
            Some(size.parse().map_err(bad)?)
        }
    };
    let tcp = match params.first("transport") {
        "" | "udp" => false,
        "tcp" => true,
        other => return Err(format!("Invalid transport {other:?}: say udp or tcp")),
    };
    let caller = ask.caller.clone();
    Ok(DnsQuestion { name, kind: kind.to_ascii_uppercase(), tcp, udp_size, caller })
}

fn faulty(fault: String) -> Reply {
    Reply::plain(fault, TEXT_UTF8).status(StatusCode::BAD_REQUEST)
}
