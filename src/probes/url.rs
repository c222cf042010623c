//! The URL of an HTTP check, read as Go reads it.

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) https: bool,
    /// `user:password`, when given.
    pub(super) user: Option<String>,
    /// What stands in the `Host` header.
    pub(super) authority: String,
    /// Path and query, as they go over the wire.
    pub(super) path: String,
}

/// Why a text is no URL that can be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum UrlError {
    #[error("missing protocol scheme")]
    NoScheme,
    #[error("first path segment in URL cannot contain colon")]
    Colon,
    #[error("net/url: invalid control character in URL")]
    Control,
    #[error("unsupported protocol scheme {0:?}")]
    Scheme(String),
    #[error("http: no Host in request URL")]
    NoHost,
}

// === impl UrlError ===

impl UrlError {
    /// Whether the text could not even be read; else it was read and cannot be asked.
    pub(super) fn is_syntax(&self) -> bool {
        matches!(self, Self::NoScheme | Self::Colon | Self::Control)
    }
}

// === impl Target ===

impl Target {
    pub(super) fn parse(text: &str) -> Result<Self, UrlError> {
        if text.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
            return Err(UrlError::Control);
        }
        let text = text.split('#').next().unwrap_or_default();
        let (scheme, rest) = split_scheme(text)?;
        let https = match scheme.as_str() {
            "http" => false,
            "https" => true,
            _ => return Err(UrlError::Scheme(scheme)),
        };
        let Some(rest) = rest.strip_prefix("//") else { return Err(UrlError::NoHost) };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (user, authority) = match authority.rsplit_once('@') {
            Some((user, authority)) => (Some(user.to_owned()), authority),
            None => (None, authority),
        };
        if authority.is_empty() {
            return Err(UrlError::NoHost);
        }
        Ok(Self { https, user, authority: authority.to_owned(), path: wire_path(path) })
    }

    /// `host:port` to dial.
    pub(super) fn place(&self) -> String {
        let has_port = match self.authority.rfind(']') {
            Some(end) => self.authority[end..].contains(':'),
            None => self.authority.contains(':'),
        };
        match (has_port, self.https) {
            (true, _) => self.authority.clone(),
            (false, true) => format!("{}:443", self.authority),
            (false, false) => format!("{}:80", self.authority),
        }
    }

    /// Where a redirect leads.
    pub(super) fn join(&self, location: &str) -> Result<Self, UrlError> {
        let scheme = if self.https { "https" } else { "http" };
        if location.starts_with("//") {
            return Self::parse(&format!("{scheme}:{location}"));
        }
        if split_scheme(location).is_ok_and(|(scheme, _)| !scheme.is_empty()) {
            return Self::parse(location);
        }
        let folder = self
            .path
            .split('?')
            .next()
            .and_then(|path| path.rsplit_once('/'))
            .map_or("", |(to, _)| to);
        let path = match location.chars().next() {
            Some('/') => location.to_owned(),
            Some('?') => format!("{}{location}", self.path.split('?').next().unwrap_or("/")),
            None => self.path.clone(),
            Some(_) => format!("{folder}/{location}"),
        };
        Self::parse(&format!("{scheme}://{}{path}", self.authority))
            .map(|next| Self { user: self.user.clone(), ..next })
    }
}

/// The scheme in lower case, empty when there is none, and what follows it.
fn split_scheme(text: &str) -> Result<(String, &str), UrlError> {
    let Some(end) = text.find(|c: char| !c.is_ascii_alphanumeric() && !"+-.".contains(c)) else {
        return Ok((String::new(), text));
    };
    let (scheme, rest) = text.split_at(end);
    let starts_well = scheme.starts_with(|c: char| c.is_ascii_alphabetic());
    match rest.strip_prefix(':') {
        Some(_) if scheme.is_empty() => Err(UrlError::NoScheme),
        Some(rest) if starts_well => Ok((scheme.to_ascii_lowercase(), rest)),
        Some(_) => Err(UrlError::Colon),
        None => Ok((String::new(), text)),
    }
}

/// What may not stand in a request line is escaped; what is escaped already stays.
fn wire_path(path: &str) -> String {
    let mut wire = String::with_capacity(path.len() + 1);
    if !path.starts_with('/') {
        wire.push('/');
    }
    for byte in path.bytes() {
        match byte {
            b'!'..=b'~' if !br#""<>\^`{|}"#.contains(&byte) => wire.push(char::from(byte)),
            _ => wire.push_str(&format!("%{byte:02X}")),
        }
    }
    wire
}
