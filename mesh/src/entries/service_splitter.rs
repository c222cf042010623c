//! `service-splitter`: which share of a service's traffic goes where.

use std::collections::BTreeSet;

use crate::entries::Outside;
use crate::entries::shared::{HeaderModifiers, Meta, check_meta};
use crate::text::{Verdict, quote, refuse};
use crate::wire::{Indexes, List, Share, record};

/// A whole, in hundredths of a percent.
const WHOLE: i64 = 100 * 100;

record! {
    /// Shares of a service's traffic.
    ServiceSplitter = "ServiceSplitterConfigEntry" tenant {
        kind: String = "Kind" always,
        name: String = "Name" always,
        splits: List<Split> = "Splits" always,
        meta: Meta = "Meta" omit,
        hash: u64 = "Hash" hash,
        rows: Indexes = "RaftIndex" rows,
    }
}

record! {
    /// A share, and where it goes.
    Split = "ServiceSplit" {
        weight: Share = "Weight" always,
        service: String = "Service" omit,
        subset: String = "ServiceSubset" | "service_subset" omit,
        namespace: String = "Namespace" omit,
        partition: String = "Partition" omit,
        request_headers: Option<Box<HeaderModifiers>> = "RequestHeaders" | "request_headers" omit,
        response_headers: Option<Box<HeaderModifiers>> = "ResponseHeaders" | "response_headers" omit,
    }
}

// === impl ServiceSplitter ===

impl ServiceSplitter {
    pub(crate) fn normalize(&mut self) -> Verdict {
        "service-splitter".clone_into(&mut self.kind);
        self.splits.iter_mut().for_each(|split| split.weight = rounded(split.weight));
        Ok(())
    }

    pub(crate) fn validate(&self, _: &dyn Outside) -> Verdict {
        if self.name.is_empty() {
            refuse!("Name is required");
        }
        if self.splits.is_empty() {
            refuse!("no splits configured");
        }
        check_meta(&self.meta).verdict()?;
        for (at, split) in self.splits.iter().enumerate() {
            let service = self.service_of(split);
            let same = |other: &&Split| {
                // Go compares modifiers by where they lie: two splits that have any are never the same.
                let modified = split.request_headers.is_some() || split.response_headers.is_some();
                let bare = other.request_headers.is_none() && other.response_headers.is_none();
                !modified
                    && bare
                    && self.service_of(other) == service
                    && other.subset == split.subset
                    && other.namespace == split.namespace
                    && other.partition == split.partition
            };
            if self.splits[..at].iter().any(|other| same(&other)) {
                refuse!(
                    "split destination occurs more than once: service={}, subset={}, namespace={}, partition={}",
                    quote(service),
                    quote(&split.subset),
                    quote(&split.namespace),
                    quote(&split.partition)
                );
            }
        }
        self.check_sum()
    }

    fn check_sum(&self) -> Verdict {
        let sum: i64 = self.splits.iter().map(|split| scaled(split.weight)).sum();
        if sum == WHOLE {
            return Ok(());
        }
        #[expect(clippy::cast_precision_loss, reason = "told as Go tells it")]
        let told = sum as f32 / 100.0;
        refuse!("the sum of all split weights must be 100, not {:.6}", f64::from(told))
    }

    fn service_of<'a>(&'a self, split: &'a Split) -> &'a str {
        if split.service.is_empty() { &self.name } else { &split.service }
    }

    /// The services that shares go to, without the own one.
    pub(crate) fn related(&self) -> BTreeSet<String> {
        let named = self.splits.iter().map(|split| self.service_of(split));
        named.filter(|service| *service != self.name).map(str::to_owned).collect()
    }
}

// === impl Split ===

impl Split {
    /// A split below another one, with the headers of both.
    pub(crate) fn below(&self, parent: &Self) -> Self {
        let boxed = |merged: Option<HeaderModifiers>| merged.map(Box::new);
        Self {
            request_headers: boxed(HeaderModifiers::merged(
                parent.request_headers.as_deref(),
                self.request_headers.as_deref(),
            )),
            response_headers: boxed(HeaderModifiers::merged(
                self.response_headers.as_deref(),
                parent.response_headers.as_deref(),
            )),
            ..self.clone()
        }
    }
}

/// A share in whole hundredths of a percent.
fn scaled(share: Share) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "shares are small")]
    let scaled = f64::from(share.0 * 100.0).round() as i64;
    scaled
}

/// A share without anything finer than a hundredth of a percent.
pub(crate) fn rounded(share: Share) -> Share {
    #[expect(clippy::cast_precision_loss, reason = "Go divides the same way")]
    Share(scaled(share) as f32 / 100.0)
}
