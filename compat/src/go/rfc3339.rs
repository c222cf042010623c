//! Moments as Go prints them in JSON.

pub(crate) use crate::go::time::show_time as rfc3339;
