//! The way of a DNS answer, for the HTTP side.

use std::sync::Arc;

use proconsul_anchors::handle::Handle;
use proconsul_compat::{DnsQuestion, Explained};
use proconsul_dns::explain::{Row, Told, Trace};
use proconsul_dns::name::Name;
use proconsul_dns::record::Kind;
use proconsul_dns::server::Inquiry;
use proconsul_dns::shape::Transport;
use serde_json::{Value, json};

/// Goes the way of a question.
///
/// # Errors
/// What of it is no DNS question.
pub(super) async fn explain(
    dns: &Arc<proconsul_dns::Service<Handle>>,
    question: DnsQuestion,
) -> Result<Explained, String> {
    let DnsQuestion { name, kind, tcp, udp_size, caller } = question;
    let inquiry = Inquiry {
        name: Name::parse(&name).map_err(|error| format!("Invalid name {name:?}: {error}"))?,
        kind: Kind::parse(&kind)
            .ok_or_else(|| format!("Invalid type {kind:?}: say A, SRV … or TYPE65"))?,
        transport: if tcp { Transport::Tcp } else { Transport::Udp },
        udp_size,
        caller: Some(caller),
    };
    let trace = dns.explain(&inquiry).await;
    Ok(Explained { text: trace.to_string(), json: as_json(&trace).to_string() })
}

fn as_json(trace: &Trace) -> Value {
    let Trace { question, asker, place, asked, rows, hidden, kept, sizing, reply } = trace;
    json!({
        "Question": question, "Asker": asker, "LooksFor": place, "Asked": asked,
        "Rows": rows.iter().map(row).collect::<Vec<_>>(), "RowsHidden": hidden,
        "Kept": kept, "Sizing": sizing, "Reply": told(reply),
    })
}

fn row(row: &Row) -> Value {
    let Row { node, service, address, left_out } = row;
    json!({ "Node": node, "ServiceID": service, "Address": address, "LeftOut": left_out })
}

fn told(told: &Told) -> Value {
    let Told { rcode, flags, error, answer, authority, additional, bytes } = told;
    json!({
        "Rcode": rcode, "Flags": flags, "ExtendedError": error, "Bytes": bytes,
        "Answer": answer, "Authority": authority, "Additional": additional,
    })
}
