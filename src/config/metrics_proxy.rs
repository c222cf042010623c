//! `ui_config.metrics_proxy`: where the web interface's questions for metrics go.

use super::Config;

/// What the built-in provider `prometheus` asks for: nothing else may be asked for unless said.
const PROMETHEUS: [&str; 2] = ["/api/v1/query", "/api/v1/query_range"];

/// Where questions for metrics go. No `Debug`: headers may hold secrets.
pub(crate) struct MetricsProxy {
    /// Whatever is asked lies below it.
    pub(crate) base_url: String,
    /// Which paths may be asked for; empty for all.
    pub(crate) path_allowlist: Vec<String>,
    /// Headers with their values, in their order.
    pub(crate) add_headers: Vec<(String, String)>,
}

impl Config {
    /// Where questions for metrics go; nothing where they are not handed on.
    pub(crate) fn metrics_proxy(&self) -> Option<MetricsProxy> {
        let ui = self.raw.block("ui_config");
        let proxy = ui.block("metrics_proxy");
        let base_url = proxy.text("base_url").filter(|url| !url.is_empty())?.to_owned();
        let mut path_allowlist = proxy.texts("path_allowlist");
        if path_allowlist.is_empty() && ui.text("metrics_provider") == Some("prometheus") {
            path_allowlist = PROMETHEUS.map(str::to_owned).into();
        }
        let headers = proxy.blocks("add_headers").iter();
        let add_headers = headers
            .map(|header| (header.text_or_empty("name"), header.text_or_empty("value")))
            .collect();
        Some(MetricsProxy { base_url, path_allowlist, add_headers })
    }
}
